// Two small charts. Every mark can be pointed at, or reached with the keyboard, and says its values.

function explains(mark, text) {
  const tip = document.getElementById("tip");
  const show = () => {
    const box = mark.getBoundingClientRect();
    tip.textContent = text;
    tip.hidden = false;
    tip.style.left = `${Math.max(4, Math.min(box.right + 8, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(4, Math.min(box.top, innerHeight - tip.offsetHeight - 8))}px`;
  };
  const hide = () => { tip.hidden = true; };
  mark.setAttribute("tabindex", "0");
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", text.replaceAll("\n", ", "));
  for (const event of ["pointerenter", "focus"]) mark.addEventListener(event, show);
  for (const event of ["pointerleave", "blur"]) mark.addEventListener(event, hide);
  return mark;
}

function legend(names) {
  return element("p", { class: "legend small" }, ...names.map((name, i) => element("span", { class: `s${i}` }, name)));
}

const shortened = (name, most) => (name.length > most ? `…${name.slice(1 - most)}` : name);

// rows: [{name, values: [joules or null], texts: [string]}], one bar for each value.
function barChart(place, rows, names) {
  const wide = Math.max(320, place.clientWidth), left = Math.min(170, wide / 3), right = 80;
  const first = 14, thin = 8, step = first + thin * (names.length - 1) + 10;  // the network's bar carries its value
  const most = Math.max(...rows.flatMap((row) => row.values.map((v) => v || 0)), Number.MIN_VALUE);
  const svg = element("svg", { width: wide, height: rows.length * step + 4, role: "group", "aria-label": "energy per layer" });
  rows.forEach((row, place) => {
    const top = place * step + 4;
    const name = element("text", { x: left - 8, y: top + (step - 10) / 2 + 4, "text-anchor": "end" }, shortened(row.name, 24));
    name.append(element("title", {}, row.name));
    svg.append(name);
    row.values.forEach((value, i) => {
      if (value === null) return;
      const width = Math.max(1, ((wide - left - right) * value) / most);
      const y = i ? top + first + (i - 1) * thin : top;
      const bar = element("rect", { class: `bar s${i}`, x: left, y, width, height: (i ? thin : first) - 1 });
      svg.append(explains(bar, row.texts[i]));
      if (i === 0)
        svg.append(element("text", { x: left + width + 6, y: top + 11 }, energyText(value)));
    });
  });
  place.replaceChildren(legend(names), svg);
}

// points: [{x, y, text}], joined in order; xText and yText write the ends of the axes.
function lineChart(points, labels, xText, yText) {
  const wide = 420, high = 230, left = 80, bottom = 44, top = 14, right = 24;
  const ends = (values) => {
    const low = Math.min(...values), span = Math.max(...values) - low;
    return [low, span || Math.abs(low) || 1];
  };
  const [x0, xs] = ends(points.map((p) => p.x)), [y0, ys] = ends([0, ...points.map((p) => p.y)]);
  const at = (p) => [left + ((wide - left - right) * (p.x - x0)) / xs, high - bottom - ((high - bottom - top) * (p.y - y0)) / ys];
  const svg = element("svg", { width: wide, height: high, class: "s0", role: "group", "aria-label": `${labels.y} against ${labels.x}` });
  const base = high - bottom;
  svg.append(
    element("line", { class: "rule", x1: left, y1: base, x2: wide - right, y2: base }),
    element("line", { class: "rule", x1: left, y1: top, x2: left, y2: base }),
    element("text", { x: left, y: base + 16 }, xText(x0)),
    element("text", { x: wide - right, y: base + 16, "text-anchor": "end" }, xText(x0 + xs)),
    element("text", { x: (left + wide) / 2, y: high - 8, "text-anchor": "middle" }, labels.x),
    element("text", { x: left - 6, y: base, "text-anchor": "end" }, yText(y0)),
    element("text", { x: left - 6, y: top + 8, "text-anchor": "end" }, yText(y0 + ys)),
    element("text", { x: 14, y: base / 2, transform: `rotate(-90 14 ${base / 2})`, "text-anchor": "middle" }, labels.y),
    element("polyline", { points: points.map((p) => at(p).join(",")).join(" ") }),
  );
  for (const p of points) {
    const [cx, cy] = at(p);
    svg.append(explains(element("circle", { cx, cy, r: 4.5 }), p.text));
  }
  return svg;
}
