import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.neurons import SURROGATES, lif, lif_input_gradient

from spikesim.dynamics import surrogates
from spikesim.errors import ConfigError, DeviceError, ShapeError, StateError, TimestepsError
from spikesim.neurons import IF, LI, LIF

FLAGS = list(itertools.product(["subtract", "zero", "none"], [True, False], [True, False]))


@pytest.mark.parametrize("reset,scale_input,strict", FLAGS)
def test_kernel_equals_scalar_loop(reset, scale_input, strict):
    x = torch.randn(20, 6, dtype=torch.float64) + 0.5
    neuron = LIF(2.5, 0.75, reset=reset, scale_input=scale_input, strict=strict).double()
    spikes = neuron(x.unsqueeze(1)).squeeze(1)
    for k in range(6):
        expected, _ = lif(
            x[:, k].tolist(), tau=2.5, threshold=0.75, reset=reset, scale_input=scale_input, strict=strict
        )
        assert spikes[:, k].tolist() == expected


def test_if_equals_scalar_loop_from_an_initial_potential():
    x = torch.rand(30, 1, dtype=torch.float64)
    neuron = IF(0.9, initial={"v": 0.45}).double()
    threshold, v = neuron.threshold.item(), neuron.initial_v.item()
    expected, _ = lif(x[:, 0].tolist(), threshold=threshold, v=v, leak=False)
    assert neuron(x.unsqueeze(1)).flatten().tolist() == expected


@pytest.mark.parametrize("strict,expected", [(False, 1.0), (True, 0.0)])
def test_a_tie_fires_only_when_not_strict(strict, expected):
    assert IF(1.0, strict=strict)(torch.ones(1, 1)).item() == expected


@pytest.mark.parametrize("name", sorted(SURROGATES))
@pytest.mark.parametrize("reset,detach", [("subtract", False), ("zero", False), ("zero", True), ("subtract", True)])
def test_input_gradient_equals_hand_derivation(name, reset, detach):
    x = (torch.randn(12, 4, dtype=torch.float64) + 0.7).requires_grad_()
    weights = torch.randn(12, 4, dtype=torch.float64)
    neuron = LIF(2.0, 1.0, surrogate=getattr(surrogates, name)(), reset=reset, detach_reset=detach).double()
    (neuron(x.unsqueeze(1)).squeeze(1) * weights).sum().backward()
    for k in range(4):
        expected = lif_input_gradient(
            x[:, k].tolist(), weights[:, k].tolist(), SURROGATES[name], reset=reset, detach=detach
        )
        assert torch.allclose(x.grad[:, k], torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-2, 3, width=32), min_size=1, max_size=40), st.floats(0.25, 4, width=32))
def test_charge_balance_of_if(inputs, threshold):
    """Soft reset: v_T = v_0 + sum x - threshold * spikes."""
    neuron = IF(threshold).double()
    x = torch.tensor(inputs, dtype=torch.float64).view(-1, 1)
    spikes, final = neuron.run_rows(x, len(inputs))
    balance = x.sum() - neuron.threshold * spikes.sum()
    assert torch.allclose(final["v"], balance, atol=1e-9)


def test_no_input_decays_and_never_fires():
    spikes, final = LIF(4.0, initial={"v": 0.5}).run_rows(torch.zeros(6, 1), 6)
    assert spikes.sum() == 0
    assert torch.allclose(final["v"], torch.tensor(0.5 * 0.75**6))


def test_hard_reset_leaves_exactly_zero():
    _, final = LIF(reset="zero").run_rows(torch.full((3, 5), 10.0), 3)
    assert torch.equal(final["v"], torch.zeros(1, 5))


def test_permuting_neurons_permutes_spikes():
    x = torch.randn(8, 3, 10) + 0.5
    order = torch.randperm(10)
    assert torch.equal(LIF()(x)[..., order], LIF()(x[..., order]))


def test_per_channel_threshold_lies_along_the_channel_axis():
    threshold = torch.tensor([0.5, 5.0])
    images = torch.ones(4, 3, 2, 5, 5)
    rates = IF(threshold)(images).mean((0, 1, 3, 4))
    assert rates.tolist() == [1.0, 0.0]
    features = IF(threshold)(torch.ones(4, 3, 2)).mean((0, 1))
    assert features.tolist() == [1.0, 0.0]


def test_li_emits_its_potential():
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    expected, v = [], torch.zeros(2, 3, dtype=torch.float64)
    for row in x:
        v = v + (row - v) / 3.0
        expected.append(v)
    assert torch.allclose(LI(3.0).double()(x), torch.stack(expected), rtol=1e-12)
    assert LI().emits.kind == "analog"


