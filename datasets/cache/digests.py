"""Digests of the content of files, which are read again only when a file has changed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.atomic import whole_file
from spikesim.errors import DatasetError

_SEEN = np.dtype([("size", "<i8"), ("mtime", "<i8"), ("ctime", "<i8"), ("inode", "<u8"), ("digest", "V32")])
_SETTLED_NS = 2 * 10**9


def content_digests(paths: Sequence[Path], notes: Path | None = None) -> list[bytes]:
    """SHA-256 of the whole content of each file.

    What was found is noted with size, inode and times of change of each file, as git does in its index, so that the
    next call reads only what differs. A file that was changed in the last two seconds is not noted, since it may
    change again within the grain of the clock.

    Args:
        paths: the files; one may occur several times.
        notes: folder for the notes; none are kept where it is ``None`` or cannot be written.

    Returns:
        32 bytes for each path.

    Raises:
        DatasetError: a file is missing or cannot be read.

    Example:
        >>> import tempfile
        >>> from spikesim.datasets.cache.digests import content_digests
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "a").write_bytes(b"abc")
        ...     content_digests([Path(folder) / "a"])[0].hex()[:8]
        'ba7816bf'
    """
    unique = list(dict.fromkeys(paths))
    name = hashlib.sha256("\0".join(os.path.abspath(path) for path in unique).encode()).hexdigest()[:32]
    note = None if notes is None else notes / f"{name}.npy"
    known = _noted(note, len(unique))
    found = np.zeros(len(unique), _SEEN)
    for n, path in enumerate(unique):
        try:
            status = os.stat(path)
            place = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            if known is not None and known[n].item()[:4] == place:
                found[n] = known[n]
                continue
            with open(path, "rb") as file:
                found[n] = (*place, np.void(hashlib.file_digest(file, "sha256").digest()))
        except OSError as error:
            raise DatasetError(
                f"{path}: cannot be read ({error.strerror or error}); expected a file of the dataset"
            ) from error
    if note is not None and (known is None or (found != known).any()):
        _write_note(note, found)
    by_path = dict(zip(unique, (row["digest"].tobytes() for row in found)))
    return [by_path[path] for path in paths]


def _noted(note: Path | None, count: int) -> NDArray[Any] | None:
    if note is None:
        return None
    try:
        known: NDArray[Any] = np.load(note, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return known if known.dtype == _SEEN and known.shape == (count,) else None


def _write_note(note: Path, found: NDArray[Any]) -> None:
    settled = found.copy()
    fresh = np.maximum(found["mtime"], found["ctime"]) > time.time_ns() - _SETTLED_NS
    settled["inode"][fresh] = 0
    settled["size"][fresh] = -1
    with suppress(OSError):  # then they are read again next time
        note.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(note) as scratch, open(scratch, "wb") as file:
            np.save(file, settled)
