"""Several files that belong together, replaced only once all of them are written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from spikesim.errors import ConfigError


def write_all(folder: str | Path, files: Mapping[str, bytes]) -> None:
    """Write all files under temporary names, then rename them in their order.

    A full disk or a missing permission leaves what was there before. If the process dies between two renames, files of
    two generations lie side by side; whoever reads them must be able to tell, so the last file should hold the digests
    of the others.

    Args:
        folder: Made if it is missing.
        files: Content by name.

    Raises:
        ConfigError: A file cannot be written.

    Example:
        >>> import tempfile
        >>> from spikesim.converters.staging import write_all
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_all(folder, {"a": b"1", "b": b"2"})
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['a', 'b']
    """
    place, staged = Path(folder), {}
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            handle, temporary = tempfile.mkstemp(dir=place, prefix=f".{name}.")
            staged[name] = temporary
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # some file systems notice only now that they are full
        mask = os.umask(0)
        os.umask(mask)
        for name in list(staged):
            os.chmod(staged[name], 0o666 & ~mask)  # mkstemp makes files private; a result is not a secret
            os.replace(staged[name], place / name)
            del staged[name]
    except OSError as error:
        raise ConfigError(
            f"cannot write into {place}: {error.strerror}; choose a folder that you may write to, with room in it"
        ) from error
    finally:
        for temporary in staged.values():
            Path(temporary).unlink(missing_ok=True)
