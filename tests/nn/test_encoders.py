"""Encoders: what they emit, its declared type, and their place in a network."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spikesim.energy import Ledger
from spikesim.errors import ConfigError, ShapeError, TimestepsError
from spikesim.neurons import IF
from spikesim.nn import Constant, Count, Delta, Latency, Mean, Network, Phase, Poisson, Population

SPIKING = [Poisson(6), Latency(6), Phase(6, bits=3), Population(4, Latency(6)), Population(4, Poisson(6))]


def shares(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("encoder", SPIKING, ids=str)
def test_emissions_obey_the_declared_type_in_a_network(encoder):
    width = 3 * (encoder.neurons if isinstance(encoder, Population) else 1)
    net = Network(nn.Sequential(nn.Linear(width, 5), IF()), encoder=encoder, readout=Count())
    x = shares(7, 3)
    assert net(x).shape == (7, 5)
    torch.manual_seed(0)
    spikes = encoder(x)
    torch.manual_seed(0)
    ledger = Ledger.record(net, x, input=encoder.emits)  # raises where a value breaks the type
    events = (spikes / encoder.emits.scale).sum()
    assert ledger["0"]["events_in_binary"] + ledger["0"]["events_in_graded"] == round(float(events))
    assert spikes.dtype == x.dtype and spikes.shape == (6, 7, width)


def test_poisson_fires_as_often_as_the_input_says_and_repeats_with_the_seed():
    x = torch.tensor([[0.0, 0.25, 0.9, 1.0]])
    torch.manual_seed(0)
    first = Poisson(4000)(x)
    torch.manual_seed(0)
    assert torch.equal(first, Poisson(4000)(x))
    rates = first.mean(0)[0]
    spread = 5 * (x[0] * (1 - x[0]) / 4000).sqrt()
    assert bool(((rates - x[0]).abs() <= spread).all())
    assert float(Poisson(50, gain=4.0)(x).mean(0)[0, 1]) == 1.0


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=8), st.integers(1, 9))
def test_linear_latency_against_its_formula(values, timesteps):
    spikes = Latency(timesteps)(torch.tensor([values]))[:, 0].numpy()
    assert (spikes.sum(0) == 1).all()
    # From the last step at 0 to the first at 1; what lies between two steps may fall to either.
    exact = (1 - np.array(values)) * (timesteps - 1)
    assert (np.abs(spikes.argmax(0) - exact) <= 0.5 + 1e-3).all()


def test_latency_falls_with_the_input_and_may_be_silent():
    x = torch.linspace(0, 1, 40).unsqueeze(0)
    times = Latency(20, linear=False)(x)[:, 0].argmax(0)
    assert bool((times.diff() <= 0).all()) and (times[0], times[-1]) == (19, 0)
    assert Latency(20, silent=True, threshold=0.5)(x)[:, 0].sum() == (x >= 0.5).sum()
    assert Latency(3)(torch.empty(0, 4)).shape == (3, 0, 4)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=8), st.integers(1, 12))
def test_a_period_of_phases_sums_to_the_input(values, bits):
    x = torch.tensor([values])
    spikes = Phase(2 * bits, bits=bits)(x)
    expected = [min(math.floor(v * 2**bits), 2**bits - 1) / 2**bits for v in values]
    assert spikes[:bits].sum(0)[0].tolist() == spikes[bits:].sum(0)[0].tolist() == expected
    for t in range(2 * bits):
        assert set(spikes[t].unique().tolist()) <= {0.0, 2.0 ** -(1 + t % bits)}


def test_population_has_published_centres_and_widths():
    fields = Population(6, Constant(1), low=-1.0, high=3.0, beta=2.0)
    # Bohte et al. 2002: centre i (from 1) at low + (2 i - 3) / 2 * (high - low) / (n - 2).
    assert fields.centres.tolist() == [-1 + (2 * i - 3) / 2 * 4 / 4 for i in range(1, 7)]
    assert fields.width == 4 / 4 / 2
    x = torch.tensor([[0.3, 2.0]])
    answers = fields(x)[0, 0]
    expected = [math.exp(-((v - c) ** 2) / (2 * 0.5**2)) for v in (0.3, 2.0) for c in fields.centres.tolist()]
    assert torch.allclose(answers, torch.tensor(expected))
    assert Population(3, Poisson(2))(torch.rand(5, 2, 4, 4)).shape == (2, 5, 6, 4, 4)


def test_delta_against_a_loop():
    x = torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(3))
    for signed in (True, False):
        for skip_first in (True, False):
            before = x[0] if skip_first else torch.zeros(2, 3)
            for t, fired in enumerate(Delta(0.4, signed=signed, skip_first=skip_first)(x)):
                change = x[t] - before
                expected = (change >= 0.4).float() - (change <= -0.4).float() * signed
                assert torch.equal(fired, expected)
                before = x[t]


def test_encoders_are_differentiable_only_where_they_pass_values_on():
    x = torch.rand(2, 3, requires_grad=True)
    assert Population(4, Constant(2))(x).requires_grad
    net = Network(nn.Sequential(nn.Linear(3, 2), IF()), encoder=Poisson(4), readout=Mean())
    net(x.detach()).sum().backward()
    assert net.module[0].weight.grad is not None


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Poisson(0), TimestepsError, "Poisson: timesteps is 0"),
        (lambda: Latency(2.5), TimestepsError, "Latency: timesteps is 2.5"),
        (lambda: Constant(True), TimestepsError, "Constant: timesteps is True"),
        (lambda: Poisson(2, gain=0), ConfigError, "Poisson: gain is 0"),
        (lambda: Latency(2, threshold=1.0), ConfigError, "Latency: threshold is 1.0"),
        (lambda: Phase(2, bits=0), ConfigError, "Phase: bits is 0"),
        (lambda: Population(2, Poisson(2)), ConfigError, "Population: neurons is 2"),
        (lambda: Population(3, Poisson(2), low=1.0, high=1.0), ConfigError, "low is 1.0 and high 1.0"),
        (lambda: Population(3, Poisson(2))(torch.rand(3)), ShapeError, r"shape \(3,\)"),
        (lambda: Delta(float("nan")), ConfigError, "Delta: threshold is nan"),
        (lambda: Delta()(torch.empty(0, 2)), ShapeError, r"\(0, 2\)"),
        (lambda: Poisson(2)(torch.tensor([[0.5, float("nan")]])), ConfigError, "the input spans nan to nan"),
        (lambda: Latency(2)(torch.tensor([[3.0]])), ConfigError, r"spans 3 to 3.*\(x - low\) / \(high - low\)"),
        (lambda: Phase(2)(torch.ones(2, 2, dtype=torch.uint8)), ShapeError, r"is torch.uint8.*x / 255"),
    ],
)
def test_wrong_settings_and_inputs_are_named(make, error, match):
    with pytest.raises(error, match=match):
        make()
