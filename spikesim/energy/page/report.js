// Puts the report on the page, and again whenever another profile is chosen.

const data = JSON.parse(document.getElementById("data").textContent);
const BASELINES = Object.keys(data.baselines);
const underAll = new Map(data.profiles.map((profile) => [profile, priceAll(data, profile)]));

function layerRows(found) {
  const rows = new Map();
  const row = (layer, ledger) => {
    const key = data.rows[ledger][layer] || layer;
    if (!rows.has(key)) rows.set(key, { names: [], inputs: [], operations: [], counts: {}, joules: {}, terms: {}, name: key });
    return rows.get(key);
  };
  const sum = (into, more) => { for (const [name, n] of Object.entries(more)) into[name] = (into[name] || 0) + n; };
  for (const { name, input, operations, counts } of data.ledgers.network) {
    const its = row(name, "network");
    its.names.push(name);
    its.inputs.push(...input.split("+").filter((kind) => kind !== "none" && !its.inputs.includes(kind)));
    its.operations.push(...operations.filter((operation) => !its.operations.includes(operation)));
    sum(its.counts, counts);
  }
  for (const [side, priced] of Object.entries(found.sides)) {
    if (priced === null) continue;
    for (const [layer, joules] of priced.layers) sum(row(layer, data.sides[side].ledger).joules, { [side]: joules });
  }
  for (const [layer, terms] of found.sides.network.byTerm) sum(row(layer, "network").terms, terms);
  // A layer goes by its own name where it stands alone.
  for (const its of rows.values()) if (its.names.length === 1) its.name = its.names[0];
  return [...rows.values()].filter((r) => Object.values(r.joules).some((j) => j) || Object.keys(r.counts).length);
}

const counted = (row, columns) => columns.reduce((sum, c) => sum + (row.counts[c] || 0), 0) / data.samples;
const loses = (row, name) => row.joules[name] > 0 && row.joules[data.baselines[name].beside] > row.joules[name];
const beside = (profile) => (data.ann !== null && profile.prices_anns ? BASELINES : []);

function answers(profile, found, rows) {
  const total = found.energies.network;
  fill("headline", energyText(total));
  fill("total", energyText(total));
  const source = data.input.source ? `, from ${data.input.source}` : "";
  fill("total-note", `per inference${data.timesteps > 1 ? ` of T = ${data.timesteps} time steps` : ""}; mean over ${data.samples} inputs${source}`);
  const { samples, constants, wins } = profile.sure, sure = [];
  sure.push(samples ? `${rangeText(samples.network, energyText)} (95 % over inputs)` : "one input: nothing is known about others");
  sure.push(constants ? `${rangeText(constants.network, energyText)} (90 % over the constants)` : "the profile gives no ranges for its constants");
  if (data.ann !== null && data.compared)
    sure.push(data.flips.length ? `the verdict against ${data.flips.join(" and ")} differs between profiles`
      : `the verdict is the same under all ${data.compared} profiles that price an ANN`);
  fill("sure", ...sure.map((text) => element("li", {}, text)));
  const lines = beside(profile).map((name) => {
    const theirs = found.energies[name], ours = found.energies[data.baselines[name].beside];
    if (!theirs) return element("li", {}, `${data.baselines[name].title}: no price`);
    const chance = wins ? `; probability of needing less: ${wins[name].toFixed(2)}` : "";
    const text = `${ours > theirs ? "▲ " : ""}${timesText(ours / theirs)} ${data.baselines[name].words} (${energyText(theirs)})${chance}`;
    return element("li", ours > theirs ? { class: "loses" } : {}, text);
  });
  if (lines.length) lines.push(element("li", { class: "small" }, `the ANN is: ${data.ann}`));
  const alone = data.ann === null ? `no spikes: dense ${energyText(found.energies.dense_ann)}, skipping zeros ${energyText(found.energies.zero_skipping_ann)}`
    : "this profile prices no multiply-accumulates, and so no ANN";
  fill("against", ...(lines.length ? lines : [element("li", {}, alone)]));
  const largest = rows.reduce((a, b) => ((b.joules.network || 0) > (a.joules.network || 0) ? b : a), rows[0]);
  fill("dominant", total ? `layer ${largest.name}` : "none");
  const term = total && Object.entries(largest.terms).sort((a, b) => b[1] - a[1])[0];
  const what = total && largest.operations.length ? `${largest.operations.join(", ")}; ` : "";
  fill("dominant-note", total ? `${what}${percentText(largest.joules.network / total)} of the energy, mostly ${data.terms[term[0]]}` : "");
  fill("verdict", profile.verdict);
  const missing = profile.unpriced.map((u) => `${u.operation} in ${u.layer} (${u.of})`);
  fill("unpriced", missing.length ? `Lower bounds. Not priced: ${[...new Set(missing)].join("; ")}.` : "");
}

