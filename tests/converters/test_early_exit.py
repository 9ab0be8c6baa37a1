"""Early exits: the margins against a brute-force search, results against whole runs, refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikesim.converters import EarlyExit, convert, early_exit
from spikesim.converters.early_exit import _smallest, margin_of
from spikesim.errors import CalibrationError, ConfigError, ShapeError


@pytest.fixture(scope="module")
def network():  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    return convert(model, torch.rand(200, 6), timesteps=16).network


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=12),
    st.sampled_from([0.3, 0.5, 0.75, 1.0]),
)
def test_a_margin_is_the_smallest_that_enough_agree_above(samples, agreement) -> None:  # type: ignore[no-untyped-def]
    margins = torch.tensor([[float(m) for m, _ in samples]])
    agreed = torch.tensor([[a for _, a in samples]])
    wanted = float("inf")
    for m in sorted({m for m, _ in samples}):
        above = [a for k, a in samples if k >= m]
        if sum(above) / len(above) >= agreement:
            wanted = float(m)
            break
    assert _smallest(margins, agreed, agreement).tolist() == [wanted]


def test_each_sample_is_read_where_it_stops(network) -> None:  # type: ignore[no-untyped-def]
    x = torch.rand(50, 6, generator=torch.Generator().manual_seed(1))
    quick = early_exit(network, x, agreement=0.9)
    outputs = network.unread(x)
    got = quick(x)
    assert 1 <= quick.steps.min() < quick.steps.max() <= 16
    for row in range(50):
        t = int(quick.steps[row])
        torch.testing.assert_close(got[row], outputs[:t, row].mean(0), rtol=1e-5, atol=1e-5)
    # Nobody's result depends on who else is in the batch.
    alone = torch.cat([quick(row[None]) for row in x])
    torch.testing.assert_close(alone, got)


def test_margins_that_nothing_reaches_take_all_steps(network) -> None:  # type: ignore[no-untyped-def]
    x = torch.rand(5, 6)
    slow = EarlyExit(network, torch.full((16,), float("inf")))
    torch.testing.assert_close(slow(x), network(x))
    assert slow.steps.tolist() == [16] * 5
    assert EarlyExit(network, torch.zeros(16))(x[:0]).shape == (0, 4)


def test_refusals(network) -> None:  # type: ignore[no-untyped-def]
    x = torch.rand(8, 6)
    with pytest.raises(ConfigError, match="one for each of 16"):
        EarlyExit(network, torch.zeros(3))
    for agreement in (0, 1.5):
        with pytest.raises(ConfigError, match="agreement is"):
            early_exit(network, x, agreement)
    with pytest.raises(CalibrationError, match="no sample"):
        early_exit(network, x[:0])
    exact = convert(nn.Sequential(nn.Linear(6, 4), nn.ReLU()), x, timesteps=4, exact=True).network
    with pytest.raises(ConfigError, match="not an exact one"):
        early_exit(exact, x)
    single = convert(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1)), x, timesteps=4).network
    with pytest.raises(ShapeError, match="at least two"):
        early_exit(single, x)
    late = convert(nn.Sequential(nn.Linear(6, 4), nn.ReLU()), x, timesteps=4, neuron="parallel").network
    with pytest.raises(ConfigError, match="from the first step on"):
        early_exit(late, x)


def test_steps_before_the_first_that_counts_are_taken_by_all() -> None:
    torch.manual_seed(0)
    x = torch.rand(40, 6)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    network = convert(model, x, timesteps=8, neuron="srp(3)").network
    outputs = network.unread(x)
    halves = [margin_of(outputs[3 : 3 + t].mean(0)).median() for t in range(1, 9)]  # half of the samples stop at each
    quick = EarlyExit(network, torch.stack(halves))
    got = quick(x)
    assert 4 <= int(quick.steps.min()) < int(quick.steps.max()) <= 11
    for row in range(40):
        torch.testing.assert_close(got[row], outputs[3 : int(quick.steps[row]), row].mean(0), rtol=1e-5, atol=1e-5)
