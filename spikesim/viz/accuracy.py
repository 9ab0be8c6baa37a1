"""Accuracy against the number of time steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spikesim.viz.canvas import COLORS, canvas, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_over_time(
    timesteps: Sequence[int],
    accuracies: Mapping[str, Sequence[float]],
    references: Mapping[str, float] | None = None,
    axis: Axes | None = None,
) -> Figure:
    """Draw how accuracy grows with the number of time steps T.

    Args:
        timesteps: values of T, the common x axis (logarithmic).
        accuracies: name to one accuracy per T, as fractions of 1.
        references: name to an accuracy that does not depend on T (the ANN), drawn as a dashed line.
        axis: axes to draw on; by default a figure of its own.

    Example:
        >>> from spikesim.viz import accuracy_over_time
        >>> figure = accuracy_over_time([1, 2, 4], {"SNN": [0.5, 0.8, 0.97]}, {"ANN": 0.98})
        >>> figure.axes[0].get_xlabel()
        'time steps T'
    """
    if axis is None:
        _, (axis,) = canvas()
    for style, (name, values) in zip(styles(), accuracies.items()):
        axis.plot(timesteps, [100 * value for value in values], label=name, **style)  # type: ignore[arg-type]
    for color, (name, value) in zip(COLORS[::-1], (references or {}).items()):
        axis.axhline(100 * value, linestyle="--", label=f"{name} {100 * value:.1f} %", color=color)
    axis.set_xscale("log", base=2)
    axis.set_xticks(list(timesteps), [str(step) for step in timesteps])
    axis.set_xlabel("time steps T")
    axis.set_ylabel("accuracy (%)")
    axis.legend(frameon=False)
    return axis.get_figure()  # type: ignore[return-value]
