"""The folder of all entries: filled by one process at a time, opened by any.

Why nothing half-made is ever seen: an entry is written into a folder of another name and appears by one rename. Why
work is not done twice: whoever fills an entry holds its lock, and the others wait. Why no lock stays behind: the system
takes it back (:mod:`spikesim.datasets.cache.locks`). Why a killed process costs only disk space, and that not for
long: it leaves a folder ending in ``.part`` whose lock is free, and the next process that fills anything deletes it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from spikesim.datasets.cache.entry import Entry, read_entry
from spikesim.datasets.cache.failures import failures, logger
from spikesim.datasets.cache.locks import Lock, lock
from spikesim.datasets.cache.manifest import MANIFEST, DamagedEntryError
from spikesim.errors import CacheError

Build = Callable[[Path], None]
"""Writes an entry into an empty folder."""

KEY = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{8}\.part")
_OLD_S = 24 * 3600.0


def open_entry(root: Path, key: str) -> Entry | None:
    """Open an entry, and keep others from deleting it as long as it lives; ``None`` if it is not there.

    Args:
        root: the folder of all entries.
        key: of the entry.

    Raises:
        DamagedEntryError: it is there, and not what it should be.
    """
    folder = root / key
    try:
        held = lock(folder / MANIFEST, shared=True, create=False)
    except FileNotFoundError:
        if folder.is_dir():
            raise DamagedEntryError(f"{MANIFEST} is missing") from None
        return None
    except OSError as error:
        raise DamagedEntryError(f"{MANIFEST} cannot be read ({error.strerror})") from error
    if held is None:
        return None  # it is being deleted
    try:
        entry = read_entry(folder, held)
    except DamagedEntryError:
        held.release()
        if folder.is_dir():
            raise
        return None
    with suppress(OSError):
        os.utime(folder / MANIFEST)  # when it was last used; the system's own times of access are seldom kept
    return entry


def obtain(root: Path, key: str, build: Build) -> Entry:
    """Open an entry; fill it first if it is not there, or wait while another process does.

    Args:
        root: the folder of all entries, which is made if need be.
        key: of the entry.
        build: writes it.

    Raises:
        ReadOnlyError: it is not there, and nothing can be written.
        CacheError: the disk is full, or the folder is no folder.

    Example:
        See :class:`spikesim.datasets.CachedFrames`.
    """
    attempt = 0
    while True:
        with suppress(DamagedEntryError):  # who holds the lock deals with it
            entry = open_entry(root, key)
            if entry is not None:
                return entry
        locks = root / "locks"
        with failures(root):
            locks.mkdir(parents=True, exist_ok=True)
            mine = lock(locks / key)
        if mine is not None:
            with mine:
                try:
                    return _filled(root, key, build, mine)
                finally:
                    with suppress(OSError):
                        (locks / key).unlink()
        attempt += 1
        if attempt == 20:  # after two seconds
            logger.warning("%s: another process is filling this entry; waiting for it", root / key)
        time.sleep(min(0.01 * attempt, 0.5))


def _filled(root: Path, key: str, build: Build, mine: Lock) -> Entry:
    """Fill an entry, under its lock, unless another process has done so meanwhile."""
    folder = root / key
    try:
        entry = open_entry(root, key)
        if entry is not None:
            return entry
    except DamagedEntryError as error:
        logger.warning("%s is damaged (%s) and is made anew", folder, error)
        delete(folder)
    sweep(root, key if mine.sure else None)
    part = _part_of(folder)
    try:
        with failures(root):
            part.mkdir()
        build(part)
        with failures(root):
            # Taken before the entry can be seen, so that nobody evicts it before it is open.
            held = lock(part / MANIFEST, shared=True, create=False)
            try:
                os.rename(part, folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                held = None  # without locks another process may have been first; its entry is as good
            _settle(root)
        entry = read_entry(folder, held)
    except DamagedEntryError as error:
        raise CacheError(f"{folder} was just written and cannot be read ({error}); look after the disk") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return entry


def sweep(root: Path, mine: str | None = None) -> None:
    """Delete what dead processes have left.

    Args:
        root: the folder of all entries.
        mine: the key whose lock this process holds, if it does.
    """
    for part in _folders(root, _PART):
        key = part.name.partition(".")[0]
        if key == mine:
            shutil.rmtree(part, ignore_errors=True)
            continue
        with suppress(OSError):
            (root / "locks").mkdir(exist_ok=True)
            held = lock(root / "locks" / key)
            if held is None:
                continue
            with held:
                if held.sure or _age(part) > _OLD_S:
                    shutil.rmtree(part, ignore_errors=True)
                (root / "locks" / key).unlink(missing_ok=True)


def delete(folder: Path) -> bool:
    """Take an entry away whole, so that nobody sees half of it; gives whether it is gone."""
    part = _part_of(folder)
    try:
        os.rename(folder, part)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    shutil.rmtree(part, ignore_errors=True)
    return True


def entry_folders(root: Path) -> list[Path]:
    """The folders of all entries; what else lies there is none of ours."""
    return _folders(root, KEY)


def _folders(root: Path, name: re.Pattern[str]) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if name.fullmatch(path.name) and path.is_dir())
    except OSError:
        return []


def _part_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.part")


def _age(folder: Path) -> float:
    """Seconds since anything in a folder was written."""
    newest = max([folder.stat().st_mtime, *(path.stat().st_mtime for path in folder.iterdir())])
    return time.time() - newest


def _settle(root: Path) -> None:
    """See the rename onto the disk, where folders can be opened for that."""
    with suppress(OSError):
        descriptor = os.open(root, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
