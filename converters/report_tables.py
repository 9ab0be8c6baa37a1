"""The tables that a report prints: accuracy, spikes and energy against t; errors of layers against t."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikesim.energy import format_energy

if TYPE_CHECKING:
    from rich.table import Table

    from spikesim.converters.report import Accuracy, LayerReport


def ladder(timesteps: int) -> list[int]:
    """The t that tables show: 1, 2, 4, ... and T.

    Example:
        >>> from spikesim.converters.report_tables import ladder
        >>> ladder(6)
        [1, 2, 4, 6]
    """
    return sorted({timesteps, *(2**k for k in range(timesteps.bit_length()))})


def accuracy_table(found: Accuracy, timesteps: int) -> Table:
    """One row for each t, all from one run.

    Args:
        found: What was measured.
        timesteps: T.

    Example:
        >>> from spikesim.converters.report import Accuracy
        >>> from spikesim.converters.report_tables import accuracy_table
        >>> accuracy_table(Accuracy(samples=4, ann=1.0, snn=[0.5, 1.0]), 2).row_count
        2
    """
    from rich.table import Table

    spent = found.expense
    title = f"{found.samples} samples" if found.ann is None else f"ANN {found.ann:.2%} on {found.samples} samples"
    if spent is not None and spent.ann is not None and spent.ann_zero_skipping is not None:
        title += f", {format_energy(spent.ann)}, zero-skipping {format_energy(spent.ann_zero_skipping)}"
    heads = ["t", "accuracy"] + ["points lost"] * (found.ann is not None)
    table = Table(*heads, *(["spikes/sample", "energy/sample"] if spent is not None else []), title=title)
    rows = [
        (str(t), found.snn[t - 1], (spent.spikes[t - 1], spent.energy[t - 1]) if spent else None)
        for t in ladder(timesteps)
    ]
    if found.settled is not None:
        rows.append(("settled", found.settled, spent.whole if spent else None))
    for name, accuracy, cost in rows:
        lost = [] if found.ann is None else [f"{100 * (found.ann - accuracy):+.2f}"]
        costs = [] if cost is None else [f"{cost[0]:,.0f}", format_energy(cost[1])]
        table.add_row(name, f"{accuracy:.2%}", *lost, *costs)
    if spent is not None:
        table.caption = f"energy by profile {spent.profile}, analog layers dense"
        if spent.unpriced:
            more = f" and {len(spent.unpriced) - 3} more" if len(spent.unpriced) > 3 else ""
            table.caption += f"; lower bounds, not priced: {', '.join(spent.unpriced[:3])}{more}"
    return table


def error_table(layers: list[LayerReport]) -> Table:
    """One row for each layer, one column for each t; each cell names the largest part that the layer adds itself.

    Args:
        layers: Of a report.

    Example:
        >>> from spikesim.converters.report_tables import error_table
        >>> error_table([]).title
        "error of a layer's rates against t, relative to its activations, and what it adds most of"
    """
    from rich.markup import escape
    from rich.table import Table

    steps = sorted({t for layer in layers for t in layer.error_at})
    title = "error of a layer's rates against t, relative to its activations, and what it adds most of"
    table = Table("layer", *(f"t={t}" for t in steps), title=title)
    totals = {t: max((x.error_at[t].own for x in layers if t in x.error_at), default=0.0) for t in steps}
    for layer in layers:
        cells = []
        for t in steps:
            parts = layer.error_at.get(t)
            mark = " *" if parts is not None and len(layers) > 1 and parts.own == totals[t] else ""
            cells.append("" if parts is None else f"{parts.total:.3f} {parts.worst}{mark}")
        table.add_row(escape(layer.name), *cells)
    table.caption = "* adds the most of its own at this t" if len(layers) > 1 else None
    return table
