"""Datasets by name: where they lie, how they are split, and whether they are whole."""

from spikesim.datasets.catalog.download import Archive, Verified, archives, verify
from spikesim.datasets.catalog.entries import CATALOG
from spikesim.datasets.catalog.entry import Entry, Layout
from spikesim.datasets.catalog.examine import Examined, examine
from spikesim.datasets.catalog.load import CatalogDataset, entry_of, load
from spikesim.datasets.catalog.recording import Listing, Recording
from spikesim.datasets.catalog.splits import Leak, NamedSplit, leaks, split

__all__ = [
    "CATALOG",
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
    "leaks",
    "load",
    "split",
    "verify",
]
