"""Files that hold many recordings stay open between two of them, as long as they do not change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def remembered(
    count: int,
) -> Callable[[Callable[Concatenate[Path, P], T]], Callable[Concatenate[Path, P], T]]:
    """Keep what a function makes of the last few files, until one of them changes on disk.

    ``functools.lru_cache`` would give what was in a file that has been replaced, and a cache of frames keep that under
    the name of the new content.

    Args:
        count: how many results are kept.

    Example:
        >>> import tempfile
        >>> content = remembered(2)(lambda path: path.read_text())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "a"
        ...     for text in ("one", "other"):
        ...         _ = file.write_text(text)
        ...         content(file)
        'one'
        'other'
    """

    def decorated(make: Callable[Concatenate[Path, P], T]) -> Callable[Concatenate[Path, P], T]:
        kept: dict[Any, tuple[Any, T]] = {}

        def made(path: Path, /, *args: P.args, **options: P.kwargs) -> T:
            name, stamp = (path, args, tuple(options.items())), _stamp(path)
            found = kept.pop(name, None)
            if found is None or found[0] != stamp:
                found = None  # HDF5 shares what it knows of a file with whoever still has it open
                found = stamp, make(path, *args, **options)
            kept[name] = found
            while len(kept) > count:
                kept.pop(next(iter(kept)), None)
            return found[1]

        return made

    return decorated


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None  # whoever opens it says so
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
