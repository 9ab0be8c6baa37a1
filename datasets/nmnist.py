"""N-MNIST: the full dataset through Tonic, or any part of it in the same layout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from spikesim.datasets.folder import EventFolder, RecordingFiles, Transform
from spikesim.datasets.formats import read_bin
from spikesim.errors import DatasetError

DIGITS = tuple(str(digit) for digit in range(10))


class NMNIST(RecordingFiles):
    """The full N-MNIST dataset, found and listed by Tonic's ``tonic.datasets.NMNIST``.

    Nothing is downloaded unless asked for. Recordings are read by :func:`read_bin`, which refuses
    truncated files; the events are the same as Tonic's.

    Args:
        root: folder that holds ``NMNIST/`` (Tonic's ``save_to``).
        train: the 60,000 training recordings, else the 10,000 test recordings.
        download: let Tonic download the archives if they are not there.
        transform: applied to each recording, for example ``Frames(10)``.

    Raises:
        DatasetError: the dataset is not complete under ``root``, with what to do.

    References:
        Orchard et al. 2015, https://doi.org/10.3389/fnins.2015.00437 (CC BY-SA 4.0).

    Example:
        >>> import tempfile
        >>> from spikesim.datasets import NMNIST
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     try:
        ...         NMNIST(folder)
        ...     except LookupError as error:
        ...         print(str(error).splitlines()[-1])
        For a part of the dataset use EventFolder or load_nmnist.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        *,
        download: bool = False,
        transform: Transform | None = None,
    ) -> None:
        listing = _tonic_listing(Path(root), train, download)
        super().__init__([Path(path) for path in listing.data], listing.targets, DIGITS, read_bin, transform)


class TrainTest(NamedTuple):
    """The two official splits of a dataset."""

    train: RecordingFiles
    test: RecordingFiles


def load_nmnist(root: str | os.PathLike[str], *, transform: Transform | None = None) -> TrainTest:
    """Open N-MNIST, a part of it, or N-Digits, wherever under ``root`` it lies.

    Args:
        root: a folder with ``Train/`` and ``Test/``, or one with ``NMNIST/`` that has them. Tonic's class is
            used where its archives lie beside them (then all 70,000 recordings must be there).
        transform: applied to each recording, for example ``Frames(10)``.

    Returns:
        The training and the test recordings.

    Raises:
        DatasetError: there are no such folders, or they hold no recording.

    Example:
        >>> from spikesim.datasets import load_nmnist
        >>> load_nmnist("nowhere")
        Traceback (most recent call last):
        ...
        spikesim.errors.DatasetError: there is no folder nowhere; expected one with Train/ and Test/, \
or with NMNIST/ that holds them. `generate_ndigits` makes such recordings without a download
    """
    folder = Path(root).expanduser()
    for base in (folder, folder / "NMNIST"):
        if (base / "Train").is_dir() and (base / "Test").is_dir():
            if base.name == "NMNIST" and (base / "train.zip").is_file() and (base / "test.zip").is_file():
                return TrainTest(
                    NMNIST(base.parent, train=True, transform=transform),
                    NMNIST(base.parent, train=False, transform=transform),
                )
            return TrainTest(
                EventFolder(base, "Train", classes=DIGITS, transform=transform),
                EventFolder(base, "Test", classes=DIGITS, transform=transform),
            )
    found = "is no Train/ and Test/ in" if folder.is_dir() else "is no folder"
    raise DatasetError(
        f"there {found} {folder}; expected one with Train/ and Test/, or with NMNIST/ that holds them. "
        "`generate_ndigits` makes such recordings without a download"
    )


def _tonic_listing(root: Path, train: bool, download: bool) -> Any:
    import tonic.datasets

    part, archive = ("Train", "train.zip") if train else ("Test", "test.zip")

    def refuse(listing: Any) -> None:
        raise DatasetError(
            f"N-MNIST is not complete in {root / 'NMNIST'}; expected {archive} and at least 10,000 "
            f".bin files under {part}/.\nGet {archive} from {listing.url}\n"
            "(or pass download=True) and unpack it there.\n"
            "For a part of the dataset use EventFolder or load_nmnist."
        )

    # Tonic names the folder after the class, so the class that does not download has the same name.
    members = {} if download else {"download": refuse}
    return type("NMNIST", (tonic.datasets.NMNIST,), members)(str(root), train=train)
