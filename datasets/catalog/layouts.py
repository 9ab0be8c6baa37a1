"""How datasets lie in folders: as Tonic unpacks them, as SpikingJelly does, or as they were published."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from spikesim.datasets.catalog.recording import Listing, Recording, natural
from spikesim.datasets.formats import SpikeFile
from spikesim.errors import DatasetError

Find = Callable[[Path], Listing | None]
"""Lists what lies under a folder, or gives None if it is not laid out so."""

Describe = Callable[[Recording], Recording]


def _unchanged(recording: Recording) -> Recording:
    return recording


def class_folders(
    bases: Sequence[str],
    endings: Sequence[str],
    *,
    groups: dict[str, str] | None = None,
    classes: Sequence[str] | None = None,
    describe: Describe = _unchanged,
) -> Find:
    """Recordings as ``<base>/<class>/<file>``, or ``<base>/<part>/<class>/<file>``.

    Args:
        bases: folders under the root where they may lie; "" for the root itself.
        endings: of the files.
        groups: official part by folder name, where the parts are folders.
        classes: class names in the order of their labels; the folders found, in natural order, by default.
        describe: adds what the file name tells.
    """

    def find(root: Path) -> Listing | None:
        for base in (root / b for b in bases):
            parts = (
                [("", base)] if groups is None else [(g, base / f) for f, g in groups.items() if (base / f).is_dir()]
            )
            found = [(group, kind) for group, folder in parts for kind in folders(folder)]
            if classes is not None:
                # Another dataset's folders may lie beside these.
                found = [(group, kind) for group, kind in found if kind.name in classes]
            names = tuple(classes or sorted({kind.name for _, kind in found}, key=natural))
            recordings = [
                describe(Recording(path, names.index(kind.name), group))
                for group, kind in found
                for path in files(kind, endings)
            ]
            if recordings:
                return Listing(tuple(recordings), names)
        return None

    return find


def gesture_npy(root: Path) -> Listing | None:
    """Tonic's DVS128 Gesture: ``ibmGestureTrain/user01_led/3.npy``."""
    for base in (root / "DVSGesture", root):
        parts = [(g, base / f) for f, g in (("ibmGestureTrain", "train"), ("ibmGestureTest", "test"))]
        recordings = [
            gesture(Recording(path, int(path.stem), group))
            for group, part in parts
            if part.is_dir()
            for session in folders(part)
            for path in files(session, (".npy",))
            if path.stem.isdecimal() and int(path.stem) < len(GESTURES)
        ]
        if recordings:
            return Listing(tuple(recordings), GESTURES)
    return None


def gesture_aedat(root: Path) -> Listing | None:
    """DVS128 Gesture as published: AEDAT 3.1 files, each with a table of when which gesture was made."""
    for base in (root / "DvsGesture", root / "DVSGesture", root):
        parts = [(base / f"trials_to_{part}.txt", part) for part in ("train", "test")]
        recordings = [
            recording
            for listed, group in parts
            if listed.is_file()
            for name in _words(listed)
            for recording in _trials(base / name, group)
        ]
        if recordings:
            return Listing(tuple(recordings), GESTURES)
    return None


def _trials(path: Path, group: str) -> Iterable[Recording]:
    table = path.with_name(f"{path.stem}_labels.csv")
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = [[int(value) for value in row] for row in list(csv.reader(file))[1:] if row]
    except (OSError, ValueError) as error:
        raise DatasetError(f"{table}: cannot be read ({error}); expected lines of class, start and end time") from error
    for row in rows:
        if len(row) != 3 or not 1 <= row[0] <= len(GESTURES) or row[1] > row[2]:
            raise DatasetError(f"{table}: a line holds {row}; expected a class from 1 to 11, a start and a later end")
        yield gesture(Recording(path, row[0] - 1, group, span=(row[1], row[2])))


