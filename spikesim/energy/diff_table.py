"""Differences between two reports on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikesim.energy.comparison import BASELINES
from spikesim.energy.lines import COUNTED
from spikesim.energy.units import format_count, format_energy

if TYPE_CHECKING:
    from spikesim.energy.diff import EnergyDiff, LayerChange


def show(diff: EnergyDiff, console: Console | None = None) -> None:
    """Write the differences to a console, by default the standard output."""
    console = console or Console()

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    say(f"a: {diff.names[0]}\nb: {diff.names[1]}")
    if diff.total.status == "same" and not diff.settings and not diff.baselines:
        say(f"No difference: {format_energy(diff.total.energy_a)} per inference in both.")
        return
    table = Table(title="per inference", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False)
    for title in ("layer", "", "a", "b", "change", "by counts", "by prices"):
        table.add_column(title, justify="left" if title in ("layer", "") else "right", no_wrap=title != "layer")
    # Layers that only move values are left out.
    counted = [layer for layer in diff.layers if layer.energy_a or layer.energy_b or layer.counts]
    rows = [layer for layer in counted if layer.status != "same"]
    for layer in rows:
        table.add_row(*map(escape, _cells(layer, layer.status)), end_section=layer is rows[-1])
    table.add_row(*_cells(diff.total, ""))
    console.print(table)
    if len(counted) > len(rows):
        say(f"The other {len(counted) - len(rows)} layers are the same.")
    for layer in rows:
        told = _counted(layer)
        if told and layer.status in ("changed", "renamed"):
            say(f"{layer.name}: {told}")
    for name, (before, after) in diff.baselines.items():
        say(f"{BASELINES[name][0]}: {format_energy(before)} -> {format_energy(after)}")
    if diff.total.by_counts is None:
        say("Counts and prices cannot be told apart: the counts of a cannot be priced as those of b were.")
    for what, (before, after) in diff.settings.items():
        say(f"{what}: {_value(before)} -> {_value(after)}")


def _cells(layer: LayerChange, status: str) -> list[str]:
    before, after = layer.energy_a, layer.energy_b
    share = f" ({100 * (after / before - 1):+.1f} %)" if before and after else ""
    parts = [_signed(part) if part is not None else "?" for part in (layer.by_counts, layer.by_prices)]
    return [layer.name, status, format_energy(before), format_energy(after), _signed(after - before) + share, *parts]


def _signed(joules: float) -> str:
    return f"+{format_energy(joules)}" if joules > 0 else format_energy(joules)


def _counted(layer: LayerChange) -> str:
    """What was counted differently, in the words of the report's table."""
    told = []
    for title, columns in COUNTED.items():
        pairs = [layer.counts[column] for column in columns if column in layer.counts]
        if pairs:
            before, after = (sum(pair[side] for pair in pairs) for side in (0, 1))
            told.append(f"{title} {format_count(before)} -> {format_count(after)}")
    return ", ".join(told)


def _value(value: object) -> str:
    return "none" if value is None else str(value)
