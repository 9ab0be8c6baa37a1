"""Wrong input is named, with a remedy; values that are no numbers go where they are documented to go."""

import copy

import pytest
import torch
from oracles.every_neuron import EVERY_NEURON, drive
from torch import nn

from spikesim.errors import ConfigError, DeviceError, ShapeError, StateError, TimestepsError
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Constant, Mean, Network


def _classifier():
    return Network(nn.Sequential(nn.Linear(4, 6), LIF(), nn.Linear(6, 3), LI()), readout=Mean())


def _images():
    return Network(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), LIF()))


# Values that are no numbers


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf], ids=str)
@pytest.mark.parametrize("name", EVERY_NEURON)
def test_a_bad_value_stays_with_its_neuron_and_its_later_steps(name, bad):
    neuron = EVERY_NEURON[name]
    clean = drive(neuron, 12, 2, 5)
    x = clean.clone()
    x[4, 1, 3] = bad
    torch.manual_seed(0)
    expected = neuron(clean)
    torch.manual_seed(0)
    found = neuron(x)
    reached = torch.zeros(12, 2, 5, dtype=torch.bool)
    reached[4:, 1, 3] = True
    assert torch.equal(found[~reached], expected[~reached])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf], ids=str)
@pytest.mark.parametrize("name", ["LIF", "AdLIF", "EscapeLIF"])
def test_kernels_and_reference_agree_on_bad_values(name, bad, monkeypatch):
    neuron = EVERY_NEURON[name]
    x = drive(neuron, 12, 2, 5)
    x[4, 1, 3] = bad
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        out, final = neuron.run_rows(x.flatten(0, 1), 12)
        results.append([out, *(final[k] for k in neuron.states)])
        monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
    for fast, slow in zip(*results):
        assert torch.allclose(fast, slow, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_nan_silences_a_neuron_for_good_and_shows_in_its_state():
    net = Network(nn.Sequential(LIF()))
    x = torch.full((6, 1, 2), 3.0)
    x[2, 0, 0] = torch.nan
    run = net.run(x)
    assert run.output[:, 0, 0].tolist() == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert run.state["0"]["v"].isnan().tolist() == [[True, False]]
    later = net.run(torch.full((3, 1, 2), 3.0), run.state)
    assert later.output[:, 0, 0].sum() == 0


def test_the_gradient_of_a_bad_value_is_nan_in_its_neuron_alone():
    x = torch.full((6, 1, 2), 3.0)
    x[2, 0, 0] = torch.nan
    x.requires_grad_()
    LIF()(x).sum().backward()
    assert x.grad[:, 0, 0].isnan().any()
    assert x.grad[:, 0, 1].isfinite().all()


# Shape


def test_no_time_steps():
    for call in (_classifier(), LIF()):
        with pytest.raises(TimestepsError, match="T = 0"):
            call(torch.zeros(0, 2, 4))


@pytest.mark.parametrize("shape", [(), (4,)])
def test_too_few_axes(shape):
    for call in (_classifier(), LIF()):
        with pytest.raises(ShapeError, match=r"\[T, N, \.\.\.\]"):
            call(torch.zeros(shape))


def test_forgotten_time_or_wrong_features_are_explained():
    with pytest.raises(
        ShapeError, match=r"\(3, 2, 8, 8\).*folded into the batch as \(6, 8, 8\).*Constant\(T\)"
    ) as caught:
        _images()(torch.zeros(3, 2, 8, 8))
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ShapeError, match=r"\(5, 2, 7\).*\(10, 7\)"):
        _classifier()(torch.zeros(5, 2, 7))
    with pytest.raises(ShapeError, match="running_mean should contain"):
        Network(nn.Sequential(nn.BatchNorm2d(3), LIF()))(torch.zeros(5, 2, 4, 6, 6))
    with pytest.raises(ShapeError, match="expected 4D input"):  # torch's norm raises a ValueError
        Network(nn.Sequential(nn.BatchNorm2d(3), LIF()))(torch.zeros(5, 2, 3))


def test_what_is_no_tensor():
    for bad in ("text", None, [1.0, 2.0], torch.zeros(5, 2, 4).numpy()):
        with pytest.raises(ShapeError, match="every tensor must be"):
            _classifier()(bad)
    with pytest.raises(ShapeError, match="holds no tensor"):
        _classifier()([])


def test_an_error_of_the_users_own_passes_untouched():
    class Fails(nn.Module):
        def forward(self, x):
            raise RuntimeError("out of coffee")

    with pytest.raises(RuntimeError, match="out of coffee"):
        Network(nn.Sequential(nn.Linear(4, 4), Fails()))(torch.zeros(5, 2, 4))


def test_running_out_of_memory_is_no_mistake_of_shape():
    class Full(nn.Module):
        def forward(self, x):
            raise torch.OutOfMemoryError("no memory for a tensor of this shape")

    with pytest.raises(torch.OutOfMemoryError):
        Network(nn.Sequential(nn.Linear(4, 4), Full()))(torch.zeros(5, 2, 4))


