"""A blank figure in the style that every picture of the package shares."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#33658a", "#f26419", "#55a630", "#9b5de5", "#758e4f", "#b23a48")
"""Line and bar colours in order; told apart by eyes that see red and green alike."""


def styles() -> Iterator[dict[str, str]]:
    """Line styles without end: all colours, then the same with another marker and dash.

    Example:
        >>> from itertools import islice
        >>> from spikesim.viz.canvas import styles
        >>> len({tuple(style.items()) for style in islice(styles(), 18)})
        18
    """
    for marker, dash in cycle(zip("os^D", ("-", "--", ":", "-."))):
        for color in COLORS:
            yield {"color": color, "marker": marker, "linestyle": dash}


def canvas(panels: int = 1, width: float = 5.0, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels side by side, bound to no window.

    Args:
        panels: number of axes.
        width: width of one panel in inches.
        height: height in inches.

    Example:
        >>> from spikesim.viz.canvas import canvas
        >>> figure, axes = canvas(2)
        >>> len(axes)
        2
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * panels, height), layout="constrained")
    axes = [figure.add_subplot(1, panels, index + 1) for index in range(panels)]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(True, color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes
