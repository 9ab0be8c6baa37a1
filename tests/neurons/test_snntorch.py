"""Spike for spike and gradient for gradient with snnTorch 1.0, whose resets act one step later."""

import pytest
import torch

from spikesim.dynamics.surrogates import ATan
from spikesim.errors import ConfigError
from spikesim.neurons import LIF, Alpha, CubaLIF, Lapicque

snntorch = pytest.importorskip("snntorch")

DELAYED = {"delayed_reset": True, "detach_reset": True, "strict": True}


@pytest.fixture(autouse=True)
def _exact():
    """Constants of both sides in float64; thresholds below are exact in float32 too, as snnTorch rounds resets."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _theirs(neuron, x, states):
    """Spikes and the potential after each step of a neuron that is stepped from outside."""
    spikes, potentials = [], []
    state = [torch.zeros_like(x[0]) for _ in range(states)]
    for row in x.unbind(0):
        spike, *state = neuron(row, *state)
        spikes.append(spike.double())
        potentials.append(state[-1])
    return torch.stack(spikes), torch.stack(potentials)


def _compare(ours, theirs, states, mean=0.4):
    steps = 40
    generator = torch.Generator().manual_seed(3)
    x = (mean + torch.randn(steps, 8, generator=generator)).requires_grad_()
    weight = torch.randn(steps, 8, generator=generator)
    expected, potentials = _theirs(theirs, x, states)
    out, final = ours.run_rows(x.flatten(), steps)
    out = out.view(steps, 8)
    assert torch.equal(out, expected)
    assert expected.sum() > 10
    assert torch.allclose(final["v"], potentials[-1], rtol=1e-9, atol=1e-12)
    (found,) = torch.autograd.grad((out * weight).sum() + final["v"].sum(), x, retain_graph=True)
    (wanted,) = torch.autograd.grad((expected * weight).sum() + potentials[-1].sum(), x)
    # Their spikes, and so the gradients through them, are float32.
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_leaky_is_a_lif_with_a_delayed_reset(reset):
    ours = LIF(1 / (1 - 0.85), 1.125, scale_input=False, reset=reset, **DELAYED)
    _compare(ours, snntorch.Leaky(0.85, 1.125, reset_mechanism=reset), states=1)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_synaptic_is_a_current_based_lif_with_a_delayed_reset(reset):
    ours = CubaLIF(0.7, 0.8, 1.5, reset=reset, **DELAYED)
    _compare(ours, snntorch.Synaptic(alpha=0.7, beta=0.8, threshold=1.5, reset_mechanism=reset), states=2, mean=0.2)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_alpha(reset):
    ours = Alpha(0.9, 0.75, 0.75, reset=reset)
    theirs = snntorch.Alpha(alpha=0.9, beta=0.75, threshold=0.75, reset_mechanism=reset)
    _compare(ours, theirs, states=3)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("time_step", [1.0, 0.5])
def test_lapicque_by_its_circuit(reset, time_step):
    ours = Lapicque(4.0, 1.5, dt=time_step, threshold=0.625, reset=reset)
    theirs = snntorch.Lapicque(R=4.0, C=1.5, time_step=time_step, threshold=0.625, reset_mechanism=reset)
    _compare(ours, theirs, states=1)


def test_lapicque_by_its_beta():
    ours = Lapicque(2.0, beta=0.9, threshold=0.625)
    theirs = snntorch.Lapicque(beta=torch.tensor(0.9), R=torch.tensor(2.0), threshold=0.625)
    _compare(ours, theirs, states=1)


def test_the_surrogate_is_theirs_too():
    ours = LIF(1 / (1 - 0.5), 1.0, scale_input=False, surrogate=ATan(5.0), **DELAYED)
    _compare(ours, snntorch.Leaky(0.5, spike_grad=snntorch.surrogate.atan(5.0)), states=1)


@pytest.mark.parametrize("build,message", [
    (lambda: Alpha(0.8, 0.9), "greater than beta"),
    (lambda: Alpha(0.8, 0.8), "greater than beta"),
    (lambda: Lapicque(1.0), "either capacitance or beta"),
    (lambda: Lapicque(1.0, 2.0, beta=0.5), "not both"),
    (lambda: Lapicque(1.0, beta=1.0), "strictly between 0 and 1"),
    (lambda: Lapicque(1.0, 1.0, dt=0), "dt is 0"),
    (lambda: CubaLIF(settle=True), "needs delayed_reset=True"),
    (lambda: CubaLIF(settle=True, delayed_reset=True, reset="value", reset_value=0.5), "no reset='value'"),
    (lambda: Alpha(reset="value", reset_value=1.0), "one of zero, subtract, none"),
])  # fmt: skip
def test_constants_that_do_not_fit_are_named(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
