"""Frame every recording of a dataset once, in order, and account for every event."""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Subset

from spikesim.datasets.collation import as_frames, pair_of
from spikesim.datasets.folder import RecordingFiles
from spikesim.datasets.labels import column_of
from spikesim.datasets.transforms.base import EventTransform
from spikesim.datasets.transforms.draw import drawing_refused
from spikesim.datasets.transforms.pipeline import AccountRow, Pipeline
from spikesim.datasets.transforms.settings import check_whole
from spikesim.errors import ConfigError, EventError

logger = logging.getLogger("spikesim.datasets.cache")

Write = Callable[[NDArray[Any]], None]
"""Takes the frames of the next sample, contiguous ``[T, C, H, W]``."""

Advance = Callable[[int], None]
"""Is told of so many more recordings that are done."""

_WATCHED = 4  # samples

STORED_DTYPES = ("uint8", "float16", "float32")
"""What frames may be converted to."""


class Filled(NamedTuple):
    """What is known of a dataset once all of it is framed.

    Attributes:
        frame: C, H and W; zeros for a dataset without samples.
        dtype: of the frames.
        lengths: time steps of each sample, int64 ``[S]``.
        labels: as :func:`spikesim.datasets.labels.column_of` makes them.
        account: what became of the events, one row for each transform that counts them.
    """

    frame: tuple[int, int, int]
    dtype: str
    lengths: NDArray[np.int64]
    labels: NDArray[Any]
    account: tuple[AccountRow, ...]


def fill(
    dataset: Any,
    transform: Any,
    write: Write,
    *,
    dtype: str | None = None,
    workers: int = 0,
    advance: Advance | None = None,
) -> Filled:
    """Frame all samples of a dataset.

    Args:
        dataset: samples and labels.
        transform: makes frames of a sample; ``None`` where the dataset does so itself.
        write: is called with the frames of each sample, in order.
        dtype: one of :data:`STORED_DTYPES` to convert frames to; as they are by default.
        workers: processes that decode and frame; 0 works in this one.
        advance: is called with 1 after each recording.

    Raises:
        ShapeError: a sample gives no frames, or a label is no label.
        EventError: recordings differ in sensor size, or counts do not fit ``dtype``; names the sample.
    """
    recordings, own = without_transform(dataset)
    pipeline = Pipeline([*_flat(own), *_flat(transform)])
    lengths, labels = [], []
    first: NDArray[Any] | None = None
    silent: list[int] = []
    for index, (frames, label, events) in enumerate(_samples(_Framed(recordings, pipeline), workers)):
        frames = _converted(frames, dtype, index)
        first = frames if first is None else first
        if frames.shape[1:] != first.shape[1:] or frames.dtype != first.dtype:
            raise EventError(
                f"sample {index} has frames {frames.shape} of {frames.dtype}, the ones before {first.shape} of "
                f"{first.dtype}; expected one sensor size in a dataset: crop the recordings to one size"
            )
        write(frames)
        lengths.append(len(frames))
        labels.append(label)
        if events == 0:
            silent.append(index)
        if advance is not None:
            advance(1)
    account = tuple(pipeline.account())
    _tell(recordings, len(lengths), silent, account)
    frame = (0, 0, 0) if first is None else first.shape[1:]
    return Filled(
        frame, str(dtype or "uint8") if first is None else str(first.dtype),
        np.array(lengths, np.int64), column_of(labels), account,
    )  # fmt: skip


def without_transform(dataset: Any) -> tuple[Any, Any]:
    """A dataset of recordings, also a subset of one, as it is before its own transform; and that transform.

    >>> without_transform([1, 2])
    ([1, 2], None)
    """
    if type(dataset) is Subset:
        inner, transform = without_transform(dataset.dataset)
        return Subset(inner, dataset.indices), transform
    if not isinstance(dataset, RecordingFiles):
        return dataset, None
    plain = copy.copy(dataset)
    plain.transform = None
    return plain, dataset.transform


class _Framed(Dataset[tuple[NDArray[Any], Any, int]]):
    """Frames, label, and number of events before any transform (-1 where nobody knows)."""

    def __init__(self, recordings: Any, pipeline: Pipeline) -> None:
        self.recordings, self.pipeline = recordings, pipeline

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], Any, int]:
        with drawing_refused(), _others_watched(index):
            sample, label = pair_of(self.recordings[index], index)
            made = self.pipeline(sample)
        counted = bool(self.pipeline.transforms) and isinstance(self.pipeline.transforms[0], EventTransform)
        frames = as_frames(made, f"sample {index}").numpy()
        return np.ascontiguousarray(frames), label, len(sample) if counted else -1


@contextmanager
def _others_watched(index: int) -> Iterator[None]:
    """Refuse what draws from the global generators of Python, NumPy or torch, where no transform of ours is asked.

    To look costs some microseconds a sample, so only at the first few.
    """
    before = _generators() if index < _WATCHED else ()
    yield
    if before and _generators() != before:
        raise ConfigError(
            f"sample {index} changed a global random generator, and what is kept would be one draw for ever; put "
            "random transforms after the cache: event_loader(cached, ..., augment=...)"
        )


def _generators() -> tuple[Any, ...]:
    numpys: Any = np.random.get_state(legacy=True)
    return random.getstate(), numpys[1].tobytes(), numpys[2:], torch.get_rng_state().numpy().tobytes()


def _samples(framed: _Framed, workers: int) -> Iterator[tuple[NDArray[Any], Any, int]]:
    check_whole("workers", workers, 0)
    if workers == 0:
        return (framed[index] for index in range(len(framed)))
    loader: Any = DataLoader(framed, batch_size=16, num_workers=workers, collate_fn=_as_they_are)
    return (sample for samples in loader for sample in samples)


def _as_they_are(samples: Any) -> Any:
    return samples


def _flat(transform: Any) -> list[Any]:
    """The transforms of our own pipelines one by one, so that each is accounted for."""
    if type(transform) is Pipeline:
        return [one for inner in transform.transforms for one in _flat(inner)]
    return [] if transform is None else [transform]


def _converted(frames: NDArray[Any], dtype: str | None, index: int) -> NDArray[Any]:
    if dtype is None or frames.dtype == dtype:
        return frames
    with np.errstate(over="ignore", invalid="ignore"):
        made = frames.astype(dtype)
    rounds = made.dtype.kind == frames.dtype.kind == "f"  # which is what was asked for
    lost = np.isinf(made) & np.isfinite(frames) if rounds else made != frames
    if lost.any():
        raise EventError(
            f"sample {index} holds {frames[lost][0]}, which {dtype} cannot; expected values that fit: choose another "
            "dtype, or more time steps"
        )
    return made


def _tell(recordings: Any, count: int, silent: list[int], account: tuple[AccountRow, ...]) -> None:
    """Warn of recordings without events, and of events that no frame could count."""
    if silent:
        files = getattr(recordings, "files", None)
        names = [str(files[index]) if files is not None else f"sample {index}" for index in silent[:3]]
        logger.warning(
            "%d of %d recordings hold no event and give empty frames: %s; remove them if that is not meant",
            len(silent),
            count,
            ", ".join(names) + (", ..." if len(silent) > 3 else ""),
        )
    for row in account:
        if row.dropped.get("overflow"):
            logger.warning(
                "%d of %d events are beyond what a frame can count; use more time steps, or frames of a wider dtype",
                row.dropped["overflow"],
                row.events,
            )
