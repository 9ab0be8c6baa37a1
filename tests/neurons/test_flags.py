"""The flags that published systems disagree on, and every row of their table, against scalar loops."""

import itertools
import math

import pytest
import torch
from oracles import neuron_flags as oracle

from spikesim.dynamics import Surrogate, exp
from spikesim.dynamics.equivalence import check_neuron
from spikesim.dynamics.surrogates import ATan, Box, Gaussian, Sigmoid, Triangle
from spikesim.errors import ConfigError
from spikesim.neurons import EIF, IF, LIF, PLIF, AdLIF, CubaLIF, SignedIF, StaircaseIF

RESETS = ["subtract", "zero", "value", "none"]
ORDERS = [{}, {"leak_after_reset": True}, {"delayed_reset": True}]
COVER = list(itertools.product(RESETS, ORDERS, [0, 2]))


def _run(neuron, x):
    """Spikes of an input [T, neurons] in float64, and final states."""
    neuron = neuron.double()
    with torch.no_grad():
        out, final = neuron.run_rows(x.flatten(), len(x))
    return out.view(x.shape), final


@pytest.mark.parametrize("reset,order,refractory", COVER, ids=str)
def test_flags_equal_the_scalar_loop(reset, order, refractory):
    value = {"reset_value": -0.25} if reset == "value" else {}
    x = torch.randn(40, 5, dtype=torch.float64) + 0.6
    neuron = LIF(2.5, 0.75, reset=reset, refractory=refractory, strict=True, scale_input=False, **order, **value)
    spikes, final = _run(neuron, x)
    for k in range(5):
        expected, potentials = oracle.flagged_lif(
            x[:, k].tolist(), tau=2.5, threshold=0.75, reset=reset, refractory=refractory, strict=True,
            scale_input=False, **order, **value,
        )  # fmt: skip
        assert spikes[:, k].tolist() == expected
        assert final["v"][k].item() == pytest.approx(potentials[-1], abs=1e-12)


@pytest.mark.parametrize(
    "neuron",
    [
        LIF(2.3, 0.8, refractory=2, learnable=("tau", "threshold")),
        LIF(2.3, 0.8, delayed_reset=True, reset="zero", learnable=("tau",)),
        LIF(2.3, 0.8, leak_after_reset=True, reset="value", reset_value=-0.3, learnable=("tau",)),
        LIF(2.3, 0.8, width=0.5, learnable=("tau",)),
        SignedIF(refractory=1, width=1.7),
        AdLIF(threshold=0.3, refractory=3, learnable=("a", "b")),
    ],
    ids=["refractory", "delayed", "leak after", "width", "signed", "adaptive"],
)
def test_kernels_with_flags_equal_their_equations(neuron):
    check_neuron(neuron).require(1e-5)


def test_while_a_neuron_rests_its_other_states_go_on():
    x = torch.zeros(6, 1, dtype=torch.float64)
    x[0] = 5.0
    spikes, final = _run(CubaLIF(alpha=0.5, beta=0.9, refractory=9), x)
    assert spikes.flatten().tolist() == [1, 0, 0, 0, 0, 0]
    assert final["i"].item() == pytest.approx(5.0 * 0.5**5)
    assert final["v"].item() == pytest.approx(4.0)  # where the reset left it


def test_a_resting_neuron_does_not_adapt_to_spikes_that_it_did_not_fire():
    x = torch.full((5, 1), 50.0, dtype=torch.float64)
    spikes, final = _run(AdLIF(beta=1.0, a=0.0, b=1.0, refractory=9), x)
    assert spikes.sum() == 1
    assert final["w"].item() == 1.0


def test_rest_lasts_as_long_with_sub_steps():
    drive = torch.full((60, 1), 300.0, dtype=torch.float64)
    fine, _ = _run(EIF(dt=1e-3, refractory=20), drive)
    coarse, _ = _run(EIF(dt=5e-3, substeps=5, refractory=4), drive[::5])
    assert torch.equal(coarse.flatten(), fine.view(12, 5).sum(1))
    assert set(fine.flatten().nonzero().flatten().diff().tolist()) <= {21, 22}


