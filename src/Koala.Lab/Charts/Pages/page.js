// Tables of a page are sorted by the column whose heading is clicked; a button opens and closes all code.
(function () {
  'use strict';
  function number(text) {
    return /^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(text) ? parseFloat(text) : null;
  }
  function sort(table, column, ascending) {
    var rows = Array.from(table.tBodies[0].rows);
    function key(row) { return row.cells[column].textContent.trim(); }
    rows.sort(function (first, second) {
      var a = key(first), b = key(second);
      // Empty cells come last in both directions.
      if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
      var x = number(a), y = number(b), order = x !== null && y !== null ? x - y : a.localeCompare(b, 'en', {numeric: true});
      return ascending ? order : -order;
    });
    table.tBodies[0].append.apply(table.tBodies[0], rows);
  }
  function makeSortable(table) {
    var headings = table.tHead ? Array.from(table.tHead.rows[0].cells) : [];
    function isEmpty(heading) { return !heading.textContent; }
    if (!headings.length || headings.some(isEmpty) || table.tBodies[0].rows.length < 3) return;
    headings.forEach(function (heading, column) {
      heading.setAttribute('aria-sort', 'none');
      heading.tabIndex = 0;
      function click() {
        var ascending = heading.getAttribute('aria-sort') !== 'ascending';
        headings.forEach(function (other) { other.setAttribute('aria-sort', 'none'); });
        heading.setAttribute('aria-sort', ascending ? 'ascending' : 'descending');
        sort(table, column, ascending);
      }
      heading.addEventListener('click', click);
      heading.addEventListener('keydown', function (event) {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        click();
      });
    });
  }
  function foldCode(button) {
    var code = Array.from(document.querySelectorAll('details.code'));
    button.addEventListener('click', function () {
      var open = !code.some(function (part) { return part.open; });
      code.forEach(function (part) { part.open = open; });
    });
  }
  document.querySelectorAll('table.koala-table').forEach(makeSortable);
  document.querySelectorAll('button.code').forEach(foldCode);
  // On a wide page the contents stand beside the text and are open.
  var contents = document.querySelector('nav details'), wide = matchMedia('(min-width: 86rem)');
  function openContents() { if (wide.matches) contents.open = true; }
  if (contents) {
    openContents();
    wide.addEventListener('change', openContents);
  }
})();
