"""Read one recording of a dataset, whatever file it lies in."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spikesim.datasets.catalog.recording import Recording
from spikesim.datasets.catalog.remembered import remembered
from spikesim.datasets.checks import SensorSize
from spikesim.datasets.events import Events
from spikesim.datasets.formats import SpikeFile, read_bin, read_events
from spikesim.datasets.formats.spikes import BROKEN
from spikesim.errors import EventFileError


class Read(Protocol):
    """Reads one recording."""

    def __call__(self, recording: Recording, sensor_size: SensorSize) -> Events:
        """Return the events of a recording of a sensor."""
        ...


def any_format(recording: Recording, sensor_size: SensorSize, **options: Any) -> Events:
    """A file of any format that tells itself; the recording's part of it if it holds several."""
    events = read_events(recording.path, sensor_size, **options)
    if recording.span is None:
        return events
    start, end = recording.span
    return Events(events.data[(events.t >= start) & (events.t < end)], sensor_size)


def bin40(recording: Recording, sensor_size: SensorSize) -> Events:
    """A 40-bit file."""
    return read_bin(recording.path, sensor_size)


gesture_npy = partial(any_format, columns="xypt", time_unit="ms", rounding="nearest")
"""Tonic's DVS128 Gesture: plain columns x, y, p and milliseconds."""

poker_npy = partial(any_format, columns="txyp")
"""Tonic's POKER-DVS: plain columns t, x, y, p."""


def spike_row(recording: Recording, sensor_size: SensorSize) -> Events:
    """A row of an SHD or SSC file."""
    return _spikes(recording.path, sensor_size)[recording.row or 0]


@remembered(8)
def _spikes(path: Path, sensor_size: SensorSize) -> SpikeFile:
    return SpikeFile(path, sensor_size)


def asl_mat(recording: Recording, sensor_size: SensorSize) -> Events:
    """ASL-DVS: MATLAB columns ts, x, y and pol, whose rows count from the bottom."""
    from scipy.io import loadmat

    try:
        columns = {name: np.ravel(v) for name, v in loadmat(recording.path).items() if not name.startswith("__")}
        x, y, t, p = (columns[name] for name in ("x", "y", "ts", "pol"))
    except Exception as error:  # scipy raises whatever the damage leads it to
        raise EventFileError(
            f"{recording.path}: cannot be read ({error!r}); expected a MATLAB file with ts, x, y and pol. Copy or "
            "download it again"
        ) from error
    return Events.from_columns(x, sensor_size[1] - 1 - y.astype(np.int64), t, p, sensor_size)


def h5_table(recording: Recording, sensor_size: SensorSize) -> Events:
    """3ET: HDF5 with one table ``events`` of t, x, y and p."""
    import h5py

    try:
        with h5py.File(recording.path, "r") as file:
            table = np.asarray(file["events"][:])
            t, x, y, p = table.T
    except BROKEN as error:
        raise EventFileError(
            f"{recording.path}: cannot be read ({error}); expected HDF5 with a table `events` of t, x, y and p"
        ) from error
    return Events.from_columns(x, y, t, p, sensor_size)