def test_rest_is_carried_from_chunk_to_chunk():
    neuron, x = IF(refractory=3), torch.ones(11, 1)
    whole, _ = neuron.run_rows(x, 11)
    first, state = neuron.run_rows(x[:6], 6)
    second, _ = neuron.run_rows(x[6:], 5, state=state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert whole.flatten().nonzero().flatten().tolist() == [0, 4, 8]


def test_a_hard_reset_leaves_exactly_the_value():
    _, final = LIF(reset="value", reset_value=0.1).run_rows(torch.full((3, 5), 10.0), 3)
    assert torch.equal(final["v"], torch.full((1, 5), 0.1))


def test_a_width_changes_gradients_and_no_spike():
    x = (torch.randn(12, 3, dtype=torch.float64) + 0.5).requires_grad_()
    grads, spikes = [], []
    for neuron in (LIF(width=0.5), LIF(surrogate=ATan(4.0)), LIF()):
        out = neuron.double()(x.unsqueeze(-1))
        spikes.append(out)
        grads.append(torch.autograd.grad(out.sum(), x)[0])
    assert torch.equal(spikes[0], spikes[2])
    # ATan(alpha) stretched by w is ATan(alpha / w).
    assert torch.allclose(grads[0], grads[1], rtol=1e-12)
    assert not torch.allclose(grads[0], grads[2], rtol=1e-2)


def test_a_width_per_neuron_is_the_neurons_own():
    x = torch.tensor([[[0.3, 0.3]]], requires_grad=True)
    IF(width=torch.tensor([0.5, 2.0]))(x).sum().backward()
    expected = [ATan(2.0 / w).derivative(-0.7) for w in (0.5, 2.0)]
    assert x.grad.flatten().tolist() == pytest.approx(expected, rel=1e-5)


class RightShifted(Surrogate):
    """PDSG's: a normal density whose peak lies half a width above the threshold."""

    def derivative(self, u):
        z = u - 0.5
        return (1 / math.sqrt(2 * math.pi)) * exp(-0.5 * (z * z))


def test_the_potential_dependent_surrogate_is_a_width():
    sigma = 0.37
    u = torch.linspace(-2, 2, 9, dtype=torch.float64)
    x = (u + 1.0).view(1, -1).requires_grad_()
    IF(width=sigma, surrogate=RightShifted()).double()(x.unsqueeze(0)).sum().backward()
    expected = [math.exp(-((z - sigma / 2) ** 2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma) for z in u]
    # The width is a float32 constant.
    assert x.grad.flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert max(expected) == pytest.approx(0.39894 / sigma, rel=0.2)


def _hrsnn_tau(time_constant):
    return 1 / (1 - math.exp(-1 / time_constant))


THRESHOLDS = [0.9, 0.4, 0.7, 1.2, 0.5, 0.8]
ROWS = {
    "SpikingGCN": (
        lambda: LIF(80.0, 0.2, surrogate=Sigmoid(1.0)), oracle.spiking_gcn, 20.0),
    "EMS-YOLO": (
        lambda: LIF(4 / 3, 0.5, scale_input=False, strict=True, reset="zero", detach_reset=True, surrogate=Box(1.0)),
        oracle.ems_yolo, 1.0),
    "PDSG victims": (
        lambda: LIF(2.0, 1.0, scale_input=False, reset="zero", surrogate=Gaussian(1.0), width=0.6),
        oracle.pdsg_victim, 1.0),
    "AOI-SNN": (
        lambda: LIF(2.0, 1.0, scale_input=False, strict=True, reset="zero", leak_after_reset=True,
                    surrogate=Triangle(1.0)),
        oracle.aoi_snn, 1.0),
    "SpikePoint": (
        lambda: PLIF(2.0, 1.0, scale_input=False, reset="zero", surrogate=ATan(2.0)), oracle.spike_point, 1.0),
    "BrainTransformers": (lambda: StaircaseIF(), oracle.ei_if, 4.0),
    "BT CustomNeuron": (
        lambda: StaircaseIF(threshold=0.0, slope=0.0, keep=0.95, offsets=THRESHOLDS),
        lambda x: oracle.custom_neuron(x, 0.95, THRESHOLDS), 0.5),
    "LSM": (
        lambda: LIF(10.0, 0.8, scale_input=False, strict=True, reset="zero"),
        lambda x: oracle.liquid(x, 0.9, 0.8), 0.5),
    "HRSNN": (
        lambda: LIF(torch.tensor([_hrsnn_tau(c) for c in (1.5, 4.0, 9.0)]), scale_input=False, reset="zero"),
        [lambda x, c=c: oracle.hrsnn(x, c) for c in (1.5, 4.0, 9.0)], 0.7),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_table_can_be_built(row):
    build, expected, scale = ROWS[row]
    torch.set_default_dtype(torch.float64)
    try:
        neuron = build()
    finally:
        torch.set_default_dtype(torch.float32)
    steps = len(THRESHOLDS) if row == "BT CustomNeuron" else 50
    x = scale * (torch.randn(steps, 3, dtype=torch.float64) + 0.4)
    with torch.no_grad():
        spikes = neuron(x.unsqueeze(1)).squeeze(1)
    for k in range(3):
        one = expected[k] if isinstance(expected, list) else expected
        assert spikes[:, k].tolist() == one(x[:, k].tolist())
    assert spikes.abs().sum() > 3


@pytest.mark.parametrize("build,message", [
    (lambda: IF(reset="hard"), "subtract, zero, value, none"),
    (lambda: IF(reset="value"), "reset_value is None"),
    (lambda: IF(reset="value", reset_value=True), "needs a number"),
    (lambda: IF(reset_value=0.5), "choose reset='value'"),
    (lambda: EIF(reset_value=-60.0), "set v_reset"),
    (lambda: EIF(reset="subtract"), "one of value, none"),
    (lambda: IF(refractory=-1), "refractory is -1"),
    (lambda: IF(refractory=1.5), "whole number of time steps"),
    (lambda: IF(width=0.0), "width is 0"),
    (lambda: IF(width="wide"), "width is 'wide'"),
    (lambda: IF(width=0.5, learnable="width"), "width cannot be learnt"),
    (lambda: LIF(delayed_reset=True, leak_after_reset=True), "both set"),
])  # fmt: skip
def test_flags_that_do_not_fit_are_named(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


def test_the_length_of_rest_is_fixed():
    with pytest.raises(ConfigError, match="build a new IF"):
        IF(refractory=2).refractory = 3
