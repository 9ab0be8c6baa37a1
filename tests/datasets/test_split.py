import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikesim.datasets import random_split
from spikesim.errors import ConfigError, ShapeError

fractions = st.sampled_from([(1.0,), (0.8, 0.2), (0.8, 0.1, 0.1), (0.5, 0, 0.5), (1 / 3, 1 / 3, 1 / 3)])


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=80), fractions, st.integers(0, 2**63))
def test_parts_divide_the_samples_and_each_class(labels, shares, seed):
    parts, _ = random_split(labels, shares, seed)
    together = np.concatenate(parts)
    assert sorted(together.tolist()) == list(range(len(labels)))
    for part, share in zip(parts, shares):
        assert (np.diff(part) > 0).all()
        if share == 0:
            assert len(part) == 0
        assert abs(len(part) - share * len(labels)) <= 2
        for name in set(labels):
            members = [i for i in part if labels[i] == name]
            assert abs(len(members) - share * labels.count(name)) <= 1


def test_small_classes_still_fill_every_part():
    parts, _ = random_split(np.arange(100), (0.8, 0.1, 0.1), seed=0)
    assert [len(part) for part in parts] == [80, 10, 10]


def test_the_split_is_the_same_everywhere():
    labels = np.arange(200) % 10
    parts, digest = random_split(labels, (0.8, 0.1, 0.1), seed=7)
    assert digest == "3c01ce9f2234"
    again = random_split([str(label) for label in labels], (0.8, 0.1, 0.1), seed=7)
    assert again.digest == digest
    assert random_split(labels, (0.8, 0.1, 0.1), seed=8).digest != digest
    assert parts[1].tolist() == sorted(parts[1].tolist())


@pytest.mark.parametrize("shares", [(), (0.5,), (0.8, 0.3), (1.2, -0.2), (float("nan"), 1.0)])
def test_bad_fractions(shares):
    with pytest.raises(ConfigError, match="fractions are"):
        random_split([0, 1], shares, seed=0)


def test_bad_labels():
    with pytest.raises(ShapeError, match="labels have shape"):
        random_split([[0, 1]], (1.0,), seed=0)


def test_what_is_no_share_or_seed_is_named():
    for fractions in (0.5, "ab", None, [0.5, None]):
        with pytest.raises(ConfigError, match="fractions are"):
            random_split([0, 1], fractions, 0)
    for seed in (None, "0", 1.5, True):
        with pytest.raises(ConfigError, match="seed is"):
            random_split([0, 1], (0.5, 0.5), seed)
