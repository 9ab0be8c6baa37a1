"""Whether archives are whole, and what to do when the host is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from spikesim.datasets.catalog.archives import Archive, archives, calls, tonic_class
from spikesim.datasets.catalog.entry import Entry
from spikesim.errors import DatasetError

_BLOCK = 1 << 20
_SHOWN = 12  # archives that an error lists


class Verified(NamedTuple):
    """What became of one archive.

    Attributes:
        archive: what was looked for.
        path: where it lies, or None.
        status: "ok", "differs" (damaged or of another version), "missing", or "unchecked" where it lies there and no
            checksum is published.
        md5: checksum of what lies there.
    """

    archive: Archive
    path: Path | None
    status: Literal["ok", "differs", "missing", "unchecked"]
    md5: str = ""


def verify(entry: Entry, root: Path, progress: Callable[[int], None] = lambda done: None) -> list[Verified]:
    """Compare the archives under a folder with the published checksums.

    Args:
        entry: the dataset.
        root: where it lies; its archives beside it, or in the folder that Tonic makes.
        progress: told of every number of bytes that was read.

    Raises:
        DatasetError: no checksum of the dataset is known, or a file cannot be read.
    """
    expected = archives(entry)
    if not any(archive.md5 for archive in expected):
        raise DatasetError(f"no checksum of {entry.name} is known; `spikesim datasets doctor` reads the recordings")
    result = []
    for archive in expected:
        path = found_archive(entry, root, archive)
        if path is None:
            result.append(Verified(archive, None, "missing"))
            continue
        md5 = _md5(path, progress)
        status: Literal["ok", "differs", "unchecked"] = "ok" if md5 == archive.md5 else "differs"
        result.append(Verified(archive, path, status if archive.md5 else "unchecked", md5))
    return result


def found_archive(entry: Entry, root: Path, archive: Archive) -> Path | None:
    """Where an archive lies, if it does."""
    return next((p for p in (entry.home(root) / archive.name, root / archive.name) if p.is_file()), None)


def download(entry: Entry, root: Path) -> None:
    """Let Tonic download and unpack a dataset, with its own progress bar.

    Raises:
        DatasetError: Tonic does not know the dataset, or could not get it; says which files to put where.
    """
    if entry.tonic is None:
        raise DatasetError(f"{entry.name} cannot be downloaded here; get it from {entry.source}")
    for arguments in calls(entry):
        try:
            tonic_class(entry)(str(root), **arguments)
        except (Exception, SystemExit) as error:  # Tonic raises what its libraries do, and one class exits
            raise DatasetError(_by_hand(entry, root, error)) from error


def _by_hand(entry: Entry, root: Path, error: BaseException) -> str:
    wanted = archives(entry)
    lines = [f"{entry.name} could not be downloaded ({type(error).__name__}: {error})."]
    lines += [f"Put these files into {entry.home(root)} yourself and unpack them there:"]
    lines += [f"  {archive}" for archive in wanted[:_SHOWN]]
    if wanted[_SHOWN:]:
        lines += [f"  and {len(wanted) - _SHOWN} more; `spikesim datasets info {entry.name}` lists them all"]
    lines += [f"All of it: {entry.size or 'size not published'}.", "Expected then:"]
    return "\n".join([*lines, *(f"  {layout.expected}" for layout in entry.layouts)])


def _md5(path: Path, progress: Callable[[int], None]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                progress(len(block))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()
