"""What a file itself says about the sensor that recorded it."""

from __future__ import annotations

import os

from spikesim.datasets.checks import SensorSize
from spikesim.datasets.formats.base import HEAD_BYTES, Source
from spikesim.datasets.formats.detect import recognised


def stated_sensor(path: str | os.PathLike[str]) -> SensorSize | None:
    """Give the sensor ``(W, H, P)`` that a recording names, after reading no more than its beginning.

    Args:
        path: the file.

    Returns:
        None for the formats that do not say it, such as the 40-bit ``.bin`` of N-MNIST.

    Raises:
        EventFileError: the file cannot be read, is of no known format or is damaged at its beginning.

    Example:
        >>> import tempfile
        >>> from spikesim.datasets import Events, stated_sensor, write_events
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_events(f"{folder}/a.npz", Events.empty((34, 34, 2)))
        ...     write_events(f"{folder}/a.bin", Events.empty((34, 34, 2)))
        ...     stated_sensor(f"{folder}/a.npz"), stated_sensor(f"{folder}/a.bin")
        ((34, 34, 2), None)
    """
    with Source.open(path) as source:
        layout = recognised(source.path, source.read(HEAD_BYTES))
        source.rewind()
        for _ in layout.chunks(source):
            break
        return source.sensor
