"""Accuracy against energy: what each point of accuracy costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spikesim.viz.canvas import canvas, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def energy_accuracy(
    series: Mapping[str, Sequence[tuple[float, float]]],
    references: Mapping[str, tuple[float, float]] | None = None,
    axis: Axes | None = None,
) -> Figure:
    """Draw accuracy against energy, one line per method, its points in the order given (of T).

    Args:
        series: name to points (joules per sample, accuracy as a fraction of 1).
        references: name to one point, drawn as a star (the ANN).
        axis: axes to draw on; by default a figure of its own.

    Example:
        >>> from spikesim.viz import energy_accuracy
        >>> figure = energy_accuracy({"SNN": [(1e-8, 0.8), (2e-8, 0.97)]}, {"ANN": (4e-8, 0.98)})
        >>> figure.axes[0].get_xlabel()
        'energy per sample (nJ)'
    """
    if axis is None:
        _, (axis,) = canvas()
    for style, (name, points) in zip(styles(), series.items()):
        axis.plot([1e9 * joules for joules, _ in points], [100 * y for _, y in points], label=name, **style)  # type: ignore[arg-type]
    for name, (joules, accuracy) in (references or {}).items():
        axis.plot([1e9 * joules], [100 * accuracy], "k*", markersize=11, label=name)
    drawn = [joules for points in series.values() for joules, _ in points]
    if drawn and min(drawn) > 0:
        axis.set_xscale("log")
    axis.set_xlabel("energy per sample (nJ)")
    axis.set_ylabel("accuracy (%)")
    axis.legend(frameon=False, fontsize="small")
    return axis.get_figure()  # type: ignore[return-value]
