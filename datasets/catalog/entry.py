"""What the catalogue knows about a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from spikesim.datasets.catalog.layouts import Find
from spikesim.datasets.catalog.readers import Read
from spikesim.datasets.catalog.recording import Listing
from spikesim.datasets.catalog.splits import Rule
from spikesim.datasets.checks import SensorSize
from spikesim.errors import DatasetError, SpikesimError


@dataclass(frozen=True)
class Layout:
    """One way in which a dataset may lie in folders.

    Args:
        name: whose layout it is: "tonic", "spikingjelly" or "published".
        expected: the files, as an error shows them.
        find: lists the recordings.
        read: reads one.
        counts: how many recordings of which part there are when nothing is missing.
    """

    name: str
    expected: str
    find: Find
    read: Read
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Entry:
    """One dataset of the catalogue.

    Args:
        name: what :func:`spikesim.datasets.load` calls it.
        about: what was recorded, in a few words.
        sensor_size: ``(W, H, P)``.
        layouts: how it may lie in folders, the likeliest first.
        rules: its splits by name, the usual one first.
        source: who published it, with a link.
        tonic: Tonic's class, which downloads it and knows the checksums.
        note: what a report should say about it.
        size: how large its archives are and who says so, "" where nobody does.
        folder: into which Tonic unpacks it, under the root; the name of its class by default.
        aliases: other names, in small letters and digits.
    """

    name: str
    about: str
    sensor_size: SensorSize
    layouts: tuple[Layout, ...]
    rules: Mapping[str, Rule]
    source: str
    tonic: str | None = None
    note: str = ""
    size: str = ""
    folder: str = ""
    aliases: tuple[str, ...] = ()

    def home(self, root: Path) -> Path:
        """The folder into which Tonic puts archives."""
        return root / (self.folder or self.tonic or "")

    def found(self, root: Path) -> tuple[Layout, Listing] | None:
        """The layout in which the dataset lies under a folder, and its recordings.

        Raises:
            DatasetError: a folder or list may not be read, or is damaged.
        """
        for layout in self.layouts:
            try:
                listing = layout.find(root)
            except SpikesimError:  # of files, which says more
                raise
            except OSError as error:
                raise DatasetError(f"{root} cannot be looked into ({error}); expected folders to read") from error
            if listing is not None:
                return layout, listing
        return None

    def require(self, root: Path) -> tuple[Layout, Listing]:
        """The same, or an error that says what was looked for.

        Raises:
            DatasetError: the dataset does not lie there.
        """
        there = self.found(root)
        if there is None:
            missing = "is no folder" if not root.is_dir() else f"is no {self.name} in"
            ways = "\n".join(f"  {layout.expected}   ({layout.name})" for layout in self.layouts)
            raise DatasetError(f"there {missing} {root}; expected files as one of\n{ways}")
        return there
