"""SHD and SSC (Heidelberg): one HDF5 file of many recordings of spikes.

``spikes/times`` holds seconds (floats of any width; the published files have 16 bits) and ``spikes/units`` the
channel of each spike, one variable-length row for each recording; ``labels`` numbers the classes that ``extra/keys``
names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.atomic import whole_file
from spikesim.datasets.checks import SensorSize, check_sensor_size
from spikesim.datasets.columns import microseconds
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import Chunk, Format, Source
from spikesim.errors import EventError, EventFileError

SHD_SENSOR: SensorSize = (700, 1, 1)
"""700 channels of the artificial cochlea, one polarity."""

MARK = b"\x89HDF\r\n\x1a\n"
# What h5py raises depends on where in the file the damage is.
BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, MemoryError)


class SpikeFile:
    """The recordings of an SHD or SSC file, each read when it is asked for.

    The channel of a spike is x; y is 0 and p 1. Times are rounded to the nearest microsecond in 64 bits
    (16-bit seconds cannot tell more than that apart after 2 ms).

    Args:
        path: the ``.h5`` file.
        sensor_size: ``(channels, 1, 1)``.

    Attributes:
        labels: the class of each recording, int64 ``[S]``.
        classes: the names of the classes, where the file has them.
        speakers: who speaks in each recording, int64 ``[S]``, or ``None``.

    Raises:
        EventFileError: the file cannot be read or is laid out differently.

    Example:
        >>> import tempfile, h5py, numpy as np
        >>> from pathlib import Path
        >>> from spikesim.datasets import SpikeFile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "shd_test.h5"
        ...     with h5py.File(path, "w") as file:
        ...         for name, dtype, values in (("times", "f2", [0.001, 0.5]), ("units", "u2", [3, 699])):
        ...             rows = file.create_dataset(f"spikes/{name}", (1,), h5py.vlen_dtype(np.dtype(dtype)))
        ...             rows[0] = np.array(values, dtype)
        ...         file["labels"] = [4]
        ...     spikes = SpikeFile(path)
        ...     spikes[0], int(spikes.labels[0]), spikes[0].t.tolist()
        (Events(2 events over 499000 us, sensor 700x1x1), 4, [1000, 500000])
    """

    def __init__(self, path: str | os.PathLike[str], sensor_size: SensorSize = SHD_SENSOR) -> None:
        self.path = Path(path)
        self.sensor_size = check_sensor_size(sensor_size)
        self._file: Any = None
        self._columns: tuple[Any, ...] = ()
        self._owner = -1
        with Source.open(path) as source:
            if source.read(len(MARK)) != MARK:
                raise EventFileError(f"{path}: is no HDF5 file; expected spikes/times, spikes/units and labels in one")
        try:
            file = self._opened()
            self._count = len(file["spikes/times"])
            counts = {"spikes/units": len(file["spikes/units"]), "labels": len(file["labels"])}
            self.labels: NDArray[np.int64] = np.asarray(file["labels"][:]).astype(np.int64)
            names = file["extra/keys"][:] if "extra/keys" in file else ()
            self.classes = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
            self.speakers: NDArray[np.int64] | None = (
                np.asarray(file["extra/speaker"][:]).astype(np.int64) if "extra/speaker" in file else None
            )
        except BROKEN as error:
            raise self._refused(error) from error
        if set(counts.values()) != {self._count}:
            raise EventFileError(
                f"{path}: holds {self._count} rows of spikes/times but {counts}; expected as many of each"
            )

    def _refused(self, error: Exception) -> EventFileError:
        return EventFileError(
            f"{self.path}: cannot be read ({error}); expected an HDF5 file with spikes/times, spikes/units and labels. "
            "Copy or download it again"
        )

    def _opened(self) -> Any:
        """The open file of this process: HDF5 handles do not survive a fork."""
        if self._file is None or self._owner != os.getpid():
            import h5py

            self._file, self._owner = h5py.File(self.path, "r"), os.getpid()
            # Finding a dataset by its name takes as long as reading a row of it.
            self._columns = self._file["spikes/times"], self._file["spikes/units"]
        return self._file

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Events:
        """Return one recording.

        Raises:
            IndexError: there are not that many.
            EventError: a spike is out of range; names the file, the recording and the spike.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"recording {index} of {len(self)}")
        row = int(index) % len(self)
        try:
            self._opened()
            times, units = (np.asarray(column[row]) for column in self._columns)
        except BROKEN as error:
            raise self._refused(error) from error
        try:
            wide = times.astype(np.float64) if times.dtype.kind == "f" else times
            t = microseconds(wide, "s", "nearest")
            return Events.from_columns(
                units, np.zeros(len(units), np.uint8), t, np.ones(len(t), np.uint8), self.sensor_size
            )
        except EventError as error:
            raise EventError(f"{self.path}, recording {row}: {error}") from error

    def __iter__(self) -> Iterator[Events]:
        return (self[index] for index in range(len(self)))

    def close(self) -> None:
        """Close the file; it is opened again when a recording is asked for."""
        if self._file is not None and self._owner == os.getpid():
            self._file.close()
        self._file, self._columns = None, ()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": None, "_columns": (), "_owner": -1}

    def __repr__(self) -> str:
        return f"SpikeFile({str(self.path)!r}: {len(self)} recordings)"


