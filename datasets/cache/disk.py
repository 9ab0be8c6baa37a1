"""Frames of a whole dataset, made once and kept on disk for every later process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch.utils.data import Subset

from spikesim.datasets.cache.code import digest
from spikesim.datasets.cache.drawing import refuse_random, transforms_of
from spikesim.datasets.cache.entry import Entry, write_entry
from spikesim.datasets.cache.failures import ReadOnlyError, bytes_of, readable, warn_once
from spikesim.datasets.cache.fill import STORED_DTYPES, Advance, Filled, Write, fill
from spikesim.datasets.cache.fingerprint import contents, fingerprint
from spikesim.datasets.cache.folder import obtain, open_entry
from spikesim.datasets.cache.identity import Describer
from spikesim.datasets.cache.manifest import SCHEMA, DamagedEntryError
from spikesim.datasets.cache.memory import fill_memory
from spikesim.datasets.cache.stored import StoredFrames
from spikesim.datasets.cache.upkeep import cache_root, evict
from spikesim.datasets.folder import RecordingFiles
from spikesim.datasets.labels import class_names
from spikesim.datasets.transforms.pipeline import AccountRow
from spikesim.errors import CacheError, ConfigError, DatasetError

_LONGEST = 2000  # characters of a transform, as the manifest shows it


class CachedFrames(StoredFrames):
    """A dataset framed once and kept on disk: what Tonic's ``DiskCachedDataset`` is for.

    The first process that asks frames all recordings; every later one maps the result into memory at once. An entry is
    named by what it was made from: which recordings, their content, how they are read and labelled, the transforms with
    their settings, and the code of both. So another transform is another entry, and an old one is never
    taken for a new one. Random transforms are refused here; they come after the cache, in
    :func:`spikesim.datasets.event_loader`.

    Any number of processes may ask at the same time, and be killed at any moment: one fills, the others wait, and an
    entry is seen whole or not at all. A damaged one is made anew, with a warning. A folder that cannot be written
    costs time only: frames are then kept in memory, with a warning.

    Args:
        dataset: recordings and labels, such as :func:`spikesim.datasets.load` gives them, with or without a transform
            of their own; see :func:`spikesim.datasets.cache.fingerprint.fingerprint` for what else.
        transform: makes frames ``[T, C, H, W]`` of a sample, T as long as it likes; ``None`` where the dataset does so.
        root: the folder of all entries; ``frames`` in ``$SPIKESIM_CACHE_DIR`` or the user's cache folder by default.
        limit: what all entries in it may take, in bytes or as "10 GB"; those that were used longest ago and
            are not in use go first. While an entry is made it comes on top. ``None`` for no limit.
        dtype: "uint8", "float16" or "float32" to convert frames to; as they are by default. A count that does not fit
            is an error; values are rounded.
        key: a text of yours that vouches for what cannot be told from the objects: a dataset of another kind, or code
            of yours that is in no file. Change it when they change.
        workers: processes that frame; 0 works in this one.
        advance: is called with 1 after each recording that is framed.

    Attributes:
        steps: the frames of all samples behind each other, ``[sum of lengths, C, H, W]``, read-only.
        lengths: time steps of each sample, int64 ``[S]``.
        labels: int64 ``[S]``; see :class:`spikesim.datasets.cache.StoredFrames` for mixed ones.
        classes: the name of each label.
        account: what became of the events, one row for each transform.
        path: the entry; ``None`` if it is in memory only.

    Raises:
        ConfigError: a transform draws random numbers; dataset or transform cannot be told from others; a bad option.
        CacheError: the disk is full, or the frames alone are beyond the limit. Nothing is left behind.
        DatasetError: a recording is missing, or changed while the recordings were framed.
        EventError: recordings differ in sensor size, or one of them is bad.
        ShapeError: the samples are no frames.

    Example:
        >>> import tempfile
        >>> from spikesim.datasets import CachedFrames, generate_ndigits, load
        >>> from spikesim.datasets.transforms import Denoise, Pipeline, ToFrame
        >>> transform = Pipeline([Denoise(10_000), ToFrame(n_time_bins=10)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     train = load("nmnist", generate_ndigits(f"{folder}/ndigits", samples=20), "train")
        ...     framed = CachedFrames(train, transform, root=f"{folder}/cache")
        ...     [row.transform for row in framed.account], len(framed), tuple(framed[0][0].shape)
        (['Denoise', 'ToFrame'], 16, (10, 2, 34, 34))
    """

    account: tuple[AccountRow, ...]
    path: Path | None

    def __init__(
        self,
        dataset: Any,
        transform: Any = None,
        *,
        root: str | os.PathLike[str] | None = None,
        limit: int | str | None = "50 GB",
        dtype: str | None = None,
        key: str | None = None,
        workers: int = 0,
        advance: Advance | None = None,
    ) -> None:
        most = bytes_of(limit)
        if dtype is not None and dtype not in STORED_DTYPES:
            raise ConfigError(f"dtype is {dtype!r}; expected one of {', '.join(STORED_DTYPES)}, or None")
        if key is not None and not isinstance(key, str):
            raise ConfigError(f"key is {key!r}; expected a text")
        refuse_random(dataset, transform)
        folder = cache_root(root)
        read = contents(dataset, folder / "notes")
        name = _key(dataset, transform, dtype, key, folder / "notes")
        classes = class_names(dataset)
        applied = [repr(one) for one in (*transforms_of(dataset), transform) if one is not None]
        about = _told(dataset), " > ".join(applied)[:_LONGEST]

        def grown(size: int) -> None:
            if most is not None and size > most:
                raise CacheError(
                    f"{folder}: the frames of this dataset alone take more than the limit of {readable(most)}; pass a "
                    "higher limit, or limit=None, or make fewer time steps"
                )

        def frame(write: Write) -> Filled:
            filled = fill(dataset, transform, write, dtype=dtype, workers=workers, advance=advance)
            if contents(dataset, folder / "notes") != read:
                raise DatasetError(
                    f"recordings of {_told(dataset)} changed while they were framed; nothing was kept: wait until they "
                    "are all in their place, and ask again"
                )
            return filled

        try:
            entry = obtain(folder, name, lambda part: write_entry(part, name, frame, about, classes, grown))
            if most is not None:
                evict(folder, most)
        except ReadOnlyError as error:
            warn_once(str(error))
            steps, filled = fill_memory(dataset, transform, dtype=dtype, workers=workers, advance=advance)
            entry = Entry(None, steps, filled.lengths, filled.labels, classes, filled.account)
        self._take(entry)

    def _take(self, entry: Entry) -> None:
        self._entry = entry
        self.account, self.path = entry.account, entry.folder
        self._hold(entry.steps, entry.lengths, entry.labels, entry.classes)

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: the place of the entry, or all of one in memory."""
        return {"entry": self._entry} if self.path is None else {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "entry" in state:
            self._take(state["entry"])
            return
        path = state["path"]
        try:
            entry = open_entry(path.parent, path.name)
        except DamagedEntryError as error:
            raise CacheError(f"{path} is damaged ({error}); make the dataset anew") from error
        if entry is None:
            raise CacheError(f"{path} was deleted while it was in use; make the dataset anew")
        self._take(entry)

    def __repr__(self) -> str:
        where = self.path if self.path is not None else "memory"
        return f"CachedFrames({len(self)} samples, {readable(self.steps.nbytes)} of {self.steps.dtype} in {where})"


def _key(dataset: Any, transform: Any, dtype: str | None, key: str | None, notes: Path) -> str:
    """Digest of everything that decides what the frames are."""
    describe = Describer(key)
    made_from = [
        SCHEMA, key, dtype, fingerprint(dataset, describe, notes),
        [describe(one, "the transform of the dataset") for one in transforms_of(dataset)], describe(transform),
    ]  # fmt: skip
    return digest(json.dumps(made_from).encode())


def _told(dataset: Any) -> str:
    """A dataset for people."""
    if type(dataset) is Subset:
        return f"{len(dataset)} samples of {_told(dataset.dataset)}"
    if isinstance(dataset, RecordingFiles):
        return repr(dataset)
    return f"{type(dataset).__name__} of {len(dataset)} samples"