# Dtype


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.complex64])
def test_integers_and_complex_numbers(dtype):
    x = torch.zeros(5, 2, 4, dtype=dtype)
    remedy = r"x\.real" if dtype.is_complex else r"x\.float\(\)"
    with pytest.raises(ShapeError, match=rf"LIF received {dtype}.*{remedy}"):
        LIF()(x)
    with pytest.raises(
        ShapeError, match=rf"the input is {dtype}, but Sequential has parameters in torch.float32.*x\.float\(\)"
    ):
        _classifier()(x)
    with pytest.raises(ShapeError, match=rf"the input is {dtype}"):
        _images()(torch.zeros(5, 2, 2, 8, 8, dtype=dtype))
    with pytest.raises(ShapeError, match=rf"the input is {dtype}"):
        Network(nn.Sequential(nn.Linear(4, 3), IF()), Constant(3))(x[0])


def test_double_input_to_a_single_network_and_back():
    with pytest.raises(
        ShapeError, match=r"torch.float64, but Sequential has parameters in torch.float32; call x\.float"
    ):
        _classifier()(torch.zeros(5, 2, 4, dtype=torch.float64))
    with pytest.raises(ShapeError, match=r"torch.float32, but .* torch.float64; call x\.to\(torch\.float64\)"):
        _classifier().double()(torch.zeros(5, 2, 4))


def test_whole_numbers_may_go_into_a_layer_that_wants_them():
    net = Network(nn.Sequential(nn.Embedding(10, 6), LIF()))
    assert net(torch.zeros(5, 2, dtype=torch.int64)).shape == (5, 2, 6)


# Devices, with "meta" standing for the other one


def test_input_and_network_on_two_devices():
    x = torch.zeros(5, 2, 4)
    with pytest.raises(DeviceError, match=r"input is on meta, but Sequential on cpu; move one: net\.to\('meta'\)"):
        _classifier()(x.to("meta"))
    with pytest.raises(DeviceError, match="input is on cpu, but Sequential on meta"):
        _classifier().to("meta")(x)
    with pytest.raises(DeviceError, match="LIF '0': tau is on cpu, but the input on meta"):
        Network(nn.Sequential(LIF(tau=torch.full((4,), 2.0))))(x.to("meta"))


def test_input_and_mask_on_two_devices():
    x, mask = torch.zeros(5, 2, 4), torch.ones(5, 2, dtype=torch.bool)
    with pytest.raises(DeviceError, match=r"mask is on meta, but the input on cpu; call mask\.to\('cpu'\)"):
        _classifier()(x, mask=mask.to("meta"))
    with pytest.raises(ShapeError, match="mask is a list"):
        _classifier()(x, mask=[[True]])


def test_input_and_state_on_two_devices():
    net, x = Network(nn.Sequential(LIF())), torch.ones(5, 2, 4)
    state = net.run(x).state
    with pytest.raises(StateError, match=r"state 'v' of '0' is on the meta device.*input is on cpu"):
        net.run(x, state.to("meta"))
    elsewhere = copy.deepcopy(net).to("meta").run(x.to("meta"), state)  # a state follows the input
    assert elsewhere.state["0"]["v"].device.type == "meta"


# State


def test_a_state_of_another_batch_or_dtype():
    net, x = Network(nn.Sequential(LIF())), torch.ones(5, 2, 4)
    state = net.run(x).state
    with pytest.raises(
        StateError, match=r"LIF '0': state 'v' has shape \(2, 4\), but this batch needs \(3, 4\).*new stream"
    ):
        net.run(torch.ones(5, 3, 4), state)
    for dtype in (torch.complex64, torch.int64):
        with pytest.raises(StateError, match=f"state 'v' of '0' is {dtype}, but it must be a floating dtype"):
            net.run(x, {"0": {"v": state["0"]["v"].to(dtype)}})


# A learnable time constant that is driven to zero


def _driven(value):
    neuron = LIF(learnable="tau")
    optimiser = torch.optim.SGD([neuron.tau], lr=1.0)
    neuron.tau.grad = neuron.tau.detach() - value
    optimiser.step()
    return neuron


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_a_time_constant_driven_past_its_bound_counts_as_its_bound(value):
    neuron, x = _driven(value), torch.rand(8, 2, 5) * 3
    assert neuron.tau.item() == pytest.approx(value)
    out = neuron(x)
    assert torch.equal(out, LIF(tau=1.0)(x))
    out.sum().backward()
    assert neuron.tau.grad.isfinite()


def test_a_time_constant_out_of_bounds_is_not_loaded():
    with pytest.raises(RuntimeError, match="tau is 0, but it must be at least 1"):
        LIF().load_state_dict(_driven(0.0).state_dict())
    with pytest.raises(ConfigError, match="tau is 0"):
        LIF(tau=0.0)


def test_a_time_constant_that_went_to_nan_shows():
    net = Network(nn.Sequential(_driven(torch.nan)))
    run = net.run(torch.rand(8, 2, 5))
    assert run.state["0"]["v"].isnan().all()
