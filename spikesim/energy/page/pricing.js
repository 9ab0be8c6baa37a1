// Energy is a function of counts and constants: what spikesim/energy/charges.py multiplies, multiplied here again.

// Joules of one unit of a constant. "mac@3" multiplies a number of 3 bits: at most 3 additions, or a full product.
function worth(profile, constant) {
  const known = profile.constants;
  if (!constant.startsWith("mac@")) return known[constant].si;
  const added = (known.synop || known.add).si;
  return Math.min(known.mac.si, Number(constant.slice(4)) * added);
}

// Prices one side ("network", "dense_ann", ...) under a profile; null where the profile prices no ANN.
function price(data, profile, name) {
  const side = data.sides[name];
  if (side.ledger === "ann" && !profile.prices_anns) return null;
  const layers = new Map(), unpriced = {};
  const add = (layer, term, joules) => {
    if (!layers.has(layer)) layers.set(layer, {});
    const terms = layers.get(layer);
    if (joules) terms[term] = (terms[term] || 0) + joules;
  };
  for (const layer of data.ledgers[side.ledger]) add(layer.name, "", 0);
  for (const [layer, term, constant, quantity] of profile.charges[name])
    add(layer, term, quantity * worth(profile, constant));
  const modelled = new Set(profile.modelled[side.ledger]), full = new Set(data.matched.analog);
  const lines = profile.lines[side.skips ? "skipping" : "dense"];
  for (const layer of data.ledgers[side.ledger]) {
    for (const line of lines) {
      if (line.replaced && modelled.has(layer.name)) continue;
      let count = 0, column = null;
      for (const [name, factor] of Object.entries(line.counts)) {
        if (!(name in layer.counts)) continue;
        column = column || name;
        count += factor * layer.counts[name];
      }
      if (column === null) continue;
      if (!(line.constant in profile.constants)) {
        unpriced[column] = (unpriced[column] || 0) + count;
        continue;
      }
      const few = line.product && side.bits !== null && !full.has(layer.name);
      const constant = few ? `mac@${side.bits}` : line.constant;
      add(layer.name, line.term, (count / data.samples) * worth(profile, constant));
    }
  }
  const sums = new Map(), terms = {};
  let total = 0;
  for (const [layer, byTerm] of layers) {
    let sum = 0;
    for (const [term, joules] of Object.entries(byTerm)) {
      sum += joules;
      terms[term] = (terms[term] || 0) + joules;
    }
    sums.set(layer, sum);
    total += sum;
  }
  return { total, layers: sums, byTerm: layers, terms, unpriced };
}

// All sides under a profile, and by how much the totals miss those that the package computed.
function priceAll(data, profile) {
  const sides = {}, energies = {};
  let worst = 0;
  for (const name of Object.keys(data.sides)) {
    sides[name] = price(data, profile, name);
    energies[name] = sides[name] === null ? 0 : sides[name].total;
    const expected = profile.energies[name];
    const off = Math.abs(energies[name] - expected) / (Math.abs(expected) || 1);
    worst = Math.max(worst, off);
  }
  return { sides, energies, worst };
}
