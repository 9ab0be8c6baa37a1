"""HDF5 with the columns ``events/x``, ``events/y``, ``events/t`` and ``events/p``: DSEC, TUM-VIE, 1 Mpx.

Where there is a ``t_offset``, as in DSEC, it is added to the times. The sensor is not said. DSEC's columns are
compressed by a filter that ``hdf5plugin`` brings; plain ones are read without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from spikesim.datasets.checks import FIELDS
from spikesim.datasets.columns import one_dimensional
from spikesim.datasets.formats.base import Chunk, Format, Source, evenly
from spikesim.datasets.formats.extras import library
from spikesim.datasets.formats.spikes import BROKEN, MARK
from spikesim.errors import EventError, EventFileError

_STEP = 2**18


def chunks(source: Source) -> Iterator[Chunk]:
    """Read the events of a file, some at a time."""
    import h5py

    with suppress(EventFileError):  # it registers its filters; a file without them needs none
        library("hdf5plugin", "dsec", "")
    try:
        with h5py.File(source.path, "r") as file:
            columns = {name: file[f"events/{name}"] for name in FIELDS}
            lengths = {name: column.shape for name, column in columns.items()}
            if len(set(lengths.values())) > 1:
                raise EventFileError(f"{source.path}: the columns differ in length: {lengths}")
            shift = int(file["t_offset"][()]) if "t_offset" in file else 0
            total = len(columns["t"])
            for first in range(0, total, _STEP):
                yield _part(source, columns, first, shift)
    except EventError:
        raise
    except BROKEN as error:
        raise source.damage(0, f"HDF5 that cannot be read ({error})") from error


def _part(source: Source, columns: dict[str, Any], first: int, shift: int) -> Chunk:
    try:
        part = {name: one_dimensional(name, column[first : first + _STEP]) for name, column in columns.items()}
    except OSError as error:
        if "filter" in str(error) or "plugin" in str(error):
            library("hdf5plugin", "dsec", f"{source.path}: reading its compressed columns")
        # HDF5 does not tell where in the file its chunks lie.
        raise source.damage(0, f"HDF5 that cannot be read from event {first} on ({error})") from error
    t = part["t"].astype(np.int64) + shift if shift and part["t"].dtype.kind in "iu" else part["t"]
    return Chunk(part["x"], part["y"], t, part["p"], evenly(0, 0))


def looks_like(head: bytes, path: Path) -> bool:
    """Whether the file is HDF5 and holds the columns of events."""
    if not head.startswith(MARK):
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return all(isinstance(file.get(f"events/{name}"), h5py.Dataset) for name in FIELDS)
    except BROKEN:
        return False


DSEC = Format(
    "dsec",
    "HDF5 with events/x, y, t and p (DSEC, TUM-VIE)",
    (".h5", ".hdf5"),
    looks_like,
    chunks,
    takes=("time_unit", "rounding"),
    extra="dsec",
)
