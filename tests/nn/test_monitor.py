"""Recording changes nothing, and what it records is what a run of single steps would show."""

import copy

import numpy as np
import pytest
import torch
from oracles.every_neuron import EVERY_NEURON, drive, single_steps
from torch import nn

from spikesim.errors import ConfigError, ShapeError
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Constant, Mean, Network


def _convolutional():
    block = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), LIF(learnable="tau"))
    layers = [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), LIF(), block, nn.Flatten(), nn.Linear(64, 5), LI()]
    return Network(nn.Sequential(*layers), readout=Mean())


def _inputs_of(net, *names):
    """Catch what chosen neurons receive, [T*N, ...]."""
    caught = {}

    def catch(name):
        return lambda module, args: caught.__setitem__(name, args[0].detach().clone())

    for name in names:
        net.neurons()[name].register_forward_pre_hook(catch(name))
    return caught


MASKED = [name for name in ("LIF", "AdLIF", "EscapeLIF") if name in EVERY_NEURON]


@pytest.mark.parametrize("name,masked", [*((n, False) for n in EVERY_NEURON), *((n, True) for n in MASKED)])
def test_recorded_states_are_those_of_single_steps(name, masked):
    neuron = EVERY_NEURON[name]
    net, x = Network(nn.Sequential(copy.deepcopy(neuron))), drive(neuron, 37, 2, 5)
    mask = torch.rand(37, 2) > 0.3 if masked else None
    start = net.run(x[:1]).state  # a state of our own, so that random numbers agree too
    with net.record(states="all") as recording:
        run = net.run(x, start, mask=mask)
    emitted, states = single_steps(net.module[0], x, start["0"], mask)
    assert torch.equal(recording["0"].spikes, run.output)
    assert torch.equal(emitted, run.output)
    assert set(recording["0"].states) == set(neuron.states)
    for key in neuron.states:
        assert torch.equal(recording["0"].states[key], states[key])
        assert torch.equal(recording["0"].states[key][-1], run.state["0"][key])


@pytest.mark.parametrize("name", EVERY_NEURON)
def test_without_a_given_state_the_states_are_those_of_the_very_call(name):
    neuron = EVERY_NEURON[name]
    net, x = Network(nn.Sequential(copy.deepcopy(neuron))), drive(neuron, 9, 2, 5)
    with net.record(states="all") as recording:
        run = net.run(x)
    for key in neuron.states:
        assert torch.equal(recording["0"].states[key][-1], run.state["0"][key])


