// Numbers for people, as spikesim/energy/units.py writes them.

const PREFIXES = [[1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"], [1e-15, "f"]];

function energyText(joules) {
  if (joules === 0 || !Number.isFinite(joules)) return `${joules} J`;
  const fitting = PREFIXES.find(([factor]) => Math.abs(joules) >= factor * 0.99995);
  const [factor, prefix] = fitting || PREFIXES[PREFIXES.length - 1];
  const value = joules / factor;
  const digits = Math.max(0, 3 - Math.floor(Math.log10(Math.max(Math.abs(value), 1))));
  return `${value.toFixed(digits)} ${prefix}J`;
}

function countText(count) {
  for (const [factor, suffix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (count < factor * 0.99995) continue;
    const value = count / factor;
    return value.toFixed(3 - Math.floor(Math.log10(Math.max(value, 1)))) + suffix;
  }
  return Number.isInteger(count) ? `${count}` : count.toFixed(1);
}

const percentText = (share) => `${(100 * share).toFixed(1)} %`;
const timesText = (ratio) => (ratio < 1 ? `${(1 / ratio).toFixed(2)}× less than` : `${ratio.toFixed(2)}×`);
const rangeText = ([low, high], text) => `${text(low)} to ${text(high)}`;

// Elements; whatever is text stays text.
function element(tag, properties = {}, ...children) {
  const svg = ["svg", "g", "rect", "line", "text", "polyline", "circle", "title"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  made.append(...children.map(node));
  return made;
}

function node(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

function fill(id, ...children) {
  document.getElementById(id).replaceChildren(...children.map(node));
}
