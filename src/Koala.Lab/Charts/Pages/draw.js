// Draws the figures of a page with plotly.js, in the place of their static pictures and in the colours of the page: those that are there,
// and those that a front end adds later.
(function () {
  'use strict';
  window.koalaFigures = true;
  function colours(box) {
    var ink = getComputedStyle(box).color;
    var faint = ink.replace(/^rgba?\(([^,]+),([^,]+),([^,)]+).*$/, 'rgba($1,$2,$3,0.18)');
    return {'font.color': ink, 'xaxis.gridcolor': faint, 'yaxis.gridcolor': faint};
  }
  function draw(box) {
    var data = box.querySelector('script[type="application/json"]');
    if (!data || box.dataset.drawn) return;
    box.dataset.drawn = 'yes';
    var figure = JSON.parse(data.textContent), picture = box.querySelector('img'), plot = document.createElement('div');
    box.appendChild(plot);
    // At once, so that an update of a live figure does not show its picture for a moment.
    if (picture) picture.style.display = 'none';
    Plotly.newPlot(plot, figure.data, figure.layout, figure.config).then(function () { return recolour(box); });
  }
  function recolour(box) {
    var plot = box.querySelector('.js-plotly-plot');
    return plot && Plotly.relayout(plot, colours(box));
  }
  function each(root, action) {
    root.querySelectorAll('.koala-figure').forEach(action);
  }
  function drawAdded(mutations) {
    mutations.forEach(function (mutation) {
      mutation.addedNodes.forEach(function (node) {
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        if (node.classList.contains('koala-figure')) draw(node);
        each(node, draw);
      });
    });
  }
  function start() {
    each(document, draw);
    new MutationObserver(drawAdded).observe(document.body, {childList: true, subtree: true});
    var recolourAll = function () { each(document, recolour); };
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolourAll);
    var theme = new MutationObserver(recolourAll);
    [document.documentElement, document.body].forEach(function (element) {
      theme.observe(element, {attributes: true, attributeFilter: ['class', 'style', 'data-theme', 'data-jp-theme-light']});
    });
  }
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
  else start();
})();
