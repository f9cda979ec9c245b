'use strict';
// Line charts in SVG, as wide as their place, with keys below that switch series on and off.

const COLOURS = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd', '#e07b00', '#0e9aa7', '#8c564b', '#d63fa0', '#6b7a00', '#555555'];
const MARGIN = {left: 48, right: 12, top: 10, bottom: 34};

function element(name, attributes = {}, parent = null, text = null) {
  const isSvg = ['svg', 'g', 'path', 'line', 'text', 'rect', 'circle', 'image'].includes(name);
  const made = isSvg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

// Round numbers from low to high, about so many.
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((value) => value >= rough);
  const out = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step; value += step) out.push(value);
  return out;
}

function short(value) {
  return Math.abs(value) >= 10000 ? `${+(value / 1000).toFixed(1)}k` : `${+value.toPrecision(4)}`;
}

// series: {name, xs, ys, dashed, on, mark: [x, y]}; options: {title, xLabel, xMax, yMax, height}
function lineChart(place, series, options) {
  const figure = element('figure', {class: 'chart'}, place);
  element('figcaption', {}, figure, options.title);
  const svg = element('svg', {role: 'img', 'aria-label': options.title}, figure);
  const keys = element('ul', {class: 'keys'}, figure);
  const values = series.map((one, i) => {
    one.colour = COLOURS[(one.colourOf ?? i) % COLOURS.length];
    const label = element('label', {}, element('li', {}, keys));
    const box = element('input', {type: 'checkbox'}, label);
    box.checked = one.on;
    box.addEventListener('change', () => { one.on = box.checked; draw(); });
    element('i', {style: `border-color:${one.colour};border-top-style:${one.dashed ? 'dashed' : 'solid'}`}, label);
    element('span', {}, label, one.name);
    return element('span', {class: 'value'}, label);
  });

  function draw() {
    const width = Math.max(240, figure.clientWidth), height = options.height;
    svg.replaceChildren();
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const drawn = series.filter((one) => one.on);
    const yMax = options.yMax ?? Math.max(1e-9, ...drawn.flatMap((one) => one.ys)) * 1.05;
    const xMax = options.xMax, xMin = options.xMin ?? 0;
    const x = (value) => MARGIN.left + (value - xMin) / (xMax - xMin || 1) * (width - MARGIN.left - MARGIN.right);
    const y = (value) => height - MARGIN.bottom - value / yMax * (height - MARGIN.top - MARGIN.bottom);
    for (const value of ticks(0, yMax, 5)) {
      element('line', {class: 'grid', x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value)}, svg);
      element('text', {x: MARGIN.left - 6, y: y(value) + 4, 'text-anchor': 'end'}, svg, short(value));
    }
    for (const value of ticks(xMin, xMax, Math.max(2, Math.floor(width / 110)))) {
      const anchor = x(value) > width - 30 ? 'end' : 'middle';
      element('text', {x: x(value), y: height - MARGIN.bottom + 16, 'text-anchor': anchor}, svg, short(value));
    }
    element('text', {x: (width + MARGIN.left) / 2, y: height - 4, 'text-anchor': 'middle'}, svg, options.xLabel);
    if (!drawn.length) element('text', {x: width / 2, y: height / 2, 'text-anchor': 'middle'}, svg, 'choose a curve below');
    for (const one of drawn) {
      const path = one.xs.map((value, i) => `${i ? 'L' : 'M'}${x(value).toFixed(1)},${y(one.ys[i]).toFixed(1)}`).join('');
      const dash = one.dashed ? {'stroke-dasharray': '6 4'} : {};
      element('path', {class: 'series', d: path, stroke: one.colour, ...dash}, svg);
      if (one.xs.length < 40 && !one.mark) {
        one.xs.forEach((value, i) => element('circle', {cx: x(value), cy: y(one.ys[i]), r: 2.5, fill: one.colour}, svg));
      }
      if (one.mark) element('circle', {cx: x(one.mark[0]), cy: y(one.mark[1]), r: 4.5, fill: one.colour}, svg);
    }
    const cursor = element('line', {class: 'cursor', y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: 'hidden'}, svg);
    svg.onpointermove = (event) => {
      const inside = (event.clientX - svg.getBoundingClientRect().left) * width / svg.clientWidth;
      const at = xMin + (inside - MARGIN.left) / (width - MARGIN.left - MARGIN.right) * (xMax - xMin || 1);
      cursor.setAttribute('visibility', 'visible');
      cursor.setAttribute('x1', inside);
      cursor.setAttribute('x2', inside);
      series.forEach((one, i) => {
        const nearest = one.xs.reduce((best, value, j) => Math.abs(value - at) < Math.abs(one.xs[best] - at) ? j : best, 0);
        values[i].textContent = one.on ? `${one.ys[nearest].toFixed(3)} at ${short(one.xs[nearest])}` : '';
      });
    };
    svg.onpointerleave = () => {
      cursor.setAttribute('visibility', 'hidden');
      values.forEach((value) => { value.textContent = ''; });
    };
  }
  draw();
  window.addEventListener('resize', draw);
}
