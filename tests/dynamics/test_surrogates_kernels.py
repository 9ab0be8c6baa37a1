"""Surrogates through compiled kernels: far potentials, whole runs, gradients, widths that are values of a step."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from spikesim.dynamics import Neuron, Param, SpikeType, State, ops, surrogates
from spikesim.dynamics.equivalence import check_neuron
from spikesim.dynamics.surrogates import CATALOGUE
from spikesim.neurons import LIF

NAMES = sorted(CATALOGUE)
DTYPES = [torch.float32, torch.float64]
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}


class Probe(Neuron):
    """Each state becomes the derivative of one surrogate at the input."""

    states = {name: State() for name in NAMES}
    params = {}
    emits = SpikeType("analog")

    def step(self, x, **states):
        return x * 2.0, {name: CATALOGUE[name]().derivative(x) + 0.0 * states[name] for name in states}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_kernels_give_the_same_derivatives_also_far_out(dtype):
    far = torch.tensor([-math.inf, -1e30, -40.0, 40.0, 1e30, math.inf, math.nan], dtype=dtype)
    u = torch.cat([far, torch.linspace(-3, 3, 97, dtype=dtype)])
    _, found = Probe().to(dtype).run_rows(u, 1)
    for name in NAMES:
        expected = CATALOGUE[name]().derivative(u) * torch.ones_like(u)
        torch.testing.assert_close(found[name], expected, rtol=TOLERANCE[dtype], atol=1e-7, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_lif_equals_its_equations(name):
    neuron = LIF(2.3, 0.8, surrogate=CATALOGUE[name](), learnable=("tau", "threshold"))
    check_neuron(neuron, dtype=torch.float64).require(TOLERANCE[torch.float64])


class Chorus(Neuron):
    """One LIF per surrogate, all driven by the same input: compiled and checked at once."""

    states = {name: State() for name in NAMES}
    params = {"tau": Param(2.3, min=1.0), "threshold": Param(0.8)}
    emits = SpikeType("analog")

    def __init__(self, smoothed, **options):
        super().__init__(**options)
        self.surrogates = {name: kind().smoothed() if smoothed else kind() for name, kind in CATALOGUE.items()}

    def step(self, x, *, tau, threshold, **potentials):
        emitted, after = 0.0, {}
        for k, name in enumerate(NAMES):
            u = potentials[name] + (x - potentials[name]) / tau
            s = ops.spike(u - threshold, self.surrogates[name])
            emitted = emitted + (0.5 + 0.1 * k) * s
            after[name] = u - s * threshold
        return emitted, after


def test_all_of_them_equal_their_equations_in_single_precision():
    check_neuron(Chorus(smoothed=False)).require(TOLERANCE[torch.float32])


class _Rows(torch.nn.Module):
    def __init__(self, neuron):
        super().__init__()
        self.neuron = neuron

    def forward(self, x, potentials):
        out, final = self.neuron.run_rows(x, 3, state=dict(zip(NAMES, potentials.unbind(-1))))
        return out, torch.stack([final[name] for name in NAMES], -1)


def test_gradcheck_with_the_smoothed_step():
    """Compiled forward and backward against numerical differentiation, through the reset and to the parameters."""
    rows = _Rows(Chorus(smoothed=True, learnable=("tau", "threshold")).double())
    x = (torch.randn(3 * 2, dtype=torch.float64) * 0.5 + 0.3).requires_grad_()
    potentials = torch.randn(2, len(NAMES), dtype=torch.float64).mul(0.3).requires_grad_()
    tau, threshold = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (2.3, 0.8))

    def run(x, potentials, tau, threshold):
        values = {"neuron.tau": tau, "neuron.threshold": threshold}
        return torch.func.functional_call(rows, values, (x, potentials))

    assert gradcheck(run, (x, potentials, tau, threshold), eps=1e-6, atol=1e-6)


class Wide(Neuron):
    """Width that is a parameter, or that follows the potential."""

    states = {"v": State()}
    params = {"sigma": Param(0.7, min=0.1)}

    def __init__(self, follows, surrogate):
        super().__init__(learnable="sigma")
        self.follows, self.surrogate = follows, surrogate

    def step(self, x, *, v, sigma):
        u = 0.6 * v + x
        width = sigma + 0.3 * ops.absolute(u) if self.follows else sigma
        s = ops.spike(u - 1.0, self.surrogate, width=width)
        return s, {"v": u - s}


@pytest.mark.parametrize(
    "follows,chosen", [(False, surrogates.Box().scaled(0.5)), (True, surrogates.Gaussian(1.0))], ids=str
)
def test_a_width_of_the_step_equals_its_equations(follows, chosen):
    check_neuron(Wide(follows, chosen), dtype=torch.float64).require(1e-12)


def test_no_gradient_flows_through_a_width():
    neuron = Wide(False, surrogates.Box().scaled(0.5)).double()
    x = torch.rand(5, 2, 30, dtype=torch.float64, requires_grad=True)
    neuron(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert neuron.sigma.grad is None or neuron.sigma.grad.item() == 0.0


@pytest.mark.usefixtures("reference_path")
def test_no_gradient_flows_through_a_width_on_the_reference_path():
    neuron = Wide(False, surrogates.Gaussian(1.0).smoothed())
    x = torch.rand(5, 2, 3, requires_grad=True)
    neuron(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert neuron.sigma.grad is None or neuron.sigma.grad.item() == 0.0
