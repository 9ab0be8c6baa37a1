"""What a classifier does: which classes it confuses, how busy its layers are, what it saw and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spikesim.errors import ConfigError, ShapeError
from spikesim.viz.canvas import COLORS, canvas
from spikesim.viz.recording import colored

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

_WRITTEN = 20  # classes up to which every cell carries its number


def confusion_matrix(counts: ArrayLike, classes: Sequence[str]) -> Figure:
    """Draw how often each class was taken for each other.

    Args:
        counts: whole numbers ``[K, K]``: true class down, named class across.
        classes: K names.

    Raises:
        ShapeError: counts are not square, or of another number of classes.

    Example:
        >>> from spikesim.viz import confusion_matrix
        >>> figure = confusion_matrix([[3, 1], [0, 4]], ["cat", "dog"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['3', '1', '0', '4']
    """
    table = np.asarray(counts)
    if table.shape != (len(classes), len(classes)):
        raise ShapeError(f"counts have shape {table.shape}, but there are {len(classes)} classes; expected [K, K]")
    side = max(4.0, 0.4 * min(len(classes), 30))
    figure, (axis,) = canvas(1, side + 1.0, side)
    axis.grid(False)
    of_class = table.sum(1, keepdims=True)
    shares = table / np.maximum(of_class, 1)
    image = axis.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    if len(classes) <= _WRITTEN:
        for row, column in np.ndindex(*table.shape):
            color = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, str(int(table[row, column])), ha="center", va="center", color=color, fontsize=8)
    places = range(0, len(classes), max(1, len(classes) // 30))
    axis.set_xticks(places, [classes[k] for k in places], rotation=90)
    axis.set_yticks(places, [classes[k] for k in places])
    axis.set_xlabel("named class")
    axis.set_ylabel("true class")
    figure.colorbar(image, ax=axis, label="share of the true class", shrink=0.8)
    return figure


def firing_rates(rates: Mapping[str, float]) -> Figure:
    """Draw a bar for the firing rate of every layer.

    Args:
        rates: layer to spikes per neuron and time step.

    Raises:
        ConfigError: there is no layer.

    Example:
        >>> from spikesim.viz import firing_rates
        >>> len(firing_rates({"1": 0.2, "3": 0.05}).axes[0].patches)
        2
    """
    if not rates:
        raise ConfigError("there is no layer to draw: give {layer: spikes per neuron and step}")
    figure, (axis,) = canvas(1, 6.0, 1.2 + 0.35 * len(rates))
    axis.barh(range(len(rates)), list(rates.values()), color=COLORS[0])
    axis.set_yticks(range(len(rates)), list(rates))
    axis.invert_yaxis()
    axis.set_xlabel("spikes per neuron and time step")
    return figure


def predictions(frames: ArrayLike, labels: Sequence[str], named: Sequence[str], confidences: Sequence[float]) -> Figure:
    """Draw samples, what they are and what they were taken for.

    Args:
        frames: events per pixel, summed over time, ``[N, P, H, W]`` with one or two polarities.
        labels: true class of each.
        named: class that was named.
        confidences: the network's own, from 0 to 1.

    Raises:
        ShapeError: another rank, no sample, or lists of another length.

    Example:
        >>> import numpy as np
        >>> from spikesim.viz import predictions
        >>> figure = predictions(np.ones((2, 2, 4, 4)), ["0", "1"], ["0", "7"], [0.9, 0.4])
        >>> [axis.get_title() for axis in figure.axes]
        ['0 (90 %)', '7 (40 %), is 1']
    """
    pictures = np.asarray(frames, np.float64)
    if pictures.ndim != 4 or not len(pictures):
        raise ShapeError(f"frames have shape {pictures.shape}; expected [N, P, H, W] with at least one sample")
    if not len(labels) == len(named) == len(confidences) == len(pictures):
        raise ShapeError(f"there are {len(pictures)} frames, but {len(labels)} labels, {len(named)} names")
    figure, axes = canvas(len(pictures), 1.6, 2.0)
    for axis, picture, label, name, confidence in zip(axes, pictures, labels, named, confidences):
        axis.imshow(colored(picture / max(float(picture.max()), 1.0)))
        axis.set_axis_off()
        right = label == name
        text = f"{name} ({100 * confidence:.0f} %)" + ("" if right else f", is {label}")
        axis.set_title(text, fontsize=8, color="black" if right else COLORS[5])
    return figure