@pytest.mark.parametrize("build", [
    lambda: LIF(tau=0.5), lambda: LIF(tau=float("nan")), lambda: IF(reset="hard"), lambda: IF(surrogate="atan"),
    lambda: IF(initial={"u": 0.0}), lambda: IF(initial={"v": float("inf")}), lambda: LIF(learnable=("taus",)),
    lambda: surrogates.ATan(alpha=-1.0), lambda: LIF(tau="a"),
])  # fmt: skip
def test_bad_settings_are_named(build):
    with pytest.raises(ConfigError):
        build()


def test_bad_inputs_are_named():
    with pytest.raises(TimestepsError, match="T = 0"):
        IF()(torch.zeros(0, 2, 3))
    with pytest.raises(ShapeError, match=r"x\.float"):
        IF()(torch.zeros(2, 2, 3, dtype=torch.uint8))
    with pytest.raises(ShapeError, match=r"\[T, N"):
        IF()(torch.zeros(2))


def test_no_samples_give_an_empty_result():
    assert LIF()(torch.zeros(4, 0, 3)).shape == (4, 0, 3)


def test_what_does_not_fit_a_sample_is_named():
    with pytest.raises(ShapeError, match="threshold has shape"):
        IF(torch.ones(5))(torch.zeros(2, 3, 4))
    with pytest.raises(ShapeError, match="initial v has shape"):
        IF(initial={"v": torch.ones(5)})(torch.zeros(2, 3, 4))
    with pytest.raises(TimestepsError, match="7 rows"):
        IF().run_rows(torch.zeros(7, 3), 2)
    with pytest.raises(TimestepsError):
        IF().run_rows(torch.zeros(6, 3), 0)
    with pytest.raises(ShapeError, match="mask"):
        IF().run_rows(torch.zeros(6, 3), 2, mask=torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(ShapeError, match="takes a tensor"):
        IF()({"x": torch.zeros(2, 3)})


@pytest.mark.parametrize("neuron", [LI(3.0), LIF()], ids=["LI", "LIF"])
def test_forward_mode_and_transforms_take_the_reference_path(neuron):
    x, tangent = torch.randn(4, 2, 3), torch.randn(4, 2, 3)
    _, forward = torch.func.jvp(neuron, (x,), (tangent,))
    rows = x.clone().requires_grad_()
    weight = torch.randn(4, 2, 3)
    (reverse,) = torch.autograd.grad(neuron(rows), rows, weight)
    assert torch.allclose((forward * weight).sum(), (reverse * tangent).sum(), atol=1e-5)
    assert torch.allclose(torch.func.grad(lambda a: (neuron(a) * weight).sum())(x), reverse, atol=1e-6)


def test_a_meta_neuron_costs_no_memory():
    with torch.device("meta"):
        neuron = LIF()
    assert "tau=()" in repr(neuron)
    assert neuron(torch.zeros(4, 2, 3, device="meta")).shape == (4, 2, 3)


def test_a_neuron_on_another_device_than_its_input_is_named():
    with pytest.raises(DeviceError, match=r"LIF: tau is on cpu, but the input on meta; move the neuron with \.to"):
        LIF()(torch.zeros(3, 2, 4, device="meta"))


def test_bad_rows_are_named():
    rows = torch.zeros(6, 4)
    for bad, message in [
        (rows.int(), r"x\.float"), (rows > 0, r"x\.float"), (rows.cfloat(), r"x\.real"), (torch.tensor(1.0), "takes"),
        (rows.to_sparse(), "to_dense"),
    ]:  # fmt: skip
        with pytest.raises(ShapeError, match=message):
            LIF().run_rows(bad, 3)
    with pytest.raises(TimestepsError, match="whole number"):
        LIF().run_rows(rows, 3.0)
    with pytest.raises(StateError, match="lacks 'v'"):
        LIF().run_rows(rows, 3, state={})
    with pytest.raises(DeviceError, match="mask is on meta"):
        LIF().run_rows(rows, 3, mask=torch.ones(3, 2, dtype=torch.bool, device="meta"))
    with pytest.raises(DeviceError, match="meta"):
        LIF().to("meta").run_rows(rows, 3)


def test_a_parameter_beyond_its_bound_finds_its_way_back():
    neuron = LI(tau=2.0, learnable="tau")
    neuron.tau.data.fill_(0.2)
    x = torch.rand(6, 2, 8)
    assert torch.equal(neuron(x), LI(tau=1.0)(x))
    gradients = [torch.autograd.grad((sign * neuron(x[:1])).sum(), neuron.tau)[0].item() for sign in (1, -1)]
    # The potential after one step falls with tau: what would shrink tau further is held back.
    assert gradients[0] == pytest.approx(-x[:1].sum().item()) and gradients[1] == 0.0
