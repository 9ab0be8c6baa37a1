"""Bounding boxes of Prophesee's Gen1 and 1 Mpx detection data (``*_bbox.npy``)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import bad_event
from spikesim.datasets.formats.base import Source
from spikesim.datasets.formats.npy import rows, table_of
from spikesim.errors import EventFileError

BOX_DTYPE = np.dtype(
    [
        ("t", np.int64),
        *((name, np.float32) for name in "xywh"),
        ("class_id", np.int32),
        ("confidence", np.float32),
        ("track_id", np.int64),
    ]
)
"""Time in microseconds, upper left corner, width, height, class, confidence and track of a box."""

_SPELLINGS = {"t": ("t", "ts"), "confidence": ("confidence", "class_confidence")}


def read_boxes(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read the bounding boxes of a recording.

    Both spellings of the fields are understood: ``ts`` or ``t``, ``class_confidence`` or ``confidence``.

    Args:
        path: the ``_bbox.npy`` file.

    Returns:
        The boxes, ``[N]`` of :data:`BOX_DTYPE`, in the order of the file.

    Raises:
        EventFileError: the file cannot be read, is damaged or holds something else.
        EventError: a number of a box is not finite, or its time is negative (names the box).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from spikesim.datasets import read_boxes
        >>> fields = [("ts", "u8"), ("x", "f4"), ("y", "f4"), ("w", "f4"), ("h", "f4"), ("class_id", "u1")]
        >>> fields += [("confidence", "f4"), ("track_id", "u4")]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "a_bbox.npy", np.array([(500, 3, 4, 10, 20, 1, 1, 7)], fields))
        ...     read_boxes(Path(folder) / "a_bbox.npy")["t"].tolist()
        [500]
    """
    with Source.open(path) as source:
        table = table_of(source)
        names = table.dtype.names
        sources = {
            name: next((one for one in _SPELLINGS.get(name, (name,)) if one in (names or ())), None)
            for name in BOX_DTYPE.names or ()
        }
        missing = [name for name, found in sources.items() if found is None]
        if missing or len(table.shape) != 1:
            raise EventFileError(
                f"{path}: an array of {table.dtype} and shape {table.shape}; expected boxes [N], without "
                f"{', '.join(missing) or 'further axes'}"
            )
        parts = [part for _, part in rows(source, table)]
    raw = np.concatenate(parts) if parts else np.empty(0, table.dtype)
    boxes = np.empty(len(raw), BOX_DTYPE)
    for name, found in sources.items():
        column = raw[found]
        if column.dtype.kind not in "iuf" or column.ndim != 1:
            raise EventFileError(f"{path}: {found} is of dtype {table.dtype[found or '']}; expected numbers")
        bad = ~np.isfinite(column) | (np.abs(column.astype(np.float64)) >= 2.0**62)
        if name == "t":
            bad |= column < 0
        if bad.any():
            first = int(np.argmax(bad))
            raise EventFileError(f"{path}: {bad_event(name, first, column[first], 'a finite number')}")
        boxes[name] = column
    return boxes