def gesture(recording: Recording) -> Recording:
    """Read subject and light from ``user01_led``, which the file or its folder is named after."""
    named = re.match(r"user(\d+)_(\w+?)(?:_\d+)?$", recording.path.stem) or re.match(
        r"user(\d+)_(\w+)$", recording.path.parent.name
    )
    if named is None:
        return recording
    return recording._replace(subject=f"user{int(named[1]):02}", source=f"user{int(named[1]):02}_{named[2]}")


def spike_files(bases: Sequence[str], parts: dict[str, str]) -> Find:
    """SHD and SSC: one HDF5 file for each part.

    Args:
        bases: folders under the root where they may lie, besides the root itself.
        parts: official part by file name.
    """

    def find(root: Path) -> Listing | None:
        for folder in (*(root / base for base in bases), root):
            opened = [(SpikeFile(folder / f), g) for f, g in parts.items() if (folder / f).is_file()]
            if opened:
                recordings = [
                    Recording(
                        file.path, int(file.labels[row]), group, row=row,
                        subject="" if file.speakers is None else f"speaker{file.speakers[row]:02}",
                    )
                    for file, group in opened
                    for row in range(len(file))
                ]  # fmt: skip
                most = max((r.label for r in recordings), default=-1) + 1
                return Listing(tuple(recordings), opened[0][0].classes or tuple(map(str, range(most))))
        return None

    return find


def matching(bases: Sequence[str], patterns: Sequence[str], describe: Describe = _unchanged) -> Find:
    """Recordings without classes, one a file.

    Args:
        bases: folders under the root where they may lie; "" for the root itself.
        patterns: of the files under a base.
        describe: adds what the path tells.
    """

    def find(root: Path) -> Listing | None:
        for base in (root / b for b in bases):
            paths = [
                path
                for pattern in patterns
                for path in sorted(base.glob(pattern), key=lambda p: natural(str(p.relative_to(base))))
                if path.is_file()
            ]
            if paths:
                return Listing(tuple(describe(Recording(path, -1)) for path in paths), ())
        return None

    return find


def boxed(recording: Recording) -> Recording:
    """Gen1: ``<part>/SESSION_START_END_td.dat``, each with ``*_bbox.npy`` beside it."""
    parts = {"train": "train", "val": "validation", "test": "test"}
    group = next((parts[folder.name] for folder in recording.path.parents if folder.name in parts), "")
    return recording._replace(group=group, source=recording.path.name.rsplit("_", 3)[0])


def listed(root: Path) -> Listing | None:
    """3ET: ``data/NAME.h5``, of which two text files say which are for training and for validation."""
    base = next((b for b in (root / "ThreeET_Eyetracking", root) if (b / "train_files.txt").is_file()), None)
    if base is None:
        return None
    parts = [(base / "train_files.txt", "train"), (base / "val_files.txt", "validation")]
    recordings = [
        Recording(base / "data" / f"{name}.h5", -1, group)
        for names, group in parts
        if names.is_file()
        for name in sorted(_words(names), key=natural)
    ]
    return Listing(tuple(recordings), ()) if recordings else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").split()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); expected names of files, one a line") from error


def folders(base: Path) -> list[Path]:
    """Folders in natural order, without hidden ones."""
    if not base.is_dir():
        return []
    return sorted((p for p in base.iterdir() if p.is_dir() and p.name[0] not in "._"), key=lambda p: natural(p.name))


def files(folder: Path, endings: Sequence[str]) -> list[Path]:
    """Files of some endings in natural order, without hidden ones."""
    found = (p for p in folder.iterdir() if p.name.endswith(tuple(endings)) and p.name[0] != "." and p.is_file())
    return sorted(found, key=lambda p: natural(p.name))


GESTURES = (
    "hand clapping", "right hand wave", "left hand wave", "right arm clockwise", "right arm counter-clockwise",
    "left arm clockwise", "left arm counter-clockwise", "arm roll", "air drums", "air guitar", "other gestures",
)  # fmt: skip
"""Labels 0 to 10 of DVS128 Gesture (Amir et al. 2017)."""