function layers(profile, found, rows) {
  const total = found.energies.network, names = beside(profile);
  const columns = [
    { title: "layer", words: true, value: (r) => r.name, text: (r) => r.name },
    { title: "input", words: true, value: (r) => r.inputs.join("+"), text: (r) => r.inputs.join("+") },
    ...Object.entries(data.counted).map(([title, of]) => ({
      title, value: (r) => counted(r, of), text: (r) => (counted(r, of) ? countText(counted(r, of)) : "–"),
      about: of.map((c) => data.columns[c]).join("; "),
    })),
    { title: "energy", value: (r) => r.joules.network || 0, text: (r) => energyText(r.joules.network || 0) },
    { title: "share", value: (r) => r.joules.network || 0, text: (r) => (total ? percentText((r.joules.network || 0) / total) : "–") },
    ...names.map((name) => ({
      title: data.baselines[name].title, value: (r) => r.joules[name] || 0,
      text: (r) => (r.joules[name] ? energyText(r.joules[name]) : "–"), mark: (r) => loses(r, name),
    })),
  ];
  const sums = Object.values(data.counted).map((of) => rows.reduce((sum, row) => sum + counted(row, of), 0));
  const foot = ["total", "", ...sums.map((n) => (n ? countText(n) : "–")), energyText(total), total ? "100.0 %" : "–",
    ...names.map((name) => energyText(found.energies[name]))];
  sortable("layers", columns, rows, foot);
  const series = ["network", ...names];
  const titles = ["network", ...names.map((name) => data.baselines[name].title)];
  const shown = rows.filter((r) => series.some((s) => r.joules[s]));
  barChart(document.getElementById("bars"), shown.map((r) => ({
    name: r.name,
    values: series.map((s) => r.joules[s] || null),
    texts: series.map((s, i) => `${r.name}\n${titles[i]}: ${energyText(r.joules[s] || 0)}`
      + (s === "network" ? Object.entries(r.terms).map(([t, j]) => `\n${t}: ${energyText(j)}`).join("") : "")),
  })), titles);
}

function overTime(profile) {
  const steps = profile.over_time, accuracies = data.accuracies;
  document.getElementById("over-time").hidden = steps.length < 2;
  if (steps.length < 2) return;
  const told = (joules, i) => `after ${i + 1} steps: ${energyText(joules)}${accuracies ? `\naccuracy ${percentText(accuracies[i])}` : ""}`;
  const charts = [lineChart(steps.map((joules, i) => ({ x: i + 1, y: joules, text: told(joules, i) })),
    { x: "time steps", y: "energy" }, (x) => `${x}`, energyText)];
  if (accuracies) charts.push(lineChart(steps.map((joules, i) => ({ x: joules, y: accuracies[i], text: told(joules, i) })),
    { x: "energy", y: "accuracy" }, energyText, percentText));
  fill("curves", ...charts);
}

function background(profile, found) {
  const total = found.energies.network;
  sortable("terms", [
    { title: "term", words: true, value: (r) => r[0], text: (r) => r[0] },
    { title: "what it is", words: true, long: true, value: (r) => data.terms[r[0]], text: (r) => data.terms[r[0]] },
    { title: "energy", value: (r) => r[1], text: (r) => energyText(r[1]) },
    { title: "share", value: (r) => r[1], text: (r) => percentText(r[1] / total) },
  ], Object.entries(found.sides.network.terms));
  const ratio = (p, name) => {
    const e = underAll.get(p).energies;
    return data.ann !== null && e[name] ? e[data.baselines[name].beside] / e[name] : NaN;
  };
  sortable("profiles", [
    { title: "profile", words: true, value: (p) => p.name, text: (p) => p.name },
    { title: "energy", value: (p) => underAll.get(p).energies.network, text: (p) => energyText(underAll.get(p).energies.network) },
    ...(data.ann === null ? [] : BASELINES.map((name) => ({
      title: `over ${data.baselines[name].title}`, value: (p) => ratio(p, name) || 0,
      text: (p) => (Number.isNaN(ratio(p, name)) ? "–" : ratio(p, name).toFixed(3)), mark: (p) => ratio(p, name) > 1,
    }))),
    { title: "what it is", words: true, long: true, value: (p) => p.title, text: (p) => p.title },
  ], data.profiles, null, (p) => p === profile);
  fill("sentence", profile.sentence);
  const pairs = Object.entries(profile.conventions).flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]);
  const apart = data.departures.length ? [element("dt", {}, "where the capacity-matched ANN departs"), element("dd", {}, data.departures.join("; "))] : [];
  fill("conventions", ...pairs, ...apart);
  fill("citation", `${profile.name}: ${profile.citation}. ${profile.note} SHA-256 ${profile.digest}.`);
  const text = (name) => ({ title: name, words: true, long: ["citation", "note"].includes(name), value: (r) => String(r[name]), text: (r) => String(r[name]) });
  sortable("constants", [
    text("constant"), ...["value", "low", "high"].map((name) => ({ title: name, value: (r) => r[name], text: (r) => `${r[name]} ${r.unit}` })),
    ...["node_nm", "voltage", "precision", "kind", "scope", "citation", "note"].map(text),
  ], Object.entries(profile.constants).map(([constant, figure]) => ({ constant, ...figure })));
}

function show() {
  const profile = data.profiles[document.getElementById("profile").selectedIndex], found = underAll.get(profile);
  const rows = layerRows(found);
  fill("profile-title", profile.title);
  answers(profile, found, rows);
  layers(profile, found, rows);
  overTime(profile);
  background(profile, found);
  const wrong = document.getElementById("wrong");
  wrong.hidden = found.worst < 1e-9;
  fill("wrong", wrong.hidden ? "" : "The figures of this page do not agree with the report that it was made from.");
}

const choice = document.getElementById("profile");
choice.append(...data.profiles.map((profile) => element("option", { value: profile.name }, profile.name)));
choice.addEventListener("change", show);
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; show(); } });
document.getElementById("copy").addEventListener("click", () => {
  getSelection().selectAllChildren(document.getElementById("sentence"));
  document.execCommand("copy");
});
fill("digest", data.digest);
fill("made", `spikesim ${data.version}; counts are exact, prices are data with sources: estimates, no measurement of a chip.`);
fill("refused", ...data.refused.map((r) => element("li", { class: "small" }, `${r.name} is not applied: ${r.reason}`)));
fill("references", ...data.references.map((r) => element("li", { class: "small" }, `${r.title}: ${Object.entries(r.figures || {}).map(([n, f]) => `${n} ${f.value} ${f.unit}`).join(", ")} (${r.citation})`)));
show();
