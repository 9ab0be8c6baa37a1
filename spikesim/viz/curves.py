"""Loss and accuracy over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spikesim.errors import ConfigError
from spikesim.viz.canvas import COLORS, canvas, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training_curves(
    epochs: Sequence[int],
    losses: Mapping[str, Sequence[float]],
    accuracies: Mapping[str, Sequence[float]],
    best_epoch: int | None = None,
) -> Figure:
    """Draw losses on the left and accuracies on the right.

    Args:
        epochs: epoch numbers, the common x axis.
        losses: name to one value per epoch.
        accuracies: name to one value per epoch, as fractions of 1.
        best_epoch: marked with a vertical line: the epoch whose weights were kept.

    Example:
        >>> from spikesim.viz import training_curves
        >>> figure = training_curves([0, 1], {"train": [1.0, 0.5]}, {"validation": [0.7, 0.9]}, best_epoch=1)
        >>> len(figure.axes)
        2
    """
    figure, (left, right) = canvas(2)
    for color, (name, values) in zip(COLORS, losses.items()):
        left.plot(epochs, values, label=name, color=color)
    for color, (name, values) in zip(COLORS, accuracies.items()):
        right.plot(epochs, [100 * value for value in values], label=name, color=color)
    for axis, label in ((left, "cross-entropy loss (nats)"), (right, "accuracy (%)")):
        axis.set_xlabel("epoch")
        axis.set_ylabel(label)
        _whole_epochs(axis, epochs)
        if best_epoch is not None:
            axis.axvline(best_epoch, color="#888888", linestyle=":", label=f"kept: epoch {best_epoch}")
        axis.legend(frameon=False)
    return figure


def rate_curves(epochs: Sequence[int], rates: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the firing rate of every layer over epochs: a layer that dies or bursts shows when it does.

    Args:
        epochs: epoch numbers, the common x axis.
        rates: layer to spikes per neuron and time step, one value per epoch.

    Raises:
        ConfigError: there is no layer.

    Example:
        >>> from spikesim.viz import rate_curves
        >>> figure = rate_curves([1, 2], {"1": [0.2, 0.1], "3": [0.05, 0.04]})
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['1', '3']
    """
    if not rates:
        raise ConfigError("there is no layer to draw: give {layer: one rate per epoch}")
    figure, (axis,) = canvas(1, 6.5)
    for style, (layer, values) in zip(styles(), rates.items()):
        (line,) = axis.plot(epochs, values, label=layer, markersize=3)
        line.set(**style)
    axis.set_xlabel("epoch")
    axis.set_ylabel("spikes per neuron and time step")
    axis.set_ylim(bottom=0.0)
    _whole_epochs(axis, epochs)
    # Beside the lines: a deep network has more layers than fit on them.
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, ncols=1 + len(rates) // 20)
    return figure


def _whole_epochs(axis: Axes, epochs: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins="auto"))
    if len(epochs) == 1:  # a line of one point is none
        for line in axis.lines:
            line.set_marker("o")
