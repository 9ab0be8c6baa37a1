"""Look after the folder of all entries: list them, check them, delete them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from spikesim.datasets.cache.failures import logger, readable
from spikesim.datasets.cache.folder import delete, entry_folders, sweep
from spikesim.datasets.cache.locks import lock
from spikesim.datasets.cache.manifest import MANIFEST, DamagedEntryError, Manifest, check_content, read_manifest
from spikesim.folders import user_cache


class CacheEntry(NamedTuple):
    """An entry as it lies on disk.

    Attributes:
        folder: of the entry; its name is the key.
        bytes: of all its files.
        used: when it was last opened, in seconds since 1970.
        manifest: what it holds; ``None`` if that cannot be read.
        damage: what is wrong with it, or "".
    """

    folder: Path
    bytes: int
    used: float
    manifest: Manifest | None
    damage: str = ""


def cache_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of all entries: ``root``, or ``frames`` in ``$SPIKESIM_CACHE_DIR`` or the user's cache folder."""
    return (Path(root).expanduser() if root is not None else user_cache("frames")).absolute()


def cache_entries(root: str | os.PathLike[str] | None = None) -> list[CacheEntry]:
    """All entries, the one that was used longest ago first.

    Args:
        root: the folder of all entries; the usual one by default.

    Example:
        >>> from spikesim.datasets.cache import cache_entries
        >>> cache_entries("nowhere")
        []
    """
    found = []
    for folder in entry_folders(cache_root(root)):
        try:
            manifest, damage = read_manifest(folder), ""
        except DamagedEntryError as error:
            manifest, damage = None, str(error)
        size, used = 0, 0.0
        with suppress(OSError):
            for file in os.scandir(folder):
                status = file.stat()
                size, used = size + status.st_size, status.st_mtime if file.name == MANIFEST else used
        if folder.is_dir():  # not deleted meanwhile
            found.append(CacheEntry(folder, size, used, manifest, damage))
    return sorted(found, key=lambda one: (one.used, one.folder.name))


def verify_cache(
    root: str | os.PathLike[str] | None = None, advance: Callable[[int], None] | None = None
) -> list[CacheEntry]:
    """Read every entry whole and compare checksums.

    Args:
        root: as in :func:`cache_entries`.
        advance: is told of so many more bytes that were read.

    Returns:
        All entries, with what is wrong with them.
    """
    checked = []
    for one in cache_entries(root):
        try:
            check_content(one.folder)
        except DamagedEntryError as error:
            one = one._replace(damage=str(error))
        if advance is not None:
            advance(one.bytes)
        checked.append(one)
    return checked


def clear_cache(
    root: str | os.PathLike[str] | None = None, force: bool = False, damaged: bool = False
) -> tuple[list[CacheEntry], list[CacheEntry]]:
    """Delete all entries and what else the cache keeps; nothing else that lies in the folder.

    Args:
        root: as in :func:`cache_entries`.
        force: also entries that a living process has open; what it has mapped stays valid on POSIX.
        damaged: only entries in which :func:`verify_cache` finds damage.

    Returns:
        What was deleted, and what is in use and stayed.
    """
    folder = cache_root(root)
    listed = [one for one in verify_cache(folder) if one.damage] if damaged else cache_entries(folder)
    gone = [one for one in listed if remove_entry(one.folder, force)]
    sweep(folder)
    if not damaged:
        shutil.rmtree(folder / "notes", ignore_errors=True)
    return gone, [one for one in listed if one not in gone]


def remove_entry(folder: Path, force: bool = False) -> bool:
    """Delete an entry, unless a living process has it open; gives whether it is gone.

    A process that has an entry open holds a shared lock on its manifest. Where the file system has no locks nobody can
    tell; the entry then goes, which on POSIX takes nothing from a process that has its frames mapped.

    Args:
        folder: of the entry.
        force: delete it in any case.
    """
    held = None
    try:
        held = lock(folder / MANIFEST, create=False)
        if held is None and not force:
            return False
    except FileNotFoundError:
        pass
    except OSError:
        return False
    try:
        return delete(folder)
    finally:
        if held is not None:
            held.release()


def evict(root: Path, limit: int) -> list[Path]:
    """Delete entries, the one that was used longest ago first, until all together have at most ``limit`` bytes.

    Args:
        root: the folder of all entries.
        limit: bytes.

    Returns:
        What was deleted. Entries in use stay, even where they are more than the limit.
    """
    listed = cache_entries(root)
    total, gone = sum(one.bytes for one in listed), []
    for one in listed:
        if total > limit and remove_entry(one.folder):
            gone.append(one.folder)
            total -= one.bytes
            logger.info("%s (%s) makes room for others", one.folder, readable(one.bytes))
    return gone