@pytest.mark.parametrize("path", ["kernels", "reference"])
def test_results_and_gradients_stay_bit_for_bit(path, monkeypatch):
    if path == "reference":
        monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
    results = []
    for watched in (False, True):
        torch.manual_seed(3)
        net = _convolutional()
        x = torch.rand(6, 4, 2, 6, 6, requires_grad=True)
        if watched:
            with net.record(states="v", every=2), net.record("2", neurons=[0]):
                y = net(x)
        else:
            y = net(x)
        y.square().sum().backward()
        results.append([y, x.grad, torch.get_rng_state(), *net.buffers(), *(p.grad for p in net.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_nested_modules_and_channels_last_rows():
    net, x = _convolutional().eval(), torch.rand(5, 3, 2, 6, 6)
    caught = _inputs_of(net, "2", "3.1", "6")
    with net.record(states="v") as recording:
        net(x)
    assert list(recording) == ["2", "3.1", "6"] and len(recording) == 3 and "2" in recording and "0" not in recording
    for name, rows in caught.items():
        emitted, states = single_steps(net.neurons()[name], rows.unflatten(0, (5, 3)))
        assert torch.equal(recording[name].spikes, emitted)
        assert torch.equal(recording[name].states["v"], states["v"])
        assert not recording[name].spikes.requires_grad


def test_chosen_neurons_and_samples():
    net, x = _convolutional().eval(), torch.rand(5, 3, 2, 6, 6)
    with (
        net.record("2", "6", states="v") as whole,
        net.record("2", "6", states="v", neurons={"2": [0, 17, -1], "6": 4}, samples=[2, 0]) as part,
        net.record("2", neurons=[(0, 0, 0), (1, 0, 1), (2, 3, 3)]) as placed,
    ):
        net(x)
    flat = whole["2"].spikes.flatten(2)
    assert torch.equal(part["2"].spikes, flat[:, [2, 0]][:, :, [0, 17, 47]])
    assert torch.equal(part["2"].states["v"], whole["2"].states["v"].flatten(2)[:, [2, 0]][:, :, [0, 17, 47]])
    assert torch.equal(part["6"].states["v"], whole["6"].states["v"][:, [2, 0]][:, :, [4]])
    assert torch.equal(placed["2"].spikes, flat[:, :, [0, 17, 47]])


def test_what_later_layers_do_in_place_does_not_show():
    class InPlace(nn.Module):
        def forward(self, x):
            return x.mul_(0.0)

    net = Network(nn.Sequential(IF(), InPlace()))
    with net.record() as recording:
        assert net(torch.ones(3, 1, 2)).sum() == 0
    assert recording["0"].spikes.sum() == 6


def test_a_hook_of_the_users_own_does_not_change_what_is_recorded():
    net = Network(nn.Sequential(IF()))
    net.module[0].register_forward_hook(lambda module, args, out: out * 0)
    with net.record() as recording:
        assert net(torch.ones(3, 1, 2)).sum() == 0
    assert recording["0"].spikes.sum() == 6


def test_a_neuron_called_by_keyword():
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif = IF()

        def forward(self, x):
            return self.lif(x=x)

    net = Network(Keyword())
    with net.record(states="v") as recording:
        net(torch.full((3, 1, 2), 0.5))
    assert recording["lif"].states["v"][:, 0, 0].tolist() == [0.5, 0.0, 0.5]


@pytest.mark.parametrize("hoist", [True, False])
def test_a_constant_input(hoist):
    net = Network(nn.Sequential(nn.Linear(4, 6), LIF(), nn.Linear(6, 3), IF()), Constant(20, hoist=hoist))
    caught = _inputs_of(net, "1")
    with net.record(states="v") as recording:
        net(torch.rand(5, 4))
    assert caught["1"].shape == ((5, 6) if hoist else (100, 6))
    emitted, states = single_steps(net.module[1], caught["1"].expand(20, 5, 6) if hoist else caught["1"].view(20, 5, 6))
    assert torch.equal(recording["1"].spikes, emitted)
    assert torch.equal(recording["1"].states["v"], states["v"])


def test_one_time_step_under_a_constant_encoder():
    net = Network(nn.Sequential(nn.Linear(4, 6), IF()), Constant(1))
    with net.record(states="v") as recording:
        run = net.run(torch.rand(5, 4))
    assert torch.equal(recording["1"].states["v"][0], run.state["1"]["v"])


def test_streams_are_joined_along_time_and_equal_the_whole():
    net, x = Network(nn.Sequential(LIF(), IF(0.3))), drive(None, 11, 2, 3)
    with net.record(states="v", every=3) as whole:
        net(x)
    session = net.stream()
    with net.record(states="v", every=3) as parts:
        for chunk in x.split([1, 4, 1, 5]):
            session(chunk)
    for name in ("0", "1"):
        assert parts[name].steps.tolist() == whole[name].steps.tolist() == [0, 3, 6, 9]
        assert torch.equal(parts[name].spikes, whole[name].spikes)
        assert torch.equal(parts[name].states["v"], whole[name].states["v"])


def test_calls_of_different_batches_are_kept_apart():
    net = Network(nn.Sequential(IF()))
    with net.record() as recording:
        net(torch.ones(3, 2, 4))
        net(torch.ones(5, 1, 4))
    assert [trace.spikes.shape[:2] for trace in recording["0"].calls] == [(3, 2), (5, 1)]
    assert recording["0"].steps.tolist() == [0, 1, 2, 0, 1, 2, 3, 4]
    with pytest.raises(ShapeError, match=r"\.calls\[i\]"):
        _ = recording["0"].spikes


def test_rates_leave_out_masked_steps():
    net, mask = Network(nn.Sequential(IF())), torch.ones(4, 2, dtype=torch.bool)
    mask[2:, 1] = False
    with net.record() as recording:
        net(torch.full((4, 2, 1), 0.5), mask=mask)
    assert torch.equal(recording["0"].mask, mask)
    assert recording["0"].rates().flatten().tolist() == [0.5, 0.5]
    with net.record(samples=1) as recording:
        net(torch.full((4, 2, 1), 0.5))
        net(torch.full((4, 2, 1), 0.5), mask=mask)
    assert recording["0"].mask.flatten().tolist() == [True] * 6 + [False] * 2
    assert recording["0"].rates().item() == 0.5


def test_an_analog_neuron_has_no_rate():
    net = Network(nn.Sequential(LI()))
    with net.record() as recording:
        out = net(torch.rand(3, 1, 2))
    assert torch.equal(recording["0"].spikes, out)
    with pytest.raises(ConfigError, match="never fires"):
        recording["0"].rates()


def test_plain_arrays(tmp_path):
    net = Network(nn.Sequential(nn.Linear(2, 3), LIF()))
    with torch.autocast("cpu", dtype=torch.bfloat16), net.record(states="v") as recording:
        net(torch.rand(3, 1, 2))
    assert recording["1"].spikes.dtype == torch.bfloat16 and recording["1"].states["v"].dtype == torch.float32
    np.savez(tmp_path / "recording.npz", **recording.numpy())
    loaded = np.load(tmp_path / "recording.npz")
    assert set(loaded) == {"1/steps", "1/spikes", "1/v"}
    assert np.array_equal(loaded["1/v"], recording["1"].states["v"].numpy())
    assert "'1' LIF: spikes [3, 1, 3] v [3, 1, 3]" in repr(recording)
