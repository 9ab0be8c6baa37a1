"""Energy of several networks side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spikesim.viz.canvas import COLORS, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def energy_bars(layers: Sequence[str], series: Mapping[str, Sequence[float]], axis: Axes | None = None) -> Figure:
    """Draw energy per layer as grouped bars.

    Args:
        layers: layer names, the common x axis.
        series: name (the network or a baseline) to joules per sample, one per layer.
        axis: axes to draw on; by default a figure of its own.

    Example:
        >>> from spikesim.viz import energy_bars
        >>> figure = energy_bars(["conv1", "conv2"], {"SNN": [1e-8, 2e-8], "ANN": [4e-8, 4e-8]})
        >>> figure.axes[0].get_ylabel()
        'energy per sample (nJ)'
    """
    if axis is None:
        _, (axis,) = canvas()
    width = 0.8 / max(1, len(series))
    for place, (color, (name, joules)) in enumerate(zip(COLORS, series.items())):
        centres = [index + (place - (len(series) - 1) / 2) * width for index in range(len(layers))]
        axis.bar(centres, [1e9 * value for value in joules], width, label=name, color=color)
    axis.set_xticks(range(len(layers)), list(layers), rotation=30, ha="right")
    axis.set_ylabel("energy per sample (nJ)")
    axis.legend(frameon=False)
    return axis.get_figure()  # type: ignore[return-value]
