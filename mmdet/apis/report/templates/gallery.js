// Cards of examples: objects on the left, detections on the right, both around what the card is about.

const FALSE_KINDS = ['wrong class', 'duplicate', 'poorly placed', 'background'];
const CONTEXT = 2.2; // sides of the box that a picture shows around it
const LEAST_PART = 0.22; // of the image's shorter side

function kindClass(kind) {
  return kind === 'correct' ? 'correct' : FALSE_KINDS.includes(kind) ? 'false' : 'ignored';
}

// The part of an image around a box: x, y, width, height, at one ratio of sides for all cards.
function around(box, image, ratio) {
  const least = LEAST_PART * Math.min(image.width, image.height);
  let width = Math.max((box[2] - box[0]) * CONTEXT, least), height = Math.max((box[3] - box[1]) * CONTEXT, least);
  if (width / height < ratio) width = height * ratio; else height = width / ratio;
  const scale = Math.min(1, Math.max(image.width / width, image.height / height));
  width *= scale;
  height *= scale;
  const fit = (low, size, whole) => size >= whole ? (whole - size) / 2 : Math.min(Math.max(low, 0), whole - size);
  return [fit((box[0] + box[2] - width) / 2, width, image.width), fit((box[1] + box[3] - height) / 2, height, image.height), width, height];
}

function same(first, second) {
  return first.every((value, i) => Math.abs(value - second[i]) < 0.11);
}

// Texts above their boxes, below or inside; one that would cover another is left to the box's title.
function placeLabels(svg, labels, view, size) {
  const taken = [];
  for (const label of labels) {
    const width = label.text.length * size * 0.62, [x1, y1, x2, y2] = label.box;
    const x = Math.min(Math.max(x1, view[0]), view[0] + view[2] - width);
    for (const y of [y1 - size * 0.3, y2 + size, y1 + size, y2 - size * 0.3]) {
      const place = [x, y - size, x + width, y + size * 0.25];
      const inside = place[1] >= view[1] && place[3] <= view[1] + view[3];
      if (!inside || taken.some((o) => o[0] < place[2] && place[0] < o[2] && o[1] < place[3] && place[1] < o[3])) continue;
      element('text', {x, y, 'font-size': size, 'stroke-width': size / 5}, svg, label.text);
      taken.push(place);
      break;
    }
  }
}

function pane(place, width, caption, image, view, boxes) {
  const holder = element('div', {class: 'pane'}, place);
  const svg = element('svg', {viewBox: view.join(' ')}, holder);
  element('image', {href: image.src, width: image.width, height: image.height, preserveAspectRatio: 'none'}, svg);
  // what the card is about is drawn last, on top, and its text first, where there is most room
  for (const one of [...boxes].sort((a, b) => a.focus - b.focus)) {
    const [x1, y1, x2, y2] = one.box;
    const rect = element('rect', {class: `${one.kind}${one.focus ? ' focus' : ''}`, x: x1, y: y1, width: x2 - x1, height: y2 - y1}, svg);
    const title = document.createElementNS('http://www.w3.org/2000/svg', 'title');
    title.textContent = one.text;
    rect.append(title);
  }
  const labelled = boxes.filter((one) => one.text).sort((a, b) => b.focus - a.focus);
  placeLabels(svg, labelled, view, view[2] * 13 / width);
  element('span', {}, holder, caption);
}

function headline(example, classes) {
  const name = classes[example.label];
  if (example.kind === 'missed') return `missed ${name}`;
  if (example.kind === 'wrong class') return `${classes[example.other]} taken for ${name}`;
  return `${example.kind} ${name}`;
}

function fillPanes(panes, example, data, whole) {
  const image = data.images[example.image], classes = data.classes;
  const view = whole ? [0, 0, image.width, image.height] : around(example.box, image, 1);
  const objects = image.objects.map((one) => ({
    box: one.box, kind: one.missed ? 'missed' : 'object', text: classes[one.label],
    focus: Number(example.kind === 'missed' && same(one.box, example.box)),
  }));
  const ignored = image.ignored.map((box) => ({box, kind: 'ignored', text: 'ignored', focus: 0}));
  const asBoxes = (detections, focused) => detections.map((one) => ({
    box: one.box, kind: kindClass(one.kind), text: `${classes[one.label]} ${one.score.toFixed(2)}`,
    focus: Number(focused && one.label === example.label && same(one.box, example.box)),
  }));
  const width = Math.max(120, panes.clientWidth / (image.other ? 3 : 2)); // of one pane, px
  panes.replaceChildren();
  pane(panes, width, 'ground truth', image, view, [...objects, ...ignored]);
  pane(panes, width, image.other ? data.runs[0] : 'detections', image, view, asBoxes(image.detections, example.kind !== 'missed'));
  if (image.other) pane(panes, width, data.runs[1], image, view, asBoxes(image.other, false));
}

function makeCard(place, example, data) {
  const card = element('article', {class: 'card', 'data-kind': example.kind}, place), image = data.images[example.image];
  element('h3', {}, card, headline(example, data.classes));
  const score = example.score === null ? 'nothing was detected there'
    : example.kind === 'missed' ? `best score there ${example.score.toFixed(2)}` : `score ${example.score.toFixed(2)}`;
  const overlap = example.overlap > 0 ? `, IoU ${example.overlap.toFixed(2)}` : '';
  element('p', {}, card, `${score}${overlap} · ${image.source}: ${image.name}`);
  const panes = element('div', {class: 'panes', role: 'button', tabindex: 0, 'aria-label': 'part or whole image'}, card);
  const toggle = () => fillPanes(panes, example, data, card.classList.toggle('whole'));
  panes.addEventListener('click', toggle);
  panes.addEventListener('keydown', (event) => { if (event.key === 'Enter') toggle(); });
  fillPanes(panes, example, data, false);
  return card;
}

function makeGallery(data) {
  const byId = (id) => document.getElementById(id);
  const cards = data.examples.map((example) => [example, makeCard(byId('cards'), example, data)]);
  const classes = byId('filter-class'), kinds = byId('filter-kind'), score = byId('filter-score');
  const labels = [...new Set(data.examples.flatMap((e) => [e.label, e.other]))].filter((label) => label !== null);
  labels.sort((a, b) => a - b).forEach((label) => element('option', {value: label}, classes, data.classes[label]));
  [...new Set(data.examples.map((e) => e.kind))].forEach((kind) => element('option', {value: kind}, kinds, kind));
  function filter() {
    let shown = 0;
    for (const [example, card] of cards) {
      const ofClass = classes.value === '' || [example.label, example.other].includes(Number(classes.value));
      const ofKind = kinds.value === '' || example.kind === kinds.value;
      // an object of which nothing was found has no score: it is shown from 0 on only
      card.hidden = !(ofClass && ofKind && (example.score ?? 0) >= Number(score.value));
      shown += Number(!card.hidden);
    }
    byId('filter-score-value').textContent = Number(score.value).toFixed(2);
    byId('shown').textContent = `${shown} of ${cards.length} shown`;
  }
  [classes, kinds, score].forEach((input) => input.addEventListener('input', filter));
  filter();
}
