"""What an error of the system means for the cache, and sizes as people write them."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from spikesim.errors import CacheError, ConfigError, SpikesimError

logger = logging.getLogger("spikesim.datasets.cache")

_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


class ReadOnlyError(CacheError):
    """Nothing can be written here, which costs time but no result."""


def cache_error(root: Path, error: OSError) -> CacheError:
    """The error of the cache for an error of the system.

    Args:
        root: the folder of the cache.
        error: what the system says.

    >>> cache_error(Path("frames"), OSError(errno.EROFS, "Read-only file system"))
    ReadOnlyError('frames cannot be written (Read-only file system)')
    """
    reason = error.strerror or str(error)
    if error.errno in _READ_ONLY:
        return ReadOnlyError(f"{root} cannot be written ({reason})")
    if error.errno in _FULL:
        return CacheError(
            f"{root}: the disk is full ({reason}); free some space (`spikesim datasets cache clear`), or keep the "
            "cache elsewhere: root=..., or SPIKESIM_CACHE_DIR"
        )
    if error.errno == errno.EFBIG:
        return CacheError(
            f"{root}: a file would be larger than this process or file system allows ({reason}); see `ulimit -f`, or "
            "keep the cache elsewhere: root=..., or SPIKESIM_CACHE_DIR"
        )
    return CacheError(
        f"{root} cannot hold a cache ({reason}); expected a folder that can be written: root=..., or SPIKESIM_CACHE_DIR"
    )


@contextmanager
def failures(root: Path) -> Iterator[None]:
    """Turn errors of the system into errors of the cache."""
    try:
        yield
    except SpikesimError:
        raise
    except OSError as error:
        raise cache_error(root, error) from error


@cache
def warn_once(reason: str) -> None:
    """Say once that nothing can be kept in a folder."""
    logger.warning("%s; frames are kept in memory only. Choose another: root=..., or SPIKESIM_CACHE_DIR", reason)


def bytes_of(size: int | str | None) -> int | None:
    """A size in bytes.

    Args:
        size: bytes, a text such as "10 GB", "500 MB" or "2 GiB", or ``None``.

    Raises:
        ConfigError: it is no size.

    >>> bytes_of("1.5 GB"), bytes_of("2 KiB"), bytes_of(None)
    (1500000000, 2048, None)
    """
    if size is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", str(size).lower())
    if isinstance(size, bool) or found is None or found[2] not in _UNITS:
        raise ConfigError(f'a size is {size!r}; expected bytes, or a text such as "10 GB"')
    return int(float(found[1]) * _UNITS[found[2]])


def readable(size: float) -> str:
    """A size as people write it.

    >>> readable(23_120_000), readable(12)
    ('23.1 MB', '12 B')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
