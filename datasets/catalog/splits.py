"""Named splits: which recordings are for training, validation and test, and by what rule."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.catalog.recording import Listing, Recording
from spikesim.datasets.counter import order_of
from spikesim.datasets.split import random_split
from spikesim.datasets.transforms.settings import check_seed
from spikesim.errors import ConfigError, DatasetError

PARTS = ("train", "validation", "test")

_SUBJECT_STREAM = 11


class NamedSplit(NamedTuple):
    """The parts of a dataset, and what a report must say about how they were made.

    Attributes:
        protocol: name of the rule, such as "official" or "random 0.9".
        seed: of what the rule draws, or None if it draws nothing.
        parts: indices into the listing, ascending, by part.
        digest: twelve hexadecimal digits of the names of the recordings in each part, with their folders below the
            one that holds all: equal digests, equal splits, wherever the dataset lies.
    """

    protocol: str
    seed: int | None
    parts: dict[str, NDArray[np.int64]]
    digest: str

    def __str__(self) -> str:
        counts = ", ".join(f"{len(indices)} {part}" for part, indices in self.parts.items() if len(indices))
        drawn = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.protocol} ({counts}{drawn}, {self.digest})"


Rule = Callable[[Sequence[Recording], int], NDArray[np.int64]]
"""Gives the test recordings as indices; the others are for training."""


def official(recordings: Sequence[Recording], seed: int) -> NDArray[np.int64]:
    """The parts that the dataset was published in."""
    return _where(recordings, lambda r: r.group == "test")


def first_of_each_class(count: int) -> Rule:
    """The first recordings of each class are for test, in the order of their names.

    Not comparable with a random split: on CIFAR10-DVS accuracies on the first 100 are usually much higher.
    """

    def rule(recordings: Sequence[Recording], seed: int) -> NDArray[np.int64]:
        seen: dict[int, int] = defaultdict(int)
        chosen = []
        for index, recording in enumerate(recordings):
            if seen[recording.label] < count:
                chosen.append(index)
            seen[recording.label] += 1
        return np.array(chosen, np.int64)

    return rule


def at_random(share: float) -> Rule:
    """A share of each class is for test."""

    def rule(recordings: Sequence[Recording], seed: int) -> NDArray[np.int64]:
        return random_split([r.label for r in recordings], (1.0 - share, share), seed).parts[1]

    return rule


def by_subject(share: float) -> Rule:
    """Whole subjects are for test, at least a share of the recordings: nobody is on both sides."""

    def rule(recordings: Sequence[Recording], seed: int) -> NDArray[np.int64]:
        if any(not r.subject for r in recordings):
            raise DatasetError("it is not known who was recorded, so subjects cannot be kept apart; use another split")
        members: dict[str, list[int]] = defaultdict(list)
        for index, recording in enumerate(recordings):
            members[recording.subject].append(index)
        names = sorted(members)
        chosen: list[int] = []
        for place in order_of(len(names), seed, _SUBJECT_STREAM):
            if len(chosen) >= share * len(recordings):
                break
            chosen += members[names[place]]
        return np.array(sorted(chosen), np.int64)

    return rule


WITH_PARTS: dict[str, Rule] = {"official": official, "random": at_random(0.1)}
"""Rules for datasets that were published in parts."""

WITH_SUBJECTS: dict[str, Rule] = {"official": official, "subjects": by_subject(0.2), "random": at_random(0.1)}
"""The same, where it is known who was recorded."""

RANDOM: dict[str, Rule] = {"random": at_random(0.1)}
"""For datasets that were not."""


def split(
    listing: Listing, protocol: str, rules: dict[str, Rule], *, validation: float = 0.0, seed: int = 0
) -> NamedSplit:
    """Divide a dataset by a named rule, then set a part of the training recordings aside for validation.

    Validation never touches the test recordings. It is taken from each class, and by whole subjects where the rule
    keeps subjects apart. A dataset that was published with a validation part keeps it under "official".

    Args:
        listing: the dataset.
        protocol: name of the rule.
        rules: the rules that the dataset may be split by.
        validation: share of the training recordings.
        seed: of everything that is drawn.

    Raises:
        ConfigError: the rule is not known, the share no number from 0 to below 1, or the seed no whole number.
        DatasetError: the dataset does not tell what the rule asks for.

    Example:
        >>> from pathlib import Path
        >>> listing = Listing(tuple(Recording(Path(f"{k}.bin"), k % 2) for k in range(8)), ("cat", "dog"))
        >>> made = split(listing, "random", {"random": at_random(0.25)}, validation=1 / 3)
        >>> [len(indices) for indices in made.parts.values()]
        [4, 2, 2]
    """
    recordings = listing.recordings
    if protocol not in rules:
        raise ConfigError(f"protocol is {protocol!r}; expected one of {', '.join(rules)}")
    check_seed(seed)
    if (
        not isinstance(validation, (int, float, np.number))
        or isinstance(validation, bool)
        or not 0.0 <= validation < 1.0
    ):
        raise ConfigError(f"validation is {validation!r}; expected a share of the training recordings, 0 to below 1")
    if protocol == "official" and not any(r.group for r in recordings):
        raise DatasetError("the recordings do not lie in official parts; choose another protocol")
    test = rules[protocol](recordings, seed)
    published = _where(recordings, lambda r: r.group == "validation") if protocol == "official" else test[:0]
    rest = np.setdiff1d(np.arange(len(recordings)), np.concatenate([test, published]))
    held = _held_out([recordings[i] for i in rest], validation, protocol, seed)
    parts = {"train": np.setdiff1d(rest, rest[held]), "validation": np.union1d(published, rest[held]), "test": test}
    drawn = protocol not in ("official", *(p for p in rules if p.startswith("first"))) or validation > 0
    return NamedSplit(protocol, seed if drawn else None, parts, _digest(recordings, parts))


def _held_out(recordings: Sequence[Recording], share: float, protocol: str, seed: int) -> NDArray[np.int64]:
    if not share or not recordings:
        return np.empty(0, np.int64)
    # Another seed than the test's, or the recordings next in line would always be the ones held out.
    return (by_subject if protocol == "subjects" else at_random)(share)(recordings, seed + 1)


def _where(recordings: Sequence[Recording], chosen: Callable[[Recording], bool]) -> NDArray[np.int64]:
    return np.array([i for i, recording in enumerate(recordings) if chosen(recording)], np.int64)


def _digest(recordings: Sequence[Recording], parts: dict[str, NDArray[np.int64]]) -> str:
    named = hashlib.sha256()
    above = os.path.commonpath([recording.path.absolute().parent for recording in recordings]) if recordings else ""
    for part, indices in parts.items():
        named.update(f"{part}:{len(indices)}\n".encode())
        for index in indices:
            recording = recordings[index]
            folder = recording.path.absolute().parent.relative_to(above).as_posix()
            named.update(f"{folder}/{recording.name} {recording.label}\n".encode())
    return named.hexdigest()[:12]


class Leak(NamedTuple):
    """Something that lies on both sides of a split.

    Attributes:
        what: "recording", "subject" or "source".
        parts: the two parts.
        shared: names of what is on both sides.
        recordings: how many recordings of the second part are concerned.
    """

    what: str
    parts: tuple[str, str]
    shared: tuple[str, ...]
    recordings: int


def leaks(listing: Listing, found: NamedSplit) -> list[Leak]:
    """What two parts of a split have in common: the same recording, overlapping times of one file, subject or source.

    A shared subject is no mistake in itself (most published splits have them); a report should say so.

    Args:
        listing: the dataset.
        found: its split.

    Example:
        >>> from pathlib import Path
        >>> people = ("ann", "bob", "ann")
        >>> rows = tuple(Recording(Path(f"{k}.bin"), 0, "test" if k == 2 else "train", p) for k, p in enumerate(people))
        >>> listing = Listing(rows, ("wave",))
        >>> leaks(listing, split(listing, "official", {"official": official}))[0].shared
        ('ann',)
    """
    pairs = [("train", "test"), ("train", "validation"), ("validation", "test")]
    result = []
    for first, second in pairs:
        one, other = ([listing.recordings[i] for i in found.parts[part]] for part in (first, second))
        for what, key in (("subject", "subject"), ("source", "source")):
            held = {getattr(r, key) for r in one} - {""}
            hit = [getattr(r, key) for r in other if getattr(r, key) in held]
            if hit:
                result.append(Leak(what, (first, second), tuple(sorted(set(hit))), len(hit)))
        spans = defaultdict(list)
        for r in one:
            spans[_place(r)].append(r.span)
        same = [r.name for r in other if any(_overlap(r.span, s) for s in spans.get(_place(r), ()))]
        if same:
            result.append(Leak("recording", (first, second), tuple(sorted(same)), len(same)))
    return result


def _place(recording: Recording) -> tuple[object, ...]:
    return recording.path.resolve(), recording.row, recording.called


def _overlap(one: tuple[int, int] | None, other: tuple[int, int] | None) -> bool:
    return one is None or other is None or (one[0] < other[1] and other[0] < one[1])
