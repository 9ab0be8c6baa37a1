"""Sequential MNIST as spikes: a picture is read pixel by pixel, and channels fire where it crosses their grey value.

Of 99 channels 49 fire where the grey value rises to their threshold, 49 where it falls below it, and one where it
is 255. Each spike comes twice, and a pixel takes two steps of a millisecond. Source: Bellec et al. 2018
(arXiv:1803.09574), in the form of Tonic's ``SMNIST``, whose spikes however are out of order where several channels
fire at one pixel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.catalog.recording import Listing, Recording
from spikesim.datasets.catalog.remembered import remembered
from spikesim.datasets.checks import SensorSize
from spikesim.datasets.events import Events
from spikesim.errors import EventFileError

CHANNELS = 99
STEP_US = 1000

_PARTS = {"train": "train", "t10k": "test"}
_IMAGES, _LABELS = 2051, 2049


def pictures(root: Path) -> Listing | None:
    """MNIST's four files, as Tonic or torchvision unpacks them."""
    for base in (root / "smnist", root / "MNIST" / "raw", root):
        found = [
            (base / f"{name}-images-idx3-ubyte", base / f"{name}-labels-idx1-ubyte", g) for name, g in _PARTS.items()
        ]
        found = [(images, labels, group) for images, labels, group in found if images.is_file() and labels.is_file()]
        if found:
            recordings = [
                Recording(images, int(label), group, row=row)
                for images, labels, group in found
                for row, label in enumerate(_checked(labels, images))
            ]
            return Listing(tuple(recordings), tuple("0123456789"))
    return None


def read(recording: Recording, sensor_size: SensorSize) -> Events:
    """The spikes of one picture."""
    x, steps = spikes_of(_array(recording.path, _IMAGES)[recording.row or 0].reshape(-1), sensor_size[0])
    none = np.zeros(len(x), np.uint8)
    return Events.from_columns(x, none, steps * STEP_US, none + 1, sensor_size)


def spikes_of(grey: NDArray[np.uint8], channels: int = CHANNELS) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Channels and steps of the spikes of a row of grey values.

    Args:
        grey: uint8 ``[pixels]``.
        channels: an odd number.

    Returns:
        Channels and steps, ``[N]`` each, in order of steps and then of channels.

    >>> x, steps = spikes_of(np.array([0, 255], np.uint8), channels=5)  # thresholds 0 and 254
    >>> x.tolist(), steps.tolist()
    ([4, 4, 0, 0], [0, 1, 2, 3])
    """
    half = channels // 2
    above = grey[:, None] >= np.linspace(0.0, 254.0, half).astype(np.uint8)
    rise, rising = np.nonzero(~above[:-1] & above[1:])
    fall, falling = np.nonzero(above[:-1] & ~above[1:])
    touch = np.flatnonzero(grey == 255)
    steps = np.concatenate([rise, fall, touch])
    x = channels - np.concatenate([rising, falling + half, np.full(len(touch), channels)])
    twice, x = np.concatenate([2 * steps, 2 * steps + 1]), np.tile(x, 2)
    order = np.lexsort((x, twice))
    return x[order], twice[order]


def _checked(labels: Path, images: Path) -> NDArray[np.uint8]:
    found, count = _array(labels, _LABELS), len(_array(images, _IMAGES))
    if len(found) != count:
        raise EventFileError(f"{labels}: holds {len(found)} labels for {count} pictures of {images.name}")
    if len(found) and int(found.max()) > 9:
        raise EventFileError(f"{labels}: label {int(np.argmax(found > 9))} is {int(found.max())}; expected 0 to 9")
    return found


@remembered(4)
def _array(path: Path, magic: int) -> NDArray[np.uint8]:
    """An IDX file of bytes: a magic number, as many sizes as its last byte says, and the values."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EventFileError(f"{path}: cannot be read ({error.strerror or error})") from error
    axes = magic & 255
    head = np.frombuffer(content[: 4 + 4 * axes], ">u4", len(content[: 4 + 4 * axes]) // 4)
    if len(head) < 1 + axes or int(head[0]) != magic:
        raise EventFileError(f"{path}: does not begin with {magic}, as MNIST's files do; unpack them (they end in .gz)")
    shape = tuple(int(side) for side in head[1:])
    wanted = int(np.prod(shape, dtype=object))
    if len(content) - 4 - 4 * axes != wanted:
        raise EventFileError(
            f"{path}: holds {len(content) - 4 - 4 * axes} values, but its header announces {shape}; copy it again"
        )
    return np.frombuffer(content, np.uint8, wanted, 4 + 4 * axes).reshape(shape)
