"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | os.PathLike[str], suffix: str = ".tmp") -> Iterator[Path]:
    """Give a temporary name in the file's own folder, and rename what was written there at the end.

    A reader, or a process that is killed half-way, never leaves or sees a part of the file; after an
    exception the temporary file is gone and an older file of that name is still there.

    Args:
        path: where the file shall be; its folder must exist.
        suffix: the ending of the temporary name.

    Raises:
        OSError: the folder is missing, full or not writable, or the path is a device or a pipe.

    Example:
        >>> import tempfile
        >>> from spikesim.datasets.atomic import whole_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder) / "a.txt") as scratch:
        ...         _ = scratch.write_text("all of it")
        ...     [entry.name for entry in Path(folder).iterdir()]
        ['a.txt']
    """
    target = Path(path)
    if target.exists() and not (target.is_file() or target.is_dir()):
        # Renaming would put a file in place of /dev/null or of somebody's pipe.
        raise OSError(errno.EINVAL, "it is a device or a pipe; expected the name of a file")
    # Process and thread make the name unique without mkstemp, whose files only the owner can read.
    scratch = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}{suffix}")
    try:
        yield scratch
        os.replace(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all, as :func:`whole_file` does.

    Args:
        path: where the file shall be; its folder must exist.
        content: all its bytes.

    Raises:
        OSError: the folder is missing, full or not writable.
    """
    with whole_file(path) as scratch:
        scratch.write_bytes(content)
