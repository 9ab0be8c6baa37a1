"""The catalogue: every dataset that can be opened by name, and those of Tonic's that cannot."""

from __future__ import annotations

from spikesim.datasets.catalog.entries_scenes import SCENES
from spikesim.datasets.catalog.entries_sound import SOUND
from spikesim.datasets.catalog.entries_vision import VISION
from spikesim.datasets.catalog.entry import Entry

CATALOG: dict[str, Entry] = {entry.name: entry for entry in (*VISION, *SOUND, *SCENES)}
"""Datasets by name."""

LEFT_OUT: dict[str, str] = {
    "ebssa": "its recordings come from two cameras with different sensors, which their file does not tell apart, and "
    "their targets are boxes over time; tonic.datasets.EBSSA reads them",
}
"""Tonic's other datasets, and why they are not here."""
