"""Read every recording of a dataset and say what is odd about it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from spikesim.datasets.catalog.load import CatalogDataset
from spikesim.errors import EventError

_NAMED = 5  # recordings that a finding names


@dataclass
class Examined:
    """What reading every recording showed.

    Attributes:
        recordings: how many there are, by official part.
        per_class: recordings by class.
        events: smallest, median and largest number of events.
        duration_us: shortest, median and longest recording.
        on_share: share of events of polarity 1.
        findings: what is odd, a sentence each.
        unreadable: recordings that could not be read, with the reason.
    """

    recordings: dict[str, int]
    per_class: dict[str, int]
    events: tuple[int, float, int] = (0, 0.0, 0)
    duration_us: tuple[int, float, int] = (0, 0.0, 0)
    on_share: float = float("nan")
    findings: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether nothing is odd."""
        return not self.findings and not self.unreadable


def examine(dataset: CatalogDataset, progress: Callable[[int], None] = lambda done: None) -> Examined:
    """Check counts against the literature, time order, ranges, class balance, duration and copies.

    Args:
        dataset: all of it, ``load(name, root, "all")``, for the counts to be compared.
        progress: told after every recording.

    Returns:
        What was found; recordings that cannot be read are told, not raised.

    Example:
        >>> import tempfile
        >>> from spikesim.datasets import generate_ndigits, load
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = examine(load("nmnist", generate_ndigits(f"{folder}/ndigits", samples=20), "all"))
        >>> found.recordings, found.unreadable
        ({'train': 16, 'test': 4}, {})
    """
    groups = Counter(r.group for r in dataset.recordings)
    result = Examined(dict(groups), dict.fromkeys(dataset.classes, 0))
    counts, durations, on = [], [], 0
    odd: dict[str, list[str]] = defaultdict(list)
    copies: dict[bytes, list[int]] = defaultdict(list)
    for index, recording in enumerate(dataset.recordings):
        progress(1)
        try:
            events = dataset.events(index)
        except EventError as error:
            result.unreadable[recording.name] = str(error)
            continue
        if dataset.classes:
            result.per_class[dataset.classes[recording.label]] += 1
        counts.append(len(events))
        durations.append(events.duration_us)
        on += int(events.p.sum())
        if not len(events):
            odd["hold no event"].append(recording.name)
        elif not events.sorted:
            odd["have events that are not in order of time"].append(recording.name)
        if len(events):
            copies[hashlib.blake2b(events.data.tobytes(), digest_size=16).digest()].append(index)
    if counts:
        result.events = int(min(counts)), float(np.median(counts)), int(max(counts))
        result.duration_us = int(min(durations)), float(np.median(durations)), int(max(durations))
        result.on_share = on / max(sum(counts), 1)
    result.findings = [*_missing(dataset, groups), *(_sentence(what, names) for what, names in odd.items())]
    for same in copies.values():
        if len(same) > 1:
            names = ", ".join(dataset.recordings[i].name for i in same[:_NAMED])
            sides = {dataset.recordings[i].group for i in same} - {""}
            across = f", on both sides of the official split ({', '.join(sorted(sides))})" if len(sides) > 1 else ""
            result.findings.append(f"{len(same)} recordings hold the same events{across}: {names}")
    present = [count for count in result.per_class.values() if count]
    if len(present) < len(result.per_class):
        absent = [name for name, count in result.per_class.items() if not count]
        result.findings.append(f"no recording of {', '.join(absent[:_NAMED])}" + (" ..." if absent[_NAMED:] else ""))
    if present and max(present) > 3 * min(present):
        result.findings.append(f"classes are unbalanced: {min(present)} to {max(present)} recordings each")
    return result


def _missing(dataset: CatalogDataset, groups: Counter[str]) -> list[str]:
    expected = dataset.layout.counts
    return [
        f"{groups.get(part, 0)} recordings{f' of the {part} part' if part else ''}, but {count} were published"
        for part, count in expected.items()
        if groups.get(part, 0) != count and dataset.part == "all"
    ]


def _sentence(what: str, names: list[str]) -> str:
    return f"{len(names)} recordings {what}: {', '.join(names[:_NAMED])}" + (", ..." if names[_NAMED:] else "")
