"""Datasets by name: where they lie, how they are split, and whether they are whole."""

from spikesim.datasets.catalog.archives import Archive, archives
from spikesim.datasets.catalog.download import Verified, found_archive, verify
from spikesim.datasets.catalog.entries import CATALOG, LEFT_OUT
from spikesim.datasets.catalog.entry import Entry, Layout
from spikesim.datasets.catalog.examine import Examined, examine
from spikesim.datasets.catalog.load import CatalogDataset, entry_of, load
from spikesim.datasets.catalog.recording import Listing, Recording
from spikesim.datasets.catalog.splits import Leak, NamedSplit, leaks, split

__all__ = [
    "CATALOG",
    "LEFT_OUT",
    "Archive",
    "CatalogDataset",
    "Entry",
    "Examined",
    "Layout",
    "Leak",
    "Listing",
    "NamedSplit",
    "Recording",
    "Verified",
    "archives",
    "entry_of",
    "examine",
    "found_archive",
    "leaks",
    "load",
    "split",
    "verify",
]
