"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from spikesim.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file under a temporary name in the same folder, then rename it.

    Whoever reads ``path`` finds the old file or the new one, never a part. Missing folders are made.

    Raises:
        ConfigError: the folder cannot be made or written to.

    Example:
        >>> import tempfile
        >>> from spikesim.viz import write_bytes
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_bytes(folder + "/a/b.bin", b"12").read_bytes()
        b'12'
    """
    target = Path(path)
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files private; a result is not a secret
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise ConfigError(f"cannot write {target}: {error.strerror}; choose a folder that you may write to") from error
    return target


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that cannot be written, before anything is computed for it; leaves nothing behind.

    Raises:
        ConfigError: it is a folder, or the folder that it lies in cannot be made or written to.

    Example:
        >>> import tempfile
        >>> from spikesim.viz import check_writable
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     check_writable(folder + "/a/b.txt")
    """
    target = Path(path)
    folder = target.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}; choose a folder that you may write to") from error


def write_text(path: str | os.PathLike[str], content: str) -> Path:
    r"""Write text as UTF-8; see :func:`write_bytes`.

    Raises:
        ConfigError: the folder cannot be made or written to.

    Example:
        >>> import tempfile
        >>> from spikesim.viz import write_text
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(folder + "/a.txt", "T = 10\n").read_text()
        'T = 10\n'
    """
    return write_bytes(path, content.encode())


def png_bytes(figure: Figure, dpi: int = 120) -> bytes:
    """Render a figure to the bytes of a PNG file.

    Args:
        figure: what a drawing function of this package returned.
        dpi: dots per inch.

    Example:
        >>> from spikesim.viz import png_bytes, training_curves
        >>> png_bytes(training_curves([1], {"loss": [0.5]}, {"accuracy": [0.9]}))[1:4]
        b'PNG'
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
