"""Surrogate gradients and the smoothed steps that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spikesim.viz.canvas import COLORS, canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 4
Curves = Mapping[str, Sequence[float]]


def surrogate_curves(u: Sequence[float], derivatives: Curves, primitives: Curves) -> Figure:
    """Draw derivatives and their integrals.

    A few share two panels, derivatives on the left and integrals beside the hard step on the right, so that they can
    be compared; more than there are colours get a panel each.

    Args:
        u: potential minus threshold, the common x axis.
        derivatives: name to one value per ``u``.
        primitives: name to one value per ``u``; the same names.

    Example:
        >>> from spikesim.viz import surrogate_curves
        >>> figure = surrogate_curves([-1, 0, 1], {"box": [0, 1, 0]}, {"box": [0, 0.5, 1]})
        >>> [axis.get_ylabel() for axis in figure.axes]
        ['derivative', 'primitive (smoothed step)']
    """
    if len(derivatives) > len(COLORS):
        return _panel_each(u, derivatives, primitives)
    figure, (left, right) = canvas(2, width=5.5, height=4.0)
    for axis, curves, label in ((left, derivatives, "derivative"), (right, primitives, "primitive (smoothed step)")):
        for color, (name, values) in zip(COLORS, curves.items()):
            axis.plot(u, values, label=name, color=color)
        axis.set_xlabel("u = potential - threshold")
        axis.set_ylabel(label)
    right.plot(u, [1.0 if value >= 0 else 0.0 for value in u], color="#888888", linewidth=0.8, label="spike")
    figure.legend(*right.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def _panel_each(u: Sequence[float], derivatives: Curves, primitives: Curves) -> Figure:
    figure, axes = canvas(len(derivatives))
    rows = -(-len(axes) // _COLUMNS)
    figure.set_size_inches(3.0 * _COLUMNS, 2.2 * rows)
    grid = figure.add_gridspec(rows, _COLUMNS)
    for place, (axis, name) in enumerate(zip(axes, derivatives)):
        axis.set_subplotspec(grid[place // _COLUMNS, place % _COLUMNS])
        axis.set_title(name.removesuffix("()").replace("(", "\n(", 1), fontsize=9)
        axis.plot(u, derivatives[name], color=COLORS[0], label="derivative")
        axis.plot(u, primitives[name], color=COLORS[1], linestyle="--", label="primitive (smoothed step)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    figure.supxlabel("u = potential - threshold", fontsize=10)
    return figure
