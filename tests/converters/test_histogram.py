"""Histograms: the same counts whatever the order, the batches or the merging."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.conversion import count_bins

from spikesim.converters import Histogram
from spikesim.converters.histogram import BINS, LOW_EXPONENT, bin_edges
from spikesim.errors import CalibrationError, ShapeError

VALUES = st.lists(st.floats(0, 1e6, width=32, allow_subnormal=False), min_size=1, max_size=60)


@given(VALUES)
@settings(deadline=None, max_examples=60)
def test_bins_equal_the_scalar_loop(values: list[float]) -> None:
    values = [v if v == 0 or v >= 2.0**LOW_EXPONENT else 0.0 for v in values]
    histogram = Histogram(1)
    histogram.update(torch.tensor(values).reshape(-1, 1))
    found = {(LOW_EXPONENT + i // 32, i % 32): int(n) for i, n in enumerate(histogram.counts[0]) if n}
    assert found == dict(count_bins(values))
    assert histogram.maximum.item() == max(values)
    assert histogram.zeros.item() == sum(v == 0 for v in values)


@given(VALUES, st.integers(0, 60), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_order_and_batches_do_not_matter(values: list[float], cut: int, random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    whole, left, right = Histogram(1), Histogram(1), Histogram(1)
    whole.update(torch.tensor(values).reshape(-1, 1))
    left.update(torch.tensor(shuffled[:cut]).reshape(-1, 1))
    right.update(torch.tensor(shuffled[cut:]).reshape(-1, 1))
    left.merge(right)
    assert torch.equal(left.counts, whole.counts)
    assert torch.equal(left.zeros, whole.zeros) and torch.equal(left.maximum, whole.maximum)


def test_channels_are_apart_and_pool() -> None:
    histogram = Histogram(2)
    histogram.update(torch.tensor([[[1.0, 0.0]], [[4.0, 4.0]]]).transpose(0, 1))
    assert histogram.maximum.tolist() == [1.0, 4.0] and histogram.zero_fraction.tolist() == [0.5, 0.0]
    assert histogram.pooled().total.item() == 4 and histogram.pooled().maximum.item() == 4.0


def test_out_of_range_values_fall_into_the_outer_bins() -> None:
    histogram = Histogram(1)
    histogram.update(torch.tensor([[1e-20], [1e30]]))
    assert histogram.counts[0, 0] == 1 and histogram.counts[0, -1] == 1
    assert histogram.maximum.item() == pytest.approx(1e30)
    assert len(bin_edges()) == BINS + 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_unusable_values_are_refused(bad: float) -> None:
    with pytest.raises(CalibrationError, match="finite"):
        Histogram(1).update(torch.tensor([[1.0], [bad]]))


def test_wrong_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match="3"):
        Histogram(2).update(torch.zeros(1, 3))
    with pytest.raises(ShapeError, match="merge"):
        Histogram(2).merge(Histogram(1))
