"""Files appear whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file under a temporary name in its own folder, then rename it.

    A reader, or a process that is killed half-way, never leaves or sees a part of the file.

    Args:
        path: where the file shall be; its folder must exist.
        content: all its bytes.

    Raises:
        OSError: the folder is missing, full or not writable.
    """
    target = Path(path)
    # Process and thread make the name unique without mkstemp, whose files only the owner can read.
    scratch = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        scratch.write_bytes(content)
        os.replace(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)
