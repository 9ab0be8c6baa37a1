"""Locks that the system gives back when their holder dies, so that there are no stale ones.

They are ``flock`` locks on files: held by an open file, gone with the process however it ends. What is correct
here never hangs on them (entries appear by rename), so where a file system has none everything still works: processes
then do the same work at the same time, and leftovers are told by their age.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


class Lock:
    """A lock that this process holds until :meth:`release`, or until the object is gone.

    Args:
        file: the open file.
        sure: whether the file system knows locks; otherwise nobody is kept out.
    """

    def __init__(self, file: BinaryIO, sure: bool) -> None:
        self.file, self.sure = file, sure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let others have it."""
        if self.sure and not self.file.closed:
            # Closing alone would not do: a forked child may have the same open file.
            fcntl.flock(self.file, fcntl.LOCK_UN)
        self.file.close()


def lock(path: Path, *, shared: bool = False, create: bool = True) -> Lock | None:
    """Lock a file, without waiting.

    Args:
        path: the file.
        shared: with others who share it, else alone.
        create: make the file if it is not there.

    Returns:
        The lock, or ``None`` if another process (or another open file of this one) holds it.

    Raises:
        OSError: the file cannot be opened.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = lock(Path(folder) / "a"), lock(Path(folder) / "a")
        ...     first is None, second is None
        ...     first.release()
        (False, True)
    """
    while True:
        file = path.open("ab" if create else "rb")
        try:
            if fcntl is None:
                return Lock(file, sure=False)
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return Lock(file, sure=False)
            file.close()
            raise
        if _is_at(file, path):
            return Lock(file, sure=True)
        file.close()  # it was taken away while we waited for it
        if not create:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
