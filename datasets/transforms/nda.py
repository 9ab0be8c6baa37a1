"""The augmentation policy NDA, on raw events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.transforms.base import Applied, EventTransform
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.flips import RandomFlipLR
from spikesim.datasets.transforms.geometry import RandomCutout, RandomRoll, RandomRotate, RandomShear
from spikesim.datasets.transforms.settings import check_positive, check_probability, check_whole
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError

_OPERATIONS = ("roll", "rotate", "shear", "cutout")


@dataclass(frozen=True)
class NDA(EventTransform):
    """Neuromorphic data augmentation: mirror with a probability, then ``count`` operations drawn at random.

    At strength N the operations reach, in either direction: "roll" 2N + 1 pixels along each axis, "rotate" and
    "shear" 15 N degrees, "cutout" a square of side 8 N. They are drawn anew for each recording, each as likely, and
    one may come twice. Source: Li et al., Neuromorphic Data Augmentation for Training Spiking Neural Networks, ECCV
    2022 (arXiv:2203.06145), which works on frames of 48 x 48; here pixels scale with the smaller side of the sensor.

    The authors' code for N-Caltech101 (N = 1) and CIFAR10-DVS (N = 2) draws one of roll, rotate and shear and does
    not mirror; later code of others mirrors and draws from roll, rotate and cutout. Which of them made the numbers
    of the paper is not certain, so ``operations`` and ``flip`` are arguments. CutMix, which the paper adds, needs two
    samples: :class:`spikesim.datasets.transforms.CutMix`.

    Args:
        sensor_size: ``(W, H, P)``; may be left out for :class:`spikesim.datasets.Events`.
        count: operations for each recording, the paper's M.
        strength: the paper's N, 1 to 3 there.
        flip: probability of mirroring left and right; 0 where the label does not survive it, as for digits.
        operations: from which is drawn: "roll", "rotate", "shear", "cutout".
        side: of a sensor on which the pixels are as given above; None never scales them.
        seed: where no pipeline gives one.

    Raises:
        ConfigError: a setting that makes no sense.
        EventError: an event outside the sensor.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import NDA
        >>> events = Events.from_columns([20, 30], [24, 25], [0, 9], [1, 0], (48, 48, 2))
        >>> len(NDA(count=1, strength=2, operations=("roll", "rotate", "shear"), seed=0)(events))
        2
    """

    sensor_size: SensorSize | None = None
    count: int = 1
    strength: int = 2
    flip: float = 0.5
    operations: tuple[str, ...] = _OPERATIONS
    side: float | None = 48
    seed: int | None = None
    reasons: ClassVar[tuple[str, ...]] = ("outside", "cutout")
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("count", self.count, 0)
        check_whole("strength", self.strength, 1)
        check_probability("flip", self.flip)
        if self.side is not None:
            check_positive("side", self.side, "pixels")
        if not (
            np.iterable(self.operations) and len(tuple(self.operations)) and set(self.operations) <= set(_OPERATIONS)
        ):
            raise ConfigError(f"operations is {self.operations!r}; expected some of {', '.join(_OPERATIONS)}")
        if self.strength > 5:
            raise ConfigError(f"strength is {self.strength}; expected 1 to 5, beyond which a shear has no angle")

    def operation(self, name: str, size: SensorSize) -> EventTransform:
        """The operation of this name, at this strength on a sensor of this size.

        Args:
            name: one of :attr:`operations`.
            size: ``(W, H, P)``.

        Example:
            >>> from spikesim.datasets.transforms import NDA
            >>> NDA(strength=2).operation("roll", (96, 128, 2)).max_pixels
            10
        """
        scale = 1.0 if self.side is None else min(size[0], size[1]) / self.side
        if name == "roll":
            return RandomRoll(size, max(round((2 * self.strength + 1) * scale), 1))
        if name == "cutout":
            return RandomCutout(size, max(round(8 * self.strength * scale), 1))
        kind = RandomRotate if name == "rotate" else RandomShear
        return kind(size, 15.0 * self.strength)

    def apply(self, stream: Stream, draw: Draw) -> Applied:
        """See :class:`NDA`."""
        size, data, dropped = stream.size, stream.data, dict.fromkeys(self.reasons, 0)
        steps: list[EventTransform] = [RandomFlipLR(size, self.flip)]
        chosen = draw.integers(0, len(self.operations), self.count).tolist()
        steps += [self.operation(self.operations[which], size) for which in chosen]
        for step in steps:
            applied = step.apply(Stream(data, size, stream.checked, stream.flat), draw)
            data = applied.result
            for reason, lost in zip(step.reasons, applied.dropped):
                dropped[reason] += lost
        return Applied(data, tuple(dropped.values()))
