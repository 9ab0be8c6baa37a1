"""The report on a terminal, within 80 columns for ordinary layer names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from spikesim.energy.columns import EVENT_KINDS
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
    for name, layer in ledger.layers.items():
        energy = priced.layer(name)
        if not energy and not any(layer[n] for names in _COUNTED.values() for n in names):
            continue  # moves or folds values only
        counts = [mean(sum(layer[n] for n in names)) for names in _COUNTED.values()]
        table.add_row(name, layer.input_type, *counts, format_energy(energy), _share(energy, whole))
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


def baseline_table(report: EnergyReport) -> Table:
    """The network beside its baselines; like is compared with like."""
    table = _table(f"beside the {report.ann_name}, same {report.ledger.samples} samples")
    for title in ("analog layers", "network", "ANN", "network / ANN"):
        table.add_column(title, justify="left" if title == "analog layers" else "right")
    dense, skipping = report.dense_ann, report.zero_skipping_ann
    table.add_row("dense", format_energy(report.energy), format_energy(dense), _times(report.ratio_dense))
    table.add_row(
        "skipping zeros",
        format_energy(report.energy_zero_skipping),
        format_energy(skipping),
        _times(report.ratio_zero_skipping),
    )
    return table


def show(report: EnergyReport, console: Console | None = None) -> None:
    """Write the report to a console, by default the standard output."""
    console = console or Console()
    console.print(layer_table(report))
    console.print(term_table(report))
    console.print(baseline_table(report))
    if report.source is not None:
        console.print(f"Input ({report.ledger.input}): {report.source}.", highlight=False, markup=False)
    console.print(report.verdict, highlight=False, markup=False)
    if report.unpriced:
        named = sorted({f"{u['operation']} in {u['layer']} ({u['of']})" for u in report.unpriced})
        console.print("Not priced: " + "; ".join(named), highlight=False, markup=False)
