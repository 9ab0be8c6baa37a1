"""The report on a terminal, within 80 columns for ordinary layer names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from spikesim.energy.columns import EVENT_KINDS
from spikesim.energy.comparison import BASELINES
from spikesim.energy.pricing import TERMS
from spikesim.energy.units import format_count, format_energy

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

_COUNTED = {
    "events in": [f"events_in_{k}" for k in EVENT_KINDS],
    "synops": [f"synops_{k}" for k in EVENT_KINDS],
    "MACs": ["mac_dense"],
    "updates": ["neuron_updates"],
    "spikes": ["spikes_out"],
}


def _table(title: str, footer: bool = False) -> Table:
    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, show_footer=footer, padding=(0, 0), pad_edge=False
    )


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _times(ratio: float) -> str:
    return f"{ratio:.3f}" if math.isfinite(ratio) else "-"


def layer_table(report: EnergyReport) -> Table:
    """Counts and energy per inference, one row per layer, totals last."""
    ledger, priced = report.ledger, report.priced
    totals, whole = ledger.total(), priced.total
    table = _table(f"per inference and layer ({report.profile.title})", footer=True)

    def mean(counts: int) -> str:
        return format_count(counts / ledger.samples) if counts else "-"

    table.add_column("layer", footer="total", min_width=7, overflow="fold")
    table.add_column("input", footer="", no_wrap=True)
    for title, names in _COUNTED.items():
        table.add_column(title, justify="right", no_wrap=True, footer=mean(sum(totals[n] for n in names)))
    table.add_column("energy", justify="right", no_wrap=True, footer=format_energy(whole))
    table.add_column("share", justify="right", no_wrap=True, footer=_share(whole, whole))
    for name in priced.layers:
        energy, layer = priced.layer(name), ledger.layers.get(name)
        of_layer = [sum(layer[n] for n in names) if layer else 0 for names in _COUNTED.values()]
        if not energy and not any(of_layer):
            continue  # moves or folds values only
        counts = [mean(count) for count in of_layer]
        kind = layer.input_type if layer else ""
        table.add_row(name, kind, *counts, format_energy(energy), _share(energy, whole))
    return table


def term_table(report: EnergyReport) -> Table:
    """What the energy is spent on."""
    priced = report.priced
    table = _table("per inference and term")
    table.add_column("term")
    table.add_column("energy", justify="right")
    table.add_column("share", justify="right")
    for term in TERMS:
        if priced.term(term):
            table.add_row(term, format_energy(priced.term(term)), _share(priced.term(term), priced.total))
    return table


_COLUMNS = {
    "dense_ann": "dense ANN",
    "zero_skipping_ann": "zero-skipping ANN",
    "capacity_matched": "ANN of {bits} bits",
}


def baseline_table(report: EnergyReport) -> Table:
    """The network beside its baselines; like is compared with like."""
    table = _table(f"beside the {report.ann_name}, same {report.ledger.samples} samples")
    for title in ("baseline", "network", "baseline costs", "ratio", "sampling 95 %", "P(network less)"):
        table.add_column(title, justify="left" if title == "baseline" else "right")
    found = report.uncertainty
    for name, (_, compared) in BASELINES.items():
        spread = found.counts.get(f"ratio_{name}") if found.counts else None
        table.add_row(
            _COLUMNS[name].format(bits=report.matched.bits),
            format_energy(report.energies[compared]),
            format_energy(report.energies[name]),
            _times(report.ratio(name)),
            f"{spread.low:.3f}-{spread.high:.3f}" if spread else "-",
            f"{found.wins[name]:.2f}" if found.wins else "-",
        )
    return table


def certainty(report: EnergyReport) -> list[str]:
    """How sure the energy is, whether other profiles agree, and how the activity compares, one sentence each."""
    found, lines = report.uncertainty, []
    for spreads, words in ((found.counts, "95 % over samples"), (found.constants, "90 % over constants")):
        if spreads:
            one = spreads["network"]
            lines.append(f"Energy per inference: {format_energy(one.low)} to {format_energy(one.high)} ({words}).")
    if not found.constants:
        lines.append(f"Profile {report.profile.name} gives no ranges: nothing here says how sure its constants are.")
    if report.ann_ledger is report.ledger:
        return lines
    panel = report.break_even
    turned = [BASELINES[name][0] for name, flips in report.flips.items() if flips]
    priced = sum(bool(one.ratios) for one in report.elsewhere)
    if turned and report.profile.has_baseline:
        lines.append(f"The verdict against {' and '.join(turned)} differs between profiles.")
    elif priced and report.profile.has_baseline:
        lines.append(f"The verdict is the same under all {priced} profiles that price an ANN.")
    lines.append(
        f"Activity: {panel.spikes_per_synapse:.3g} spikes per synapse and inference, "
        f"{panel.firing_rate:.3g} per neuron and step."
    )
    for name, scale in panel.scale.items():
        end = panel.at(name)
        if end is not None:
            lines.append(f"Break-even with {BASELINES[name][0]}: {end[1]:.3g} spikes per synapse.")
        elif scale is not None:
            lines.append(f"Break-even with {BASELINES[name][0]}: none, a silent network costs more already.")
    for limit, where in panel.beside():
        if where != "another T":
            bound = f"{limit.low:g}" if limit.low == limit.high else f"{limit.low:g}-{limit.high:g}"
            lines.append(f"Published limit, {limit.quantity.replace('_', ' ')} {bound}: {where} ({limit.citation}).")
    return lines


def show(report: EnergyReport, console: Console | None = None) -> None:
    """Write the report to a console, by default the standard output."""
    console = console or Console()
    console.print(layer_table(report))
    console.print(term_table(report))
    if report.profile.has_baseline:
        console.print(baseline_table(report))
    if report.source is not None:
        console.print(f"Input ({report.ledger.input}): {report.source}.", highlight=False, markup=False)
    console.print(report.verdict, highlight=False, markup=False)
    for line in certainty(report):
        console.print(line, highlight=False, markup=False)
    if report.unpriced:
        named = sorted({f"{u['operation']} in {u['layer']} ({u['of']})" for u in report.unpriced})
        console.print("Not priced: " + "; ".join(named), highlight=False, markup=False)