def write_spikes(
    path: str | os.PathLike[str],
    recordings: Sequence[Events],
    labels: Sequence[int],
    *,
    classes: Sequence[str] = (),
    speakers: Sequence[int] | None = None,
) -> None:
    """Write recordings as SHD and SSC are laid out, whole or not at all.

    Times are stored in the narrowest floats that give every microsecond back, so nothing is lost.

    Args:
        path: the ``.h5`` file; an existing one is replaced.
        recordings: spikes with their channel as x; y is 0 and p 1, as the format knows neither.
        labels: the class of each recording.
        classes: the names of the classes.
        speakers: who speaks in each recording.

    Raises:
        EventError: there is not one label (and speaker) for each recording, or a spike that the format
            cannot hold; names the recording and the spike.
        EventFileError: the folder is missing, full or not writable.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import SHD_SENSOR, Events, SpikeFile, write_spikes
        >>> spikes = Events.from_columns([3, 699], [0, 0], [1, 500_001], [1, 1], SHD_SENSOR)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_spikes(Path(folder) / "a.h5", [spikes], [4])
        ...     SpikeFile(Path(folder) / "a.h5")[0] == spikes
        True
    """
    import h5py

    if len(labels) != len(recordings) or (speakers is not None and len(speakers) != len(recordings)):
        raise EventError(f"{path}: {len(recordings)} recordings, but {len(labels)} labels; expected one for each")
    for row, events in enumerate(recordings):
        for name, wanted in (("y", 0), ("p", 1)):
            bad = events.data[name] != wanted
            if bad.any():
                first = int(np.argmax(bad))
                value = int(events.data[name][first])
                raise EventError(f"{path}, recording {row}: event {first} has {name} = {value}; expected {wanted}")
    width = next((width for width in ("f2", "f4", "f8") if all(_exact(events.t, width) for events in recordings)), None)
    if width is None:
        raise EventError(f"{path}: a time is beyond 2**52 us, which seconds in 64 bits cannot hold")
    try:
        with whole_file(path) as scratch, h5py.File(scratch, "w") as file:
            shape = (len(recordings),)
            times = file.create_dataset("spikes/times", shape, h5py.vlen_dtype(np.dtype(width)))
            units = file.create_dataset("spikes/units", shape, h5py.vlen_dtype(np.dtype("u2")))
            for row, events in enumerate(recordings):
                times[row], units[row] = (events.t / 1e6).astype(width), events.x.astype(np.uint16)
            file["labels"] = np.asarray(labels, np.int64)
            if classes:
                file["extra/keys"] = np.array([name.encode() for name in classes])
            if speakers is not None:
                file["extra/speaker"] = np.asarray(speakers, np.int64)
    except OSError as error:
        raise EventFileError(f"{path}: cannot be written ({error.strerror or error})") from error


def _exact(times: NDArray[np.int64], width: str) -> bool:
    """Whether seconds of this width give the microseconds back."""
    with np.errstate(over="ignore"):
        back = (times / 1e6).astype(width).astype(np.float64) * 1e6
    return bool((times < 2**52).all() and (np.rint(back) == times).all())


def chunks(source: Source) -> Iterator[Chunk]:
    """Refuse: the file holds many recordings."""
    count = len(SpikeFile(source.path))
    raise EventFileError(f"{source.path}: holds {count} recordings; use SpikeFile(path)[index] for one of them")


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file is HDF5 and holds spikes."""
    if not head.startswith(MARK):
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "spikes/times" in file and "spikes/units" in file
    except BROKEN:
        return False


SHD = Format("shd", "HDF5 of SHD and SSC (many recordings; use SpikeFile)", (".h5", ".hdf5"), looks_like, chunks)
