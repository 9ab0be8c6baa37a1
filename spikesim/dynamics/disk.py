"""The folder where compiled kernels and what leads to them wait for the next process.

A file is named by what it was made from, and is written to a temporary name and renamed, so several
processes may race. A folder that cannot be written costs time, never a result: one line in the log.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from functools import cache
from pathlib import Path

from spikesim.folders import user_cache

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``$SPIKESIM_CACHE_DIR`` or the user's cache folder."""
    return user_cache("kernels")


def digest(*parts: str) -> str:
    """Name of a file made from ``parts``.

    >>> len(digest("a", "b")), digest("a", "b") == digest("ab")
    (32, False)
    """
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def store(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


@cache
def warn_once(folder: str, reason: str) -> None:
    """Say once per folder that nothing can be kept there."""
    logger.warning(
        "kernels are compiled in memory only, since %s cannot be written (%s); set SPIKESIM_CACHE_DIR to a folder "
        "that can",
        folder,
        reason,
    )
