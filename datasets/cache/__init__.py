"""Frames made once: in memory, or on disk for every later process."""

from spikesim.datasets.cache.disk import CachedFrames
from spikesim.datasets.cache.manifest import Manifest
from spikesim.datasets.cache.memory import FrameDataset
from spikesim.datasets.cache.stored import StoredFrames
from spikesim.datasets.cache.upkeep import CacheEntry, cache_entries, cache_root, clear_cache, verify_cache

__all__ = [
    "CacheEntry",
    "CachedFrames",
    "FrameDataset",
    "Manifest",
    "StoredFrames",
    "cache_entries",
    "cache_root",
    "clear_cache",
    "verify_cache",
]
