"""Accuracy against energy, one point for every number of time steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spikesim.errors import ConfigError
from spikesim.viz.canvas import COLORS, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def energy_tradeoff(
    timesteps: Sequence[int],
    energies: Sequence[float],
    accuracies: Sequence[float],
    references: Mapping[str, tuple[float, float]] | None = None,
    axis: Axes | None = None,
) -> Figure:
    """Draw what each further time step costs and buys.

    Args:
        timesteps: values of T, written beside the points.
        energies: joules per sample, one for each T.
        accuracies: as fractions of 1, one for each T.
        references: name to (joules, accuracy) of what has no T, such as the ANN.
        axis: axes to draw on; by default a figure of its own.

    Raises:
        ConfigError: lists of different lengths, or none.

    Example:
        >>> from spikesim.viz import energy_tradeoff
        >>> figure = energy_tradeoff([1, 2, 4], [1e-8, 2e-8, 4e-8], [0.5, 0.8, 0.97], {"ANN": (3e-8, 0.98)})
        >>> figure.axes[0].get_xlabel(), [text.get_text() for text in figure.axes[0].texts]
        ('energy per sample (nJ)', ['T=1', '2', '4'])
    """
    if not len(timesteps) == len(energies) == len(accuracies) > 0:
        raise ConfigError(
            f"there are {len(timesteps)} values of T, {len(energies)} energies and {len(accuracies)} accuracies; give "
            "one of each for every T"
        )
    if axis is None:
        _, (axis,) = canvas()
    nanojoules, percent = [1e9 * joules for joules in energies], [100 * accuracy for accuracy in accuracies]
    axis.plot(nanojoules, percent, marker="o", color=COLORS[0], label="spiking network")
    for place, (t, x, y) in enumerate(zip(timesteps, nanojoules, percent)):
        axis.annotate(str(t) if place else f"T={t}", (x, y), xytext=(4, -10), textcoords="offset points", fontsize=8)
    for color, (name, (joules, accuracy)) in zip(COLORS[1:], (references or {}).items()):
        axis.plot([1e9 * joules], [100 * accuracy], marker="s", linestyle="none", color=color, label=name)
    axis.set_xlabel("energy per sample (nJ)")
    axis.set_ylabel("accuracy (%)")
    axis.legend(frameon=False)
    return axis.get_figure()  # type: ignore[return-value]
