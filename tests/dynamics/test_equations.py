"""Kernels against the float64 reference, and gradients against numerical differentiation."""

import itertools

import pytest
import torch
from torch.autograd import gradcheck

from spikesim.dynamics import Neuron, Param, SpikeType, State, ops, surrogates
from spikesim.dynamics.equivalence import check_neuron
from spikesim.errors import CheckFailed
from spikesim.neurons import IF, LI, LIF

SURROGATES = [surrogates.ATan(), surrogates.FastSigmoid(5.0), surrogates.Triangle(), surrogates.Box(),
              surrogates.Sigmoid(), surrogates.Gaussian()]  # fmt: skip
RESETS = ["subtract", "zero", "none"]
DTYPES = [torch.float32, torch.float64]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def _cover():
    """Every surrogate with every reset; dtype, detach, scaling and strictness alternate through the pairs."""
    for k, (surrogate, reset) in enumerate(itertools.product(SURROGATES, RESETS)):
        yield surrogate, reset, DTYPES[k % 2], bool(k // 2 % 2), bool(k // 3 % 2), bool(k % 3 == 0)


@pytest.mark.parametrize("surrogate,reset,dtype,detach,scale,strict", list(_cover()), ids=str)
def test_lif_equals_its_equations(surrogate, reset, dtype, detach, scale, strict):
    neuron = LIF(
        2.3, 0.8, surrogate=surrogate, reset=reset, detach_reset=detach, scale_input=scale, strict=strict,
        learnable=("tau", "threshold"),
    )  # fmt: skip
    check_neuron(neuron, dtype=dtype).require(TOLERANCE[dtype])


@pytest.mark.parametrize(
    "neuron", [IF(initial={"v": 0.5}), IF(reset="zero"), LI(3.0), LI(3.0, learnable="tau")], ids=str
)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_other_neurons_equal_their_equations(neuron, dtype):
    check_neuron(neuron, dtype=dtype).require(TOLERANCE[dtype])


def test_the_check_can_fail():
    neuron = LIF()
    other = LIF(2.0, 1.0, scale_input=False).program_text()
    neuron._text = other  # kernels of other equations than the reference's
    with pytest.raises(CheckFailed):
        check_neuron(neuron).require(1e-5)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
@pytest.mark.parametrize("reset", RESETS)
def test_gradcheck_with_the_smoothed_step(surrogate, reset):
    """Compiled forward and compiled backward against numerical differentiation, in float64."""
    neuron = LIF(2.3, 0.8, surrogate=surrogate.smoothed(), reset=reset, learnable=("tau", "threshold")).double()
    x = (torch.randn(4 * 3, 2, dtype=torch.float64) * 0.5 + 0.3).requires_grad_()
    v = torch.randn(3, 2, dtype=torch.float64).mul(0.2).requires_grad_()

    def run(x, v, tau, threshold):
        values = {"neuron.tau": tau, "neuron.threshold": threshold}
        return torch.func.functional_call(_Rows(neuron), values, (x, v))

    tau = torch.tensor(2.3, dtype=torch.float64, requires_grad=True)
    threshold = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    assert gradcheck(run, (x, v, tau, threshold), eps=1e-6, atol=1e-6)


class _Rows(torch.nn.Module):
    def __init__(self, neuron):
        super().__init__()
        self.neuron = neuron

    def forward(self, x, v):
        out, final = self.neuron.run_rows(x, 4, state={"v": v})
        return out, final["v"]


def _piecewise(x, *, v, k):
    u = ops.minimum(ops.maximum(v * k + x, -1.5), x * x)
    w = ops.where(u > 0.1, ops.exp(-u), ops.tanh(u) + ops.sigmoid(x))
    w = w + ops.absolute(v - 0.3) + ops.sqrt(u * u + 1.0) + ops.log(x * x + 2.0) + ops.clip(v, -0.7, 0.9)
    return w + ops.atan(u) - ops.erf(x) / (k + 2.0) + ops.detach(v) + ops.sign(v) + x**3, {"v": 0.5 * u + 0.1 * v}


class Everything(Neuron):
    """Every smooth and piecewise primitive in one step."""

    states = {"v": State(0.2)}
    params = {"k": Param(0.7)}
    emits = SpikeType("analog")

    def step(self, x, *, v, k):
        return _piecewise(x, v=v, k=k)


class Rounding(Neuron):
    states = {"v": State()}
    params = {}
    emits = SpikeType("analog")

    def step(self, x, *, v):
        u = v + 3.0 * x
        return ops.floor(u) + ops.rounded(u * 2.0), {"v": u - ops.floor(u)}


@pytest.mark.parametrize("neuron", [Everything(learnable="k"), Rounding()], ids=["everything", "rounding"])
def test_every_primitive_equals_autograd(neuron):
    check_neuron(neuron, dtype=torch.float64, steps=6).require(1e-10)


def test_ties_of_minimum_and_maximum_split_the_gradient_as_torch_does():
    class Smaller(Neuron):
        states = {"v": State()}
        params = {}
        emits = SpikeType("analog")

        def step(self, x, *, v):
            return ops.minimum(x, v) + 3.0 * ops.maximum(x, v), {"v": x}

    x = torch.ones(3, 1, requires_grad=True)
    Smaller(initial={"v": 1.0})(x).sum().backward()
    a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    (torch.minimum(a, b) + 3 * torch.maximum(a, b)).sum().backward()
    assert a.grad.item() == b.grad.item() == 2.0
    assert x.grad.flatten().tolist() == [4.0, 4.0, 2.0]


class Refractory(Neuron):
    """Rests for three steps after a spike: a counter and two branches as ``where``."""

    states = {"v": State(), "rest": State()}
    params = {"tau": Param(2.0, min=1.0)}

    def step(self, x, *, v, rest, tau):
        u = ops.where(rest > 0.0, v * 1.0, v + (x - v) / tau)
        s = ops.spike(u - 1.0, surrogates.ATan()) * ops.where(rest > 0.0, 0.0, 1.0)
        return s, {"v": u * (1.0 - s), "rest": ops.where(s > 0.0, 3.0, rest - 1.0)}


def test_a_neuron_with_a_counter_equals_its_equations():
    found = check_neuron(Refractory(learnable="tau"))
    found.require(1e-5)
    assert found.compared > 150
    assert Refractory()(torch.full((9, 1), 3.0)).flatten().tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1]
