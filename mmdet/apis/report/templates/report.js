// Draws what the page's data hold.

const MOST_SHOWN = 8; // curves that are on before anybody chooses

function historyCharts(place, data) {
  const groups = [
    ['losses', 'Losses', (name, i) => /(^|_)loss$/.test(name) || i < MOST_SHOWN],
    ['source_losses', 'Losses by source', (name, i) => i < MOST_SHOWN],
    ['figures', 'Average precision in validation', (name, i) => i < MOST_SHOWN],
  ];
  const all = data.history.flatMap((h) => groups.flatMap(([key]) => h[key]));
  const xMax = Math.max(...all.map((one) => one[1][one[1].length - 1]));
  for (const [key, title, isOn] of groups) {
    const names = [...new Set(data.history.flatMap((h) => h[key].map((one) => one[0])))];
    const series = data.history.flatMap((h, run) => h[key].map(([name, xs, ys]) => ({
      name: data.runs.length > 1 ? `${name}, ${data.runs[run]}` : name,
      xs, ys, dashed: run > 0, on: isOn(name, names.indexOf(name)), colourOf: names.indexOf(name),
    })));
    if (series.length) lineChart(place, series, {title, xLabel: 'iteration', xMax, height: 280});
  }
  if (!all.length) element('p', {class: 'note'}, place, 'The work folder has no log of a training.');
}

function precisionChart(place, data) {
  const names = [...new Set(data.curves.flat().map((one) => one.name))];
  const series = data.curves.flatMap((curves, run) => curves.map((one) => ({
    name: `${one.name}${data.runs.length > 1 ? `, ${data.runs[run]}` : ''}${one.f1 === null ? '' : `: F1 ${one.f1.toFixed(2)} at score ${one.threshold.toFixed(2)}`}`,
    xs: one.recalls, ys: one.precisions, dashed: run > 0, on: names.indexOf(one.name) < MOST_SHOWN,
    colourOf: names.indexOf(one.name), mark: one.f1 === null ? [-1, -1] : [one.recall, one.precision],
  })));
  if (series.length) lineChart(place, series, {title: 'Precision', xLabel: 'recall', xMax: 1, yMax: 1.02, height: 340});
  else element('p', {class: 'note'}, place, 'There is nothing to find, or nothing was found.');
}

function makeSortable(table) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.addEventListener('click', () => {
    const rising = head.getAttribute('aria-sort') === 'descending' || (column === 0 && !head.hasAttribute('aria-sort'));
    heads.forEach((other) => other.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', rising ? 'ascending' : 'descending');
    const value = (row) => row.cells[column].textContent;
    const order = (a, b) => column === 0 ? value(a).localeCompare(value(b)) : (parseFloat(value(a)) || -1) - (parseFloat(value(b)) || -1);
    body.append(...[...body.rows].sort((a, b) => rising ? order(a, b) : order(b, a)));
  }));
}

const reportData = JSON.parse(document.getElementById('report-data').textContent);
historyCharts(document.getElementById('history'), reportData);
if (document.getElementById('pr')) precisionChart(document.getElementById('pr'), reportData);
if (document.getElementById('class-table')) makeSortable(document.getElementById('class-table'));
if (document.getElementById('cards')) makeGallery(reportData);
