"""An entry on disk: frames, lengths and labels of a dataset, written whole and opened without reading them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.cache.failures import failures
from spikesim.datasets.cache.fill import Filled, Write
from spikesim.datasets.cache.locks import Lock
from spikesim.datasets.cache.manifest import MANIFEST, DamagedEntryError, Manifest, read_manifest

FRAMES, LENGTHS, LABELS = "frames.raw", "lengths.npy", "labels.npy"

Frame = Callable[[Write], Filled]
"""Frames a dataset, giving the frames of each sample to the function that it is called with."""


@dataclass(frozen=True)
class Entry:
    """An open entry.

    Attributes:
        folder: where it lies; ``None`` for one in memory.
        steps: the frames of all samples, ``[sum of lengths, C, H, W]``, read-only and mapped into memory.
        lengths: time steps of each sample, int64 ``[S]``.
        labels: as :func:`spikesim.datasets.labels.column_of` makes them.
        classes: the name of each label.
        account: what became of the events.
        held: keeps others from deleting it.
    """

    folder: Path | None
    steps: NDArray[Any]
    lengths: NDArray[np.int64]
    labels: NDArray[Any]
    classes: tuple[str, ...]
    account: tuple[Any, ...]
    held: Lock | None = None


def write_entry(
    folder: Path, key: str, frame: Frame, about: tuple[str, str], classes: tuple[str, ...], grown: Callable[[int], None]
) -> None:
    """Write all files of an entry, the manifest last, and see them onto the disk.

    Args:
        folder: an empty folder that nobody else looks into.
        key: of the entry.
        frame: frames the dataset.
        about: dataset and transform, for people.
        classes: the name of each label.
        grown: is told how many bytes there are so far, and may raise.

    Raises:
        CacheError: it cannot be written.
    """
    root, digest, size = folder.parent, hashlib.sha256(), 0
    with failures(root):
        # Not buffered: what a full disk refuses would be written, and refused, again on closing.
        file = open(folder / FRAMES, "wb", buffering=0)  # noqa: SIM115 - closed just below
    with file:

        def write(frames: NDArray[Any]) -> None:
            nonlocal size
            content = frames.data.cast("B") if frames.size else memoryview(b"")
            digest.update(content)
            size += len(content)
            # Written, not mapped: of a full disk a mapping tells by killing the process.
            with failures(root):
                while len(content):
                    content = content[file.write(content) or 0 :]
            grown(size)

        filled = frame(write)
        with failures(root):
            os.fsync(file.fileno())
    files = {FRAMES: (size, digest.hexdigest())}
    with failures(root):
        for name, array in ((LENGTHS, filled.lengths), (LABELS, filled.labels)):
            files[name] = _write(folder / name, _npy(array))
        manifest = Manifest(
            key, *about, len(filled.lengths), int(filled.lengths.sum()), filled.frame, filled.dtype, classes,
            filled.account, files, _version(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )  # fmt: skip
        _write(folder / MANIFEST, manifest.text().encode())


def read_entry(folder: Path, held: Lock | None) -> Entry:
    """Open an entry.

    Args:
        folder: where it lies.
        held: a lock on it, which lives as long as the entry does.

    Raises:
        DamagedEntryError: its files are not what its manifest says.
    """
    manifest = read_manifest(folder)
    shape = (manifest.steps, *manifest.frame)
    try:
        dtype = np.dtype(manifest.dtype)
        if manifest.files[FRAMES][0] != int(np.prod(shape, dtype=np.int64)) * dtype.itemsize:
            raise DamagedEntryError(f"{FRAMES} does not hold {shape} of {dtype}")
        # Nothing at all cannot be mapped.
        mapped = manifest.files[FRAMES][0] > 0
        steps = np.asarray(np.memmap(folder / FRAMES, dtype, "r", shape=shape)) if mapped else np.empty(shape, dtype)
        lengths, labels = (np.load(folder / name, allow_pickle=False) for name in (LENGTHS, LABELS))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedEntryError(f"cannot be opened ({error!r})") from error
    whole = lengths.dtype == np.int64 and lengths.shape == (manifest.samples,) and len(labels) == manifest.samples
    if not whole or lengths.sum() != manifest.steps or (lengths < 1).any():
        raise DamagedEntryError(
            f"{LENGTHS} and {LABELS} do not fit {manifest.samples} samples of {manifest.steps} steps"
        )
    return Entry(folder, steps, lengths, labels, manifest.classes, manifest.account, held)


def _write(path: Path, content: bytes) -> tuple[int, str]:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # the rename must not get to the disk before it
    return len(content), hashlib.sha256(content).hexdigest()


def _npy(array: NDArray[Any]) -> bytes:
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _version() -> str:
    try:
        return version("spikesim")
    except PackageNotFoundError:
        return "unknown"
