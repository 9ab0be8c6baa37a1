"""Open a dataset by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from spikesim.datasets.catalog.download import download as download_with_tonic
from spikesim.datasets.catalog.entries import CATALOG, LEFT_OUT
from spikesim.datasets.catalog.entry import Entry, Layout
from spikesim.datasets.catalog.recording import Listing
from spikesim.datasets.catalog.splits import PARTS, NamedSplit, split
from spikesim.datasets.events import Events
from spikesim.datasets.folder import RecordingFiles, Transform
from spikesim.errors import ConfigError, DatasetError, EventError


class CatalogDataset(RecordingFiles):
    """One part of a dataset of the catalogue; made by :func:`load`.

    Attributes:
        recordings: where each sample lies and what is known about it.
        labels: int64 ``[S]``.
        classes: the name of each label.
        entry: what the catalogue knows about the dataset.
        layout: the layout that it lies in.
        part: "train", "validation", "test" or "all".
        split: the split that it is a part of; put ``str(dataset.split)`` into a report.
    """

    def __init__(
        self, entry: Entry, layout: Layout, listing: Listing, made: NamedSplit, part: str, transform: Transform | None
    ) -> None:
        chosen = np.arange(len(listing.recordings)) if part == "all" else made.parts[part]
        self.recordings = tuple(listing.recordings[i] for i in chosen)
        self.entry, self.part, self.split = entry, part, made
        self.layout = layout
        files, labels = [r.path for r in self.recordings], [r.label for r in self.recordings]
        super().__init__(files, labels, listing.classes, self._unlisted, transform)

    def events(self, index: int) -> Events:
        """One recording without the transform.

        Raises:
            EventFileError: its file cannot be read or is damaged.
            EventError: an event is out of range; names the file.
        """
        recording = self.recordings[index]
        try:
            return self.layout.read(recording, self.entry.sensor_size)
        except EventError as error:
            if str(recording.path) in str(error):
                raise
            raise EventError(f"{recording.path}: {error}") from error

    def identity(self) -> dict[str, Any]:
        """What decides, beside the content of :attr:`files`, which events come of them."""
        parts = [(one.row, one.span) for one in self.recordings]
        return {"read": self.layout.read, "sensor_size": self.entry.sensor_size, "parts": parts}

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return the recording (:class:`Events`, or what ``transform`` makes of it) and its label."""
        events = self.events(index)
        return (self.transform(events) if self.transform else events), int(self.labels[index])

    def __repr__(self) -> str:
        return f"CatalogDataset({self.entry.name}, {self.part}: {len(self)} recordings of {self.split})"

    @staticmethod
    def _unlisted(path: Path) -> Events:
        raise ConfigError(f"{path}: read a recording of the catalogue by its index, dataset[index]")


def load(
    name: str,
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    protocol: str | None = None,
    validation: float = 0.0,
    seed: int = 0,
    transform: Transform | None = None,
    download: bool = False,
) -> CatalogDataset:
    """Open a part of a dataset, in Tonic's, SpikingJelly's or its published layout, whichever lies there.

    The order of the recordings, and with it every split, is the same on every machine.

    Args:
        name: name in the catalogue, such as "nmnist" or "dvsgesture" (``spikesim datasets list`` shows them all).
        root: the folder that holds it; what Tonic calls ``save_to``.
        split: "train", "validation", "test" or "all".
        protocol: how it is split: "official", "random", ...; the usual way of the dataset by default.
        validation: share of the training recordings that is set aside; the test part is never touched.
        seed: of what the split draws.
        transform: applied to each recording.
        download: let Tonic download it if it is not there.

    Returns:
        The recordings with their labels.

    Raises:
        ConfigError: the name, part or protocol is not known, or no validation part was set aside.
        DatasetError: the dataset does not lie there, lacks what the protocol asks for, or has nothing in this part.

    Example:
        >>> import tempfile
        >>> from spikesim.datasets import generate_ndigits, load
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     root = generate_ndigits(f"{folder}/ndigits", samples=40)
        ...     train, held = (load("nmnist", root, part, validation=0.25) for part in ("train", "validation"))
        >>> len(train), len(held), train.split.protocol
        (24, 8, 'official')
    """
    entry = entry_of(name)
    if split not in (*PARTS, "all"):
        raise ConfigError(f"split is {split!r}; expected one of {', '.join(PARTS)} or all")
    if transform is not None and (isinstance(transform, type) or not callable(transform)):
        raise ConfigError(f"transform is {transform!r}; expected a callable for each recording, such as Frames(10)")
    if not isinstance(root, (str, os.PathLike)):
        raise ConfigError(f"root is {root!r}; expected the folder that holds {entry.name}, or shall hold it")
    folder = Path(root).expanduser()
    if download and entry.found(folder) is None:
        download_with_tonic(entry, folder)
    layout, listing = entry.require(folder)
    made = _split(entry, listing, protocol, validation, seed)
    if split != "all" and not len(made.parts[split]):
        raise _empty(split, made, folder)
    return CatalogDataset(entry, layout, listing, made, split, transform)


def entry_of(name: str) -> Entry:
    """The entry of a name, however it is written.

    >>> entry_of("DVS-Gesture").name
    'dvsgesture'
    """
    plain = "".join(c for c in str(name).lower() if c.isalnum())
    found = next((e for e in CATALOG.values() if plain in (e.name, (e.tonic or e.name).lower(), *e.aliases)), None)
    if found is None and plain in LEFT_OUT:
        raise ConfigError(f"{name} is not in the catalogue: {LEFT_OUT[plain]}")
    if found is None:
        raise ConfigError(f"dataset is {name!r}; expected one of {', '.join(CATALOG)}")
    return found


def _empty(part: str, made: NamedSplit, root: Path) -> ConfigError | DatasetError:
    if part == "validation":
        return ConfigError(
            f"there are no validation recordings in {made}; set a share of the training ones aside, with the same "
            "number for all parts: load(..., validation=0.1)"
        )
    return DatasetError(
        f"there are no {part} recordings in {made}; put the missing ones into {root}, or choose another protocol "
        "or a smaller validation share"
    )


def _split(entry: Entry, listing: Listing, protocol: str | None, validation: float, seed: int) -> NamedSplit:
    rules = dict(entry.rules)
    return split(listing, protocol or next(iter(rules)), rules, validation=validation, seed=seed)
