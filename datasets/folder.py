"""Recordings in class folders: ``<root>/<split>/<class>/*.bin``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.events import Events
from spikesim.datasets.formats import read_bin
from spikesim.errors import DatasetError

Reader = Callable[[Path], Events]
Transform = Callable[[Events], Any]


class EventDataset(Protocol):
    """What every dataset of recordings here offers.

    Attributes:
        classes: the name of each label.
        labels: the label of each sample, int64 ``[S]``, known without reading a recording.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of samples S."""
        ...

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return one recording (or what the transform makes of it) and its label."""
        ...


class RecordingFiles:
    """Recordings listed by file and label, read when asked for.

    Args:
        files: one path for each sample.
        labels: the label of each sample ``[S]``.
        classes: the name of each label.
        reader: what reads a file.
        transform: applied to each recording, for example ``Frames(10)``.
    """

    def __init__(
        self,
        files: Sequence[Path],
        labels: Sequence[int],
        classes: Sequence[str],
        reader: Reader,
        transform: Transform | None = None,
    ) -> None:
        self.files = tuple(files)
        self.labels = np.array(labels, np.int64)
        self.classes = tuple(classes)
        self.reader = reader
        self.transform = transform

    def identity(self) -> dict[str, Any]:
        """What decides, beside the content of :attr:`files`, which events come of them."""
        return {"reader": self.reader}

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} recordings of {len(self.classes)} classes)"

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return the recording (:class:`Events`, or what ``transform`` makes of it) and its label.

        Raises:
            EventFileError: the file cannot be read or is truncated.
            EventError: an event is out of range; both name the file.
        """
        events = self.reader(self.files[index])
        return (self.transform(events) if self.transform else events), int(self.labels[index])


class EventFolder(RecordingFiles):
    """Any part of a dataset in N-MNIST's layout, ``<root>/<split>/<class>/*.bin``.

    Samples are ordered by class, then by file name, on every machine. Labels number the classes found
    under all splits of ``root``, so that a class that is missing from one split does not shift them.

    Args:
        root: the folder that holds the splits.
        split: name of the split's folder.
        reader: what reads a file; N-MNIST's 40-bit format by default. For another sensor:
            ``functools.partial(read_bin, sensor_size=(240, 180, 2))``.
        suffix: file name ending of a recording.
        classes: the class names in the order of their labels, where folders alone do not tell.
        transform: applied to each recording, for example ``Frames(10)``.

    Raises:
        DatasetError: a folder is missing or holds no recording, or a class folder is not in ``classes``.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import EventFolder, Events, write_bin
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for digit in ("3", "7"):
        ...         (Path(root) / "Train" / digit).mkdir(parents=True)
        ...         write_bin(Path(root) / "Train" / digit / "0.bin", Events.empty((34, 34, 2)))
        ...     recordings = EventFolder(root)
        ...     recordings.classes, recordings[1]
        (('3', '7'), (Events(0 events over 0 us, sensor 34x34x2), 1))
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "Train",
        *,
        reader: Reader = read_bin,
        suffix: str = ".bin",
        classes: Sequence[str] | None = None,
        transform: Transform | None = None,
    ) -> None:
        folder = Path(root) / split
        expected = f"{Path(root)}/{split}/<class>/*{suffix}"
        if not folder.is_dir():
            raise DatasetError(f"there is no folder {folder}; expected recordings as {expected}")
        here = _folders(folder)
        names = (
            tuple(classes)
            if classes is not None
            else _ordered({name for part in _folders(Path(root)) for name in _folders(Path(root) / part)})
        )
        unknown = [name for name in here if name not in names]
        if unknown:
            raise DatasetError(f"{folder} holds {', '.join(unknown)}, not among the classes {', '.join(names)}")
        listed = [
            (path, label)
            for label, name in enumerate(names)
            if name in here
            for path in sorted((folder / name).iterdir())
            if path.name.endswith(suffix) and not path.name.startswith(".")
        ]
        if not listed:
            raise DatasetError(f"{folder} holds no recording; expected files as {expected}")
        super().__init__([path for path, _ in listed], [label for _, label in listed], names, reader, transform)


def _folders(folder: Path) -> list[str]:
    return _ordered({path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")})


def _ordered(names: set[str]) -> list[str]:
    """Return the names in order: as numbers where all are numbers, so that 10 follows 9."""
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return sorted(names, key=(lambda name: (int(name), name)) if numbers else None)
