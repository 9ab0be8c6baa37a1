"""What an event recording looks like: frames, and how many events there are at what time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikesim.viz.canvas import COLORS, canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def recording_preview(
    frames: NDArray[np.generic], rates: NDArray[np.float64], duration_ms: float, title: str = ""
) -> Figure:
    """Draw frames in a row, and below them the rate of events over time.

    Args:
        frames: counts ``[T, P, H, W]``; polarity 1 (or the only one) is drawn in the first colour, 0 in the second.
        rates: events per millisecond in equal stretches of the recording, ``[P, K]``.
        duration_ms: length of the recording.
        title: above the picture.

    Example:
        >>> import numpy as np
        >>> from spikesim.viz import recording_preview
        >>> figure = recording_preview(np.zeros((3, 2, 4, 5)), np.ones((2, 8)), 12.0)
        >>> len(figure.axes)
        4
    """
    count = max(len(frames), 1)
    figure, blank = canvas(width=1.6 * count, height=4.2)
    blank[0].remove()
    grid = figure.add_gridspec(2, count, height_ratios=(3, 2))
    brightest = max(float(frames.max()) if frames.size else 0.0, 1.0)
    for index, frame in enumerate(frames):
        axis = figure.add_subplot(grid[0, index])
        axis.imshow(colored(np.asarray(frame, np.float64) / brightest), interpolation="nearest")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_xlabel(f"{duration_ms * index / count:.0f} ms", fontsize=8)
    below = figure.add_subplot(grid[1, :])
    edges = np.linspace(0.0, duration_ms, rates.shape[1] + 1)
    names = ("off", "on") if len(rates) == 2 else ("events",)
    for row, name, color in zip(rates[::-1], names[::-1], COLORS):
        below.stairs(row, edges, label=name, color=color)
    below.set_xlabel("time (ms)")
    below.set_ylabel("events per ms")
    below.spines[["top", "right"]].set_visible(False)
    below.legend(frameon=False)
    if title:
        figure.suptitle(title)
    return figure


def colored(frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """White where nothing happened; each polarity takes its own colour out of the white.

    Args:
        frame: ``[P, H, W]``, from 0 to 1.
    """
    image = np.ones((*frame.shape[1:], 3))
    for counts, color in zip(frame[::-1], COLORS):
        ink = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        image -= np.sqrt(counts)[..., None] * (1.0 - ink)
    return image.clip(0.0, 1.0)
