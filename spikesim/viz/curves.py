"""Loss and accuracy over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spikesim.viz.canvas import COLORS, canvas

if TYPE_CHECKING:
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
        if best_epoch is not None:
            axis.axvline(best_epoch, color="#888888", linestyle=":", label=f"kept: epoch {best_epoch}")
        axis.legend(frameon=False)
    return figure
