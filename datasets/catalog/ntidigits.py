"""N-TIDIGITS18: spikes of a silicon cochlea with 64 channels, all recordings in one HDF5 file.

``train_labels`` and ``test_labels`` name the recordings as ``man-ae-a-1``: sex, speaker, take and the digits spoken;
``train_addresses/NAME`` holds the channels and ``train_timestamps/NAME`` the seconds of a recording's spikes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from spikesim.datasets.catalog.recording import Listing, Recording
from spikesim.datasets.catalog.remembered import remembered
from spikesim.datasets.checks import SensorSize
from spikesim.datasets.events import Events
from spikesim.datasets.formats.spikes import BROKEN
from spikesim.errors import DatasetError, EventFileError

FILE = "n-tidigits.hdf5"
DIGITS = ("o", "1", "2", "3", "4", "5", "6", "7", "8", "9", "z")
"""What is spoken, in the order of the labels, which is Tonic's."""

_PARTS = ("train", "test")


def single_digits(root: Path) -> Listing | None:
    """The recordings of one digit each; those of several have no class."""
    path = next((p for p in (root / "NTIDIGITS18" / FILE, root / FILE) if p.is_file()), None)
    if path is None:
        return None
    recordings = []
    try:
        file = _opened(path, os.getpid())
        for part in _PARTS:
            for raw in file[f"{part}_labels"][:]:
                name = raw.decode() if isinstance(raw, bytes) else str(raw)
                *speaker, digits = name.split("-")
                if digits in DIGITS:
                    subject = "-".join(speaker[:2])
                    recordings.append(Recording(path, DIGITS.index(digits), part, subject, called=name))
    except BROKEN as error:
        raise DatasetError(
            f"{path}: cannot be read ({error}); expected an HDF5 file with train_labels and so on"
        ) from error
    return Listing(tuple(recordings), DIGITS) if recordings else None


def read(recording: Recording, sensor_size: SensorSize) -> Events:
    """The spikes of one recording: the channel is x, y is 0 and p 1; seconds are rounded to the nearest microsecond."""
    try:
        file = _opened(recording.path, os.getpid())
        part, name = recording.group, recording.name
        x = np.asarray(file[f"{part}_addresses"][name]).ravel()
        seconds = np.asarray(file[f"{part}_timestamps"][name], np.float64).ravel()
    except BROKEN as error:
        raise EventFileError(
            f"{recording.path}: {recording.name} cannot be read ({error}); copy or download the file again"
        ) from error
    none = np.zeros(len(x), np.uint8)
    return Events.from_columns(x, none, seconds, none + 1, sensor_size, time_unit="s", rounding="nearest")


@remembered(4)
def _opened(path: Path, process: int) -> Any:
    """The open file of this process: HDF5 handles do not survive a fork."""
    import h5py

    return h5py.File(path, "r")
