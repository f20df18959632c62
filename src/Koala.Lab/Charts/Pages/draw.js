// Draws the figures of a page with plotly.js, in the place of their static pictures and in the colours of the page.
(function () {
  'use strict';
  function colours(box) {
    var ink = getComputedStyle(box).color;
    var faint = ink.replace(/^rgba?\(([^,]+),([^,]+),([^,)]+).*$/, 'rgba($1,$2,$3,0.18)');
    return {'font.color': ink, 'xaxis.gridcolor': faint, 'yaxis.gridcolor': faint};
  }
  function draw(box) {
    var data = box.querySelector('script[type="application/json"]'), picture = box.querySelector('svg');
    if (!data || !picture) return;
    var figure = JSON.parse(data.textContent), plot = document.createElement('div');
    box.appendChild(plot);
    Plotly.newPlot(plot, figure.data, figure.layout, figure.config).then(function () {
      picture.style.display = 'none';
      return recolour(box);
    });
  }
  function recolour(box) {
    var plot = box.querySelector('.js-plotly-plot');
    return plot && Plotly.relayout(plot, colours(box));
  }
  function each(action) {
    document.querySelectorAll('.koala-figure').forEach(action);
  }
  function start() {
    each(draw);
    var recolourAll = function () { each(recolour); };
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolourAll);
    new MutationObserver(recolourAll).observe(document.documentElement, {attributes: true, attributeFilter: ['class', 'style', 'data-theme']});
  }
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
  else start();
})();
