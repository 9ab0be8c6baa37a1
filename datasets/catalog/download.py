"""Archives of a dataset: what Tonic downloads, whether it is whole, and what to do when the host is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from spikesim.datasets.catalog.entry import Entry
from spikesim.errors import DatasetError

_BLOCK = 1 << 20


class Archive(NamedTuple):
    """A file that Tonic downloads.

    Attributes:
        name: of the file.
        url: where it comes from.
        md5: its checksum.
    """

    name: str
    url: str
    md5: str


class Verified(NamedTuple):
    """What became of one archive.

    Attributes:
        archive: what was looked for.
        path: where it lies, or None.
        status: "ok", "differs" (damaged or of another version) or "missing".
        md5: checksum of what lies there.
    """

    archive: Archive
    path: Path | None
    status: Literal["ok", "differs", "missing"]
    md5: str = ""


def archives(entry: Entry) -> list[Archive]:
    """The files that Tonic would download, from its own class; none if it does not know the dataset.

    >>> from spikesim.datasets.catalog import CATALOG
    >>> [archive.name for archive in archives(CATALOG["nmnist"])]
    ['train.zip', 'test.zip']
    """
    if entry.tonic is None:
        return []
    kind = _tonic(entry)
    base = getattr(kind, "base_url", "")
    found = []
    for part in ("train_", "valid_", "test_", ""):
        name = getattr(kind, f"{part}filename", None) or getattr(kind, f"{part}zip", None)
        md5 = getattr(kind, f"{part}md5", None) if part else getattr(kind, "file_md5", None)
        if name and md5:
            url = getattr(kind, f"{part}url", None) or (base + name if base.endswith("/") else base)
            found.append(Archive(name, url, md5))
    return found


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
    if not expected:
        raise DatasetError(f"no checksum of {entry.name} is known; `spikesim datasets doctor` reads the recordings")
    result = []
    for archive in expected:
        places = [folder / archive.name for folder in (root / str(entry.tonic), root)]
        path = next((p for p in places if p.is_file()), None)
        if path is None:
            result.append(Verified(archive, None, "missing"))
            continue
        md5 = _md5(path, progress)
        result.append(Verified(archive, path, "ok" if md5 == archive.md5 else "differs", md5))
    return result


def download(entry: Entry, root: Path) -> None:
    """Let Tonic download and unpack a dataset, with its own progress bar.

    Raises:
        DatasetError: Tonic does not know the dataset, or could not get it; says which files to put where.
    """
    if entry.tonic is None:
        raise DatasetError(f"{entry.name} cannot be downloaded here; get it from {entry.source}")
    kind = _tonic(entry)

    for arguments in _calls(kind):
        try:
            kind(str(root), **arguments)
        except (Exception, SystemExit) as error:  # Tonic raises what its libraries do, and one class exits
            raise DatasetError(_by_hand(entry, root, error)) from error


def _calls(kind: Any) -> list[dict[str, Any]]:
    import inspect

    arguments = inspect.signature(kind.__init__).parameters
    if "split" in arguments:
        return [{"split": part} for part in ("train", "valid", "test")]
    return [{"train": True}, {"train": False}] if "train" in arguments else [{}]


def _by_hand(entry: Entry, root: Path, error: BaseException) -> str:
    lines = [f"{entry.name} could not be downloaded ({type(error).__name__}: {error})."]
    lines += [f"Put these files into {root / str(entry.tonic)} yourself and unpack them there:"]
    lines += [f"  {a.name}   md5 {a.md5}   {a.url}" for a in archives(entry)]
    return "\n".join([*lines, "Expected then:", *(f"  {layout.expected}" for layout in entry.layouts)])


def _tonic(entry: Entry) -> Any:
    import tonic.datasets

    return getattr(tonic.datasets, str(entry.tonic))


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
