"""EventMix: two recordings mixed in a region of random shape in space and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.mixing import Box, EventMixer, Region
from spikesim.datasets.transforms.settings import LARGEST, check_numbers, check_whole, ends_of

_CELLS = 32  # along each axis, on which the level is found above which a mixture fills a given volume


@njit(cache=True, nogil=True)
def density(x: Any, y: Any, t: Any, mixture: Any) -> Any:
    """Height of a mixture of Gaussians at one point of the unit cube.

    Args:
        x: of the point.
        y: of the point.
        t: of the point.
        mixture: ``[K, 7]``: weight, means and widths along x, y and t.
    """
    total = 0.0
    for k in range(len(mixture)):
        u = (x - mixture[k, 1]) / mixture[k, 4]
        v = (y - mixture[k, 2]) / mixture[k, 5]
        w = (t - mixture[k, 3]) / mixture[k, 6]
        total += mixture[k, 0] * np.exp(-0.5 * (u * u + v * v + w * w))
    return total


@njit(cache=True, nogil=True)
def _on_cells(mixture: Any, cells: Any) -> Any:
    heights = np.empty(cells**3)
    for i in range(cells):
        for j in range(cells):
            for k in range(cells):
                place = (i * cells + j) * cells + k
                heights[place] = density((i + 0.5) / cells, (j + 0.5) / cells, (k + 0.5) / cells, mixture)
    return heights


@njit(cache=True, nogil=True)
def _above(data: Any, width: Any, height: Any, start: Any, length: Any, mixture: Any, level: Any, inside: Any) -> None:
    for i in range(len(data)):
        x, y = (np.int64(data[i]["x"]) + 0.5) / width, (np.int64(data[i]["y"]) + 0.5) / height
        t = (np.int64(data[i]["t"]) - start + 0.5) / length
        inside[i] = density(x, y, t, mixture) >= level


@dataclass(frozen=True)
class EventMix(EventMixer):
    """Replace the events of a region of random shape in space and time by those of another recording.

    The region is where a random mixture of Gaussians over x, y and t is highest. Source: Shen et al., EventMix,
    Information Sciences 644, 2023 (arXiv:2205.12054), which mixes frames and weighs labels by counts of events
    ("share" here) or by distance. How the mixtures are drawn is not all in the paper; defaults follow the authors'
    published code: 2 to 4 components with weights, middles and widths drawn evenly, widths up to half a side. (That
    code lifts widths below a twentieth of a side to it; here they are drawn from there on. It also adds noise, for
    which there is :class:`spikesim.datasets.transforms.UniformNoise`.) Other arguments and the rules for the weight:
    :class:`EventMixer`.

    Args:
        components: how many Gaussians, or a range from which the number is drawn.
        widths: range of their standard deviations, as shares of a side of the space.

    Raises:
        ConfigError: a setting that makes no sense.
        EventError: two sensor sizes, or an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import EventMix
        >>> a = Events.from_columns(range(8), range(8), range(8), [1] * 8, (8, 8, 2))
        >>> mixed = EventMix(seed=0)((a, 3), (Events.empty((8, 8, 2)), 5))
        >>> mixed.label.weight, sum(mixed.kept) + mixed.dropped[0]
        (1.0, 8)
    """

    components: int | tuple[int, int] = (2, 4)
    widths: tuple[float, float] = (0.05, 0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        fewest, most = self._range()
        check_whole("components", fewest, 1)
        check_whole("components", most, int(fewest))
        check_numbers("widths", self.widths, 1e-6, LARGEST, "two positive shares, the smaller one first")

    def _range(self) -> tuple[int, int]:
        return ends_of("components", self.components)

    def region(self, box: Box, volume: float, draw: Draw) -> Region:
        """See :class:`EventMix`."""
        fewest, most = self._range()
        count = int(draw.integers(fewest, most + 1, 1)[0])
        mixture = np.empty((count, 7))
        mixture[:, :4] = draw.uniform(4 * count).reshape(count, 4)
        mixture[:, 4:] = draw.uniform(3 * count, *ends_of("widths", self.widths)).reshape(count, 3)
        heights = np.sort(_on_cells(mixture, _CELLS))[::-1]
        filled = round(volume * len(heights))
        # An event may lie lower or higher than the middles of all cells.
        level = np.inf if filled == 0 else -np.inf if filled == len(heights) else heights[filled - 1]

        def holds(data: NDArray[Any]) -> NDArray[np.bool_]:
            inside = np.empty(len(data), np.bool_)
            _above(data, box.size[0], box.size[1], box.start, box.length, mixture, float(level), inside)
            return inside

        return Region(holds, filled / len(heights))
