"""Transforms in a row, with one seed and an account of every event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import get_worker_info

from spikesim.datasets.transforms.base import EventTransform
from spikesim.errors import ConfigError

_SLOTS = 129  # the main process, and a row of numbers for each data worker: no two write to the same


class AccountRow(NamedTuple):
    """What one transform did to all events that it has seen.

    Attributes:
        transform: its name.
        recordings: how many it was called with.
        events: events that came in.
        kept: events that its results hold or count.
        added: events that it made.
        dropped: events that it dropped, by reason.
    """

    transform: str
    recordings: int
    events: int
    kept: int
    added: int
    dropped: dict[str, int]


class Pipeline:
    """Transforms in a row: as Tonic's ``Compose``, but empty recordings pass through all of them.

    Random transforms draw from (seed, epoch, sample) where the dataset or loader names the sample
    (:func:`spikesim.datasets.transforms.sample_at`), so a sample is the same whatever the number of workers.

    Args:
        transforms: event transforms first; any callables may follow.
        seed: of the random ones that have none of their own.

    Raises:
        ConfigError: one of them cannot be called.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import Denoise, Pipeline
        >>> pipeline = Pipeline([Denoise(10_000)])
        >>> events = Events.from_columns([3, 4, 20], [5, 5, 9], [10, 250, 300], [1, 0, 1], (34, 34, 2))
        >>> pipeline(events).t.tolist()
        [250]
        >>> pipeline.account()[0].dropped
        {'isolated': 2}
    """

    def __init__(self, transforms: Sequence[Any], seed: int | None = None) -> None:
        self.transforms = list(transforms)
        self.seed = seed
        for k, transform in enumerate(self.transforms):
            if not callable(transform) or (isinstance(transform, type) and issubclass(transform, EventTransform)):
                raise ConfigError(
                    f"transform {k} of the pipeline is {transform!r}, which transforms nothing; give transforms, "
                    "such as ToFrame(n_time_bins=10)"
                )
        reasons = max((len(t.reasons) for t in self.transforms if isinstance(t, EventTransform)), default=0)
        self._counts = torch.zeros(_SLOTS, len(self.transforms), 4 + reasons, dtype=torch.int64)
        self._counts.share_memory_()  # type: ignore[no-untyped-call]

    def __call__(self, events: Any) -> Any:
        """Pass one recording through all transforms.

        Args:
            events: :class:`spikesim.datasets.Events`, or a structured array with the fields x, y, t and p.
        """
        worker = get_worker_info()
        counts = self._counts.numpy()[0 if worker is None else worker.id % (_SLOTS - 1) + 1]
        for place, transform in enumerate(self.transforms):
            if not isinstance(transform, EventTransform):
                events = transform(events)
                continue
            found = transform.counted(events, self.seed, place)
            row = (1, found.events, found.kept, found.added, *found.dropped.values())
            counts[place, : len(row)] += row
            events = found.result
        return events

    def account(self) -> list[AccountRow]:
        """What became of all events so far, one row for each event transform, over all data workers."""
        totals = self._counts.sum(0).tolist()
        rows = []
        for transform, (recordings, events, kept, added, *dropped) in zip(self.transforms, totals):
            if isinstance(transform, EventTransform):
                by_reason = dict(zip(transform.reasons, dropped))
                rows.append(AccountRow(type(transform).__name__, recordings, events, kept, added, by_reason))
        return rows

    def reset_account(self) -> None:
        """Forget what was counted so far."""
        self._counts.zero_()

    def __repr__(self) -> str:
        inner = ", ".join(repr(t) for t in self.transforms)
        return f"Pipeline([{inner}]" + (f", seed={self.seed})" if self.seed is not None else ")")


Compose = Pipeline
"""Tonic's name for a row of transforms."""
