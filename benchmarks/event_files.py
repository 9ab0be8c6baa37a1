"""Files for the readers' part of `events.py`, and who reads them: ours, and Tonic or what stands in for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from event_cases import recording

COLUMNS = "xytp"
NMNIST = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


@dataclass(frozen=True)
class File:
    """A file and two who read it.

    Args:
        ours, theirs: give the events.
        beside: who the other is.
        events: in the file.
        size: its bytes.
        target: how many times as fast ours is to be; None where the other checks nothing or is no reader of Tonic's.
    """

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    beside: str
    events: int
    size: int
    target: float | None = 1.0

    def compare(self, ours: Any, theirs: Any) -> str:
        """Whether both read the same."""
        if len(ours) != len(theirs):
            return "UNEQUAL"
        apart = {n: np.abs(ours[n].astype(int) - theirs[n]).max() for n in COLUMNS if n in theirs.dtype.names}
        if not any(apart.values()):
            return "equal"
        only_times = [name for name, most in apart.items() if most] == ["t"]
        return "equal within 1 us: Tonic cuts the fraction off" if only_times and apart["t"] == 1 else "UNEQUAL"


def files(folder: Path, count: int) -> dict[str, File | str]:
    """Write a recording in every format that Tonic 1.7.0 reads in some way, and in some that it does not."""
    from tonic.io import read_aedat4, read_mnist_file

    from spikesim.datasets import Events, read_events, write_events

    events = Events(recording(count, start=0), (128, 128, 2))
    few = events.select(slice(4000))
    paths = {}
    for name, ending, which in (
        ("bin", "bin", events), ("small", "bin", few), ("aedat2", "aedat2", events), ("aedat3", "aedat", events),
        ("dat", "dat", events), ("npz", "npz", events), ("npy", "npy", events),
    ):  # fmt: skip
        paths[name] = folder / f"{name}.{ending}"
        write_events(paths[name], which)
    size = (128, 128, 2)

    def read(path: Path) -> Callable[[], np.ndarray]:
        return lambda: read_events(path, size).data

    def case(name: str, theirs: Callable[[], Any], beside: str, target: float | None = 1.0) -> File:
        path = paths[name]
        n = len(few if name == "small" else events)
        return File(read(path), theirs, beside, n, path.stat().st_size, target)

    made: dict[str, File | str] = {
        "40-bit .bin, 4 k events": case("small", lambda: read_mnist_file(paths["small"], NMNIST), "Tonic"),
        "40-bit .bin": case("bin", lambda: read_mnist_file(paths["bin"], NMNIST), "Tonic"),
        "AEDAT 2.0": case("aedat2", lambda: aedat(paths["aedat2"], 1, 8, 0), "Tonic's two functions"),
        "AEDAT 3.1": case("aedat3", lambda: aedat(paths["aedat3"], 17, 2, 1), "Tonic's two functions"),
        "npz, four columns": case("npz", lambda: columns(paths["npz"]), "numpy.load and Tonic's make_structured_array"),
        "npy, structured": case("npy", lambda: np.load(paths["npy"]), "numpy.load, which checks nothing", None),
        "SHD row": shd(folder),
    }
    try:
        from expelliarmus import Wizard

        wizard = Wizard(encoding="dat")
        made["Prophesee DAT"] = case("dat", lambda: wizard.read(paths["dat"]), "expelliarmus, in C", None)
    except ImportError:
        made["Prophesee DAT"] = "expelliarmus is not installed"
    try:
        paths["aedat4"] = folder / "aedat4.aedat4"
        write_events(paths["aedat4"], events)

        def decoded() -> Any:
            found = read_aedat4(str(paths["aedat4"]))
            found.dtype.names = ["t", "x", "y", "p"]
            return found

        made["AEDAT 4"] = case("aedat4", decoded, "Tonic")
        decoded()
    except Exception as error:  # its optional libraries
        made["AEDAT 4"] = str(error).splitlines()[0]
    return made


def aedat(path: Path, x: int, y: int, p: int) -> np.ndarray:
    """Tonic's header and address readers, with the addresses taken apart as its (broken) wrappers do."""
    from tonic.io import get_aer_events_from_file, make_structured_array, read_aedat_header_from_file

    version, start, _ = read_aedat_header_from_file(str(path))
    raw = get_aer_events_from_file(str(path), version, start)
    address = raw["address"]
    mask = 0x7F if version < 3 else 0x7FFF
    return make_structured_array((address >> x) & mask, (address >> y) & mask, raw["timeStamp"], (address >> p) & 1)


def columns(path: Path) -> np.ndarray:
    from tonic.io import make_structured_array

    with np.load(path) as archive:
        return make_structured_array(*(archive[name] for name in COLUMNS))


def shd(folder: Path) -> File:
    """One recording of 10 thousand spikes out of a hundred."""
    import tonic.datasets

    from spikesim.datasets import Events, SpikeFile, write_spikes

    rng = np.random.default_rng(0)
    n, base = 10_000, folder / "SHD"
    base.mkdir()
    rows = [
        Events.from_columns(
            rng.integers(0, 700, n), [0] * n, np.sort(rng.integers(0, 1000, n)) * 1000, [1] * n, (700, 1, 1)
        )
        for _ in range(100)
    ]
    write_spikes(base / "shd_train.h5", rows, [0] * 100, classes=("zero",), speakers=[0] * 100)
    ours = SpikeFile(base / "shd_train.h5")
    with patch.object(tonic.datasets.SHD, "_check_exists", return_value=True):
        theirs = tonic.datasets.SHD(str(folder), train=True)
    size = (base / "shd_train.h5").stat().st_size // 100
    return File(lambda: ours[57].data, lambda: theirs[57][0], "Tonic", n, size)
