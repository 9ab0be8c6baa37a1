"""Archives of a dataset, as Tonic's own class lists them: names, addresses and checksums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from spikesim.datasets.catalog.entry import Entry


class Archive(NamedTuple):
    """A file that Tonic downloads.

    Attributes:
        name: of the file, under the folder that Tonic makes.
        url: where it comes from.
        md5: its checksum, or "" where none is published.
        size: its bytes, or None where nobody says so.
    """

    name: str
    url: str
    md5: str
    size: int | None = None

    def __str__(self) -> str:
        size = "size not published" if self.size is None else f"{self.size} bytes"
        return f"{self.name}   {size}   md5 {self.md5 or 'not published'}   {self.url}"


# As MNIST's page gives them.
_SIZES = {
    "train-images-idx3-ubyte.gz": 9912422,
    "train-labels-idx1-ubyte.gz": 28881,
    "t10k-images-idx3-ubyte.gz": 1648877,
    "t10k-labels-idx1-ubyte.gz": 4542,
}


def archives(entry: Entry) -> list[Archive]:
    """The files that Tonic would download, from its own class; none if it does not know the dataset.

    >>> from spikesim.datasets.catalog import CATALOG
    >>> [archive.name for archive in archives(CATALOG["nmnist"])]
    ['train.zip', 'test.zip']
    """
    if entry.tonic is None:
        return []
    kind = tonic_class(entry)
    return [Archive(name, url, md5, _SIZES.get(name)) for name, url, md5 in _LISTS.get(entry.tonic, _parts)(kind)]


def tonic_class(entry: Entry) -> Any:
    """Tonic's class of a dataset."""
    import tonic.datasets

    return getattr(tonic.datasets, str(entry.tonic))


def calls(entry: Entry) -> list[dict[str, Any]]:
    """The arguments with which Tonic's class must be made so that it downloads everything."""
    import inspect

    if entry.tonic in _CALLS:
        return _CALLS[entry.tonic]
    arguments = inspect.signature(tonic_class(entry).__init__).parameters
    if "split" in arguments:
        return [{"split": part} for part in ("train", "valid", "test")]
    return [{"train": True}, {"train": False}] if "train" in arguments else [{}]


_Row = tuple[str, str, str]

_CALLS: dict[str, list[dict[str, Any]]] = {
    "DAVISDATA": [{"recording": "all"}],
    "DSEC": [{"split": part, "data_selection": "events_left"} for part in ("train", "test")],
    "MVSEC": [{"scene": s} for s in ("indoor_flying", "motorcycle", "outdoor_day", "outdoor_night")],
    "ThreeET_Eyetracking": [{"split": part} for part in ("train", "val")],
    "TUMVIE": [{"recording": "all"}],
}


def _parts(kind: Any) -> Iterator[_Row]:
    base = getattr(kind, "base_url", "")
    for part in ("train_", "valid_", "test_", ""):
        name = getattr(kind, f"{part}filename", None) or getattr(kind, f"{part}zip", None)
        md5 = getattr(kind, f"{part}md5", None) if part else getattr(kind, "file_md5", None)
        if name and md5:
            yield name, getattr(kind, f"{part}url", None) or (base + name if base.endswith("/") else base), md5


def _mnist(kind: Any) -> Iterator[_Row]:
    for what in ("train_images", "train_labels", "test_images", "test_labels"):
        name = getattr(kind, f"{what}_file") + ".gz"
        yield name, kind.base_url + name, getattr(kind, f"{what}_md5")


def _bags(kind: Any) -> Iterator[_Row]:
    for name, md5 in kind.recordings.items():
        yield f"{name}.bag", f"{kind.base_url}{name}.bag", md5


def _scenes(kind: Any) -> Iterator[_Row]:
    for scene, files in kind.resources.items():
        for name, md5 in files:
            yield f"{scene}/{name}", f"{kind.base_url}{scene}/{name}", md5


def _pairs(kind: Any) -> Iterator[_Row]:
    for pair in kind.recordings:
        for name, md5 in pair:
            yield name, kind.base_url + name, md5


def _dsec(kind: Any) -> Iterator[_Row]:
    for part in ("train", "test"):
        for name in kind.recordings[part]:
            file = f"{name}_events_left.zip"
            yield f"{name}/events_left/{file}", f"{kind.base_url}{part}/{name}/{file}", ""


def _tumvie(kind: Any) -> Iterator[_Row]:
    for name in kind.recordings:
        for file in kind.filenames:
            yield f"{name}/{name}-{file}", f"{kind.base_url}{name}/{name}-{file}", ""


def _nerdd(kind: Any) -> Iterator[_Row]:
    yield kind.filename, "https://github.com/MagriniGabriele/NeRDD", ""


_LISTS: dict[str, Callable[[Any], Iterator[_Row]]] = {
    "DAVISDATA": _bags,
    "DSEC": _dsec,
    "MVSEC": _scenes,
    "NERDD": _nerdd,
    "SMNIST": _mnist,
    "TUMVIE": _tumvie,
    "VPR": _pairs,
}
