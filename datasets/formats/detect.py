"""Which format a file is: by its content, and by its ending where that does not prove it."""

from __future__ import annotations

import os
from pathlib import Path

from spikesim.datasets.formats.aedat2 import AEDAT2
from spikesim.datasets.formats.aedat3 import AEDAT3
from spikesim.datasets.formats.base import HEAD_BYTES, Format, Source
from spikesim.datasets.formats.bin40 import BIN40
from spikesim.datasets.formats.dat import DAT
from spikesim.datasets.formats.es import ES
from spikesim.datasets.formats.evt import EVT2, EVT3, EVT21
from spikesim.datasets.formats.extra_aedat4 import AEDAT4
from spikesim.datasets.formats.extra_dsec import DSEC
from spikesim.datasets.formats.extra_rosbag import ROSBAG
from spikesim.datasets.formats.npy import NPY
from spikesim.datasets.formats.npz import NPZ
from spikesim.datasets.formats.spikes import SHD
from spikesim.datasets.formats.text import CSV
from spikesim.errors import EventError, EventFileError

_OWN = (BIN40, AEDAT2, AEDAT3, DAT, EVT2, EVT21, EVT3, ES, NPY, NPZ, CSV, SHD)
_EXTRA = (AEDAT4, DSEC, ROSBAG)
FORMATS: dict[str, Format] = {one.name: one for one in (*_OWN, *_EXTRA)}
"""Every format that can be read, by the name that ``format=`` takes."""

# Signatures of formats that are known but not read here: a wrong guess would be worse than a refusal.
_FOREIGN = {
    b"#!AER-DAT3.0": "AEDAT 3.0",
    b"#!AER-DAT1": "AEDAT 1.0",
    b"\x89HDF": "HDF5 of an unknown layout",
    b"\x1f\x8b": "compressed with gzip: unpack it first",
}


def format_of(path: str | os.PathLike[str]) -> Format:
    """Return the format of a file, by its content.

    Where content does not prove a format (40-bit ``.bin``, text), its first records must make sense and
    the ending must agree.

    Args:
        path: the file.

    Returns:
        The format.

    Raises:
        EventFileError: the file cannot be read, is of no known format, or may be of several; says which
            and how to name one.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import Events, format_of, write_events
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_events(Path(folder) / "a.dat", Events.empty((34, 34, 2)))
        ...     format_of(Path(folder) / "a.dat").name
        'dat'
    """
    with Source.open(path) as source:
        return recognised(source.path, source.read(HEAD_BYTES))


def recognised(path: Path, head: bytes) -> Format:
    """The format of a file that begins with these bytes; see :func:`format_of`."""
    sure = [one for one in FORMATS.values() if one.sure and one.recognise(head, path)]
    if len(sure) == 1:
        return sure[0]
    foreign = [about for mark, about in _FOREIGN.items() if head.startswith(mark)]
    if foreign:
        raise EventFileError(f"{path}: looks like {foreign[0]}, which is not read here")
    ending = path.suffix.lower()
    if not head:
        if ending in BIN40.endings:
            return BIN40  # a recording without events
        raise EventFileError(f"{path}: is empty (0 bytes); copy or download it again")
    likely = sure or [one for one in FORMATS.values() if not one.sure and one.recognise(head, path)]
    agreeing = [one for one in likely if ending in one.endings]
    if len(agreeing) == 1:
        return agreeing[0]
    said = ", ".join(f'format="{one.name}" for {one.about}' for one in likely or FORMATS.values())
    if not likely:
        raise EventFileError(f"{path}: is of no format that is known here. If you know better, pass {said}")
    raise EventFileError(
        f"{path}: its content does not tell the format for certain, and its ending is {ending!r}; pass {said}"
    )


def named(name: str) -> Format:
    """The format of this name, or an error that lists them."""
    if name not in FORMATS:
        raise EventError(f"format is {name!r}; expected one of {', '.join(FORMATS)}")
    return FORMATS[name]
