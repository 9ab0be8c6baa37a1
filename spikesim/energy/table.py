"""The report on a terminal, within 80 columns for ordinary layer names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikesim.energy.comparison import BASELINES
from spikesim.energy.lines import COUNTED, LayerLine, layer_lines
from spikesim.energy.pricing import TERMS
from spikesim.energy.units import format_count, format_energy

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport


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
    *layers, total = layer_lines(report)
    table = _table(f"per inference and layer ({report.profile.title})", footer=True)

    def cells(line: LayerLine) -> list[str]:
        counts = [format_count(count) if count else "-" for count in line.counts]
        share = "-" if line.share is None else f"{100 * line.share:.1f} %"
        return [line.name, line.input, *counts, format_energy(line.energy), share]

    for title, footer in zip(("layer", "input", *COUNTED, "energy", "share"), cells(total)):
        if title == "layer":
            table.add_column(title, footer=footer, min_width=7, overflow="fold")
        else:
            table.add_column(title, footer=footer, no_wrap=True, justify="left" if title == "input" else "right")
    for line in layers:
        table.add_row(*map(escape, cells(line)))
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


BASELINE_NAMES = {
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
    for name in BASELINES:
        spread = found.counts.get(f"ratio_{name}") if found.counts else None
        table.add_row(
            BASELINE_NAMES[name].format(bits=report.matched.bits),
            format_energy(report.compared(name)),
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
