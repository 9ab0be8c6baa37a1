"""One recording of a dataset, before it is read: where it lies and what is known about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple


class Recording(NamedTuple):
    """Where a recording lies and what is known about it without reading it.

    Attributes:
        path: the file.
        label: number of its class, or -1 where a dataset has no classes.
        group: official part of the dataset: "train", "validation", "test", or "" where there is none.
        subject: who was recorded, or "" where that is not known.
        source: image or session that it was made from, or "" where that is not known.
        row: which recording of a file that holds several.
        span: first microsecond, and the one after the last, of a file that holds several recordings in time.
        called: what tells it apart where its file's name does not.
    """

    path: Path
    label: int
    group: str = ""
    subject: str = ""
    source: str = ""
    row: int | None = None
    span: tuple[int, int] | None = None
    called: str = ""

    @property
    def name(self) -> str:
        """What tells this recording from every other, but for the folder of the dataset.

        >>> Recording(Path("data/user01_led.aedat"), 3, span=(10, 90)).name
        'user01_led.aedat[10:90]'
        """
        if self.called:
            return self.called
        part = "" if self.row is None else f"[{self.row}]"
        return self.path.name + (part if self.span is None else f"[{self.span[0]}:{self.span[1]}]")


class Listing(NamedTuple):
    """The recordings of a dataset in their one order, and the name of each label."""

    recordings: tuple[Recording, ...]
    classes: tuple[str, ...]


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Key that sorts numbers inside a text as numbers: the order is the same on every machine.

    >>> sorted(["cat_10.npz", "cat_9.npz", "ant_2.npz"], key=natural)
    ['ant_2.npz', 'cat_9.npz', 'cat_10.npz']
    """
    parts = re.split(r"(\d+)", text)
    return tuple((1, int(p), p) if p.isdecimal() else (0, 0, p) for p in parts if p)
