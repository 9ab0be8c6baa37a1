"""Seeded, stratified splits that are the same on every machine and have a name."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesim.datasets.counter import order_of
from spikesim.datasets.transforms.settings import check_seed
from spikesim.errors import ConfigError, ShapeError

_SPLIT_STREAM = 3


class Split(NamedTuple):
    """The parts of a split, and the name by which a report can cite them.

    Attributes:
        parts: index arrays, each in ascending order, one for each fraction.
        digest: twelve hexadecimal digits; equal digests mean equal parts.
    """

    parts: tuple[NDArray[np.int64], ...]
    digest: str


def random_split(labels: ArrayLike, fractions: Sequence[float], seed: int) -> Split:
    """Divide samples at random, each class in the same proportions.

    A class is divided within one sample of its exact share; what is left over goes to the part that
    is furthest behind, so the parts have the right sizes also where classes are small.

    Args:
        labels: the class of each sample ``[N]``, integers or strings.
        fractions: share of each part, adding up to 1: for example ``(0.8, 0.1, 0.1)`` for train,
            validation and test.
        seed: fixes the split, on every machine.

    Returns:
        The index arrays and their digest.

    Raises:
        ConfigError: a fraction is negative or they do not add up to 1, or the seed is no whole number.
        ShapeError: labels are not one value for each sample.

    Example:
        >>> from spikesim.datasets import random_split
        >>> (train, test), digest = random_split([0, 0, 0, 0, 1, 1, 1, 1], (0.75, 0.25), seed=0)
        >>> len(train), len(test), sorted([*train.tolist(), *test.tolist()])
        (6, 2, [0, 1, 2, 3, 4, 5, 6, 7])
    """
    classes = np.asarray(labels)
    if classes.ndim != 1:
        raise ShapeError(f"labels have shape {classes.shape}; expected one label for each sample, [N]")
    check_seed(seed)
    try:
        shares = [float(fraction) for fraction in fractions]
    except (TypeError, ValueError):
        shares = []
    if not (all(share >= 0 for share in shares) and math.isclose(sum(shares), 1.0, abs_tol=1e-6)):
        raise ConfigError(
            f"fractions are {fractions!r}; expected shares of 0 or more that add up to 1, for example (0.8, 0.1, 0.1)"
        )
    part_of = np.empty(len(classes), np.int64)
    order = order_of(len(classes), seed, _SPLIT_STREAM)
    behind = np.zeros(len(shares))
    for name in np.unique(classes):
        members = order[classes[order] == name]
        counts = _divide(len(members), shares, behind)
        part_of[members] = np.repeat(np.arange(len(shares)), counts)
    parts = tuple(np.flatnonzero(part_of == part) for part in range(len(shares)))
    named = hashlib.sha256()
    for indices in parts:
        named.update(len(indices).to_bytes(8, "little") + indices.astype("<i8").tobytes())
    return Split(parts, named.hexdigest()[:12])


def _divide(members: int, shares: list[float], behind: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts of one class; ``behind`` carries what each part is still owed to the next class."""
    exact = np.array(shares) * members
    counts = np.floor(exact + 1e-9).astype(np.int64)
    behind += exact - counts
    # At most one sample for each part is left over, so no part gets more than one extra.
    owed = np.where(np.array(shares) > 0, behind, -np.inf)
    extra = np.argsort(-owed, kind="stable")[: members - counts.sum()]
    counts[extra] += 1
    behind[extra] -= 1
    return counts
