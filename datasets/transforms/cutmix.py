"""CutMix on events, and on batches of frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spikesim.datasets.batch import EventBatch
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.labels import MixedLabel
from spikesim.datasets.transforms.mixing import Box, EventMixer, Region, drawn_beta
from spikesim.datasets.transforms.settings import check_positive
from spikesim.errors import ConfigError


def drawn_rectangle(width: int, height: int, area: float, draw: Draw) -> tuple[int, int, int, int]:
    """Left, right, top and bottom of a rectangle whose middle is any pixel; the edge of the sensor cuts it.

    Args:
        width: of the sensor.
        height: of the sensor.
        area: share of it, before the edge cuts.
        draw: random numbers.

    >>> from spikesim.datasets.transforms.draw import Draw
    >>> drawn_rectangle(10, 10, 0.0, Draw(0))[:2] != (0, 10)
    True
    """
    ends = []
    for side in (width, height):
        length, middle = int(side * np.sqrt(area)), int(draw.integers(0, side, 1)[0])
        begin = middle - length // 2
        ends += [max(begin, 0), max(min(begin + length, side), 0)]
    return ends[0], ends[1], ends[2], ends[3]


@dataclass(frozen=True)
class CutMix(EventMixer):
    """Replace the events of a random rectangle of the sensor by those of another recording, at all times.

    Source: Yun et al., CutMix, ICCV 2019 (arXiv:1905.04899); on frames of events in Li et al., ECCV 2022
    (arXiv:2203.06145). Both weigh the label by area; of events an empty corner is worth nothing, so here the default is
    the share of each recording's events that is left. Arguments and rules: :class:`EventMixer`.

    Raises:
        ConfigError: a setting that makes no sense.
        EventError: two sensor sizes, or an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import CutMix
        >>> a = Events.from_columns(range(8), [4] * 8, range(8), [1] * 8, (8, 8, 2))
        >>> b = Events.from_columns(range(8), [4] * 8, range(50, 58), [0] * 8, (8, 8, 2))
        >>> mixed = CutMix(seed=0)((a, 3), (b, 5))
        >>> len(mixed.result) == sum(mixed.kept) == 8, mixed.label.weight == mixed.kept[0] / 8
        (True, True)
    """

    def region(self, box: Box, volume: float, draw: Draw) -> Region:
        """See :class:`CutMix`."""
        width, height, _ = box.size
        left, right, top, bottom = drawn_rectangle(width, height, volume, draw)

        def holds(data: NDArray[Any]) -> NDArray[np.bool_]:
            x, y = data["x"], data["y"]
            inside: NDArray[np.bool_] = (x >= left) & (x < right) & (y >= top) & (y < bottom)
            return inside

        return Region(holds, (right - left) * (bottom - top) / (width * height))


def cutmix_batch(
    batch: EventBatch,
    generator: torch.Generator,
    alpha: float = 1.0,
    weigh: Literal["share", "count", "volume"] = "share",
) -> tuple[EventBatch, MixedLabel]:
    """Mix each sample of a batch of frames with another of the batch, in one rectangle for all of them.

    Args:
        batch: frames ``[T, N, C, H, W]`` and labels, on any device; it is not changed.
        generator: of the CPU; fixes partners and rectangle.
        alpha: of the distribution of areas; 1 makes all as likely.
        weigh: as in :class:`EventMixer`; counts of frames are events.

    Returns:
        The mixed batch, whose ``y`` are the labels of the first samples, and the labels with weights, for
        :func:`soft_targets`.

    Raises:
        ConfigError: a setting that makes no sense.

    Example:
        >>> import torch
        >>> from spikesim.datasets import EventBatch
        >>> from spikesim.datasets.transforms import cutmix_batch, soft_targets
        >>> x = torch.ones(4, 3, 2, 8, 8, dtype=torch.uint8)
        >>> batch = EventBatch(x, torch.full((3,), 4), None, torch.tensor([0, 1, 2]))
        >>> mixed, label = cutmix_batch(batch, torch.Generator().manual_seed(0))
        >>> mixed.x.shape, soft_targets(label, 3).sum(1).tolist()
        (torch.Size([4, 3, 2, 8, 8]), [1.0, 1.0, 1.0])
    """
    check_positive("alpha", alpha, "the Beta distribution")
    if weigh not in ("share", "count", "volume"):
        raise ConfigError(f"weigh is {weigh!r}; expected one of share, count, volume")
    draw = Draw(int(torch.randint(2**62, (), generator=generator)))
    height, width = batch.x.shape[-2:]
    left, right, top, bottom = drawn_rectangle(width, height, drawn_beta(alpha, draw), draw)
    partner = torch.from_numpy(draw.order(batch.x.shape[1])).to(batch.x.device)
    other = batch.x[:, partner, :, top:bottom, left:right]
    before = batch.x[..., top:bottom, left:right]
    x = batch.x.clone()
    x[..., top:bottom, left:right] = other
    share_left = 1 - (right - left) * (bottom - top) / (width * height)
    totals = batch.x.sum((0, 2, 3, 4), dtype=torch.float64)
    kept, come = totals - before.sum((0, 2, 3, 4), dtype=torch.float64), other.sum((0, 2, 3, 4), dtype=torch.float64)
    if weigh == "share":
        kept, come = kept / totals.clamp(min=1), come / totals[partner].clamp(min=1)
    whole = kept + come
    weight = torch.where(whole > 0, kept / whole.clamp(min=1e-300), share_left)
    if weigh == "volume":
        weight = torch.full_like(weight, share_left)
    lengths = torch.maximum(batch.lengths, batch.lengths[partner])
    mask = batch.mask
    if mask is not None:
        mask = torch.arange(len(x), device=mask.device)[:, None] < lengths.to(mask.device)
    label = MixedLabel(batch.y, batch.y[partner], weight.to(torch.float32))
    return replace(batch, x=x, lengths=lengths, mask=mask), label
