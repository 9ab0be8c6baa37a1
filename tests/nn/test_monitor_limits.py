"""What a recording does when things go wrong, and how much it may hold."""

import copy
import io
import pickle

import pytest
import torch
from oracles.every_neuron import drive
from torch import nn
from torch.utils.checkpoint import checkpoint

from spikesim.energy import energy_report
from spikesim.errors import ConfigError, ReuseError, ShapeError
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Mean, Network


def _convolutional():
    block = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), LIF(learnable="tau"))
    layers = [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), LIF(), block, nn.Flatten(), nn.Linear(64, 5), LI()]
    return Network(nn.Sequential(*layers), readout=Mean())


def test_an_exception_inside_the_block_leaves_nothing_behind():
    class Fails(nn.Module):
        def forward(self, x):
            raise RuntimeError("on purpose")

    net = Network(nn.Sequential(IF(), nn.Identity()))
    with pytest.raises(RuntimeError, match="on purpose"), net.record(states="v") as recording:
        net(torch.ones(2, 1, 3))
        net.module[1] = Fails()
        net(torch.ones(2, 1, 3))
    assert recording["0"].spikes.shape == (2, 1, 3)  # the call that failed is forgotten
    net.module[1] = nn.Identity()
    net(torch.ones(2, 1, 3))
    assert recording["0"].spikes.shape == (2, 1, 3)
    assert not net.module[0]._forward_hooks and not net._monitors


def test_nested_recordings_close_in_any_order():
    net, x = Network(nn.Sequential(IF())), torch.ones(2, 1, 3)
    first, second = net.record(), net.record(states="v")
    a = first.__enter__()
    b = second.__enter__()
    net(x)
    first.__exit__(None, None, None)
    net(x)
    second.__exit__(None, None, None)
    net(x)
    assert len(a["0"].spikes) == 2 and len(b["0"].states["v"]) == 4
    with pytest.raises(ReuseError, match="already open"), first, first:
        pass
    assert not net._monitors


def test_copies_and_pickles_made_while_recording_are_not_recorded():
    net, x = Network(nn.Sequential(IF())), torch.ones(2, 1, 3)
    with net.record() as recording:
        twin, again = copy.deepcopy(net), pickle.loads(pickle.dumps(net))
        torch.save(net, buffer := io.BytesIO())
        buffer.seek(0)
        saved = torch.load(buffer, weights_only=False)
        for other in (twin, again, saved):
            assert torch.equal(other(x), net(x))
    assert len(recording["0"].spikes) == 3 * 2
    assert not twin._monitors


def test_no_samples_and_no_axes():
    net = Network(nn.Sequential(IF()))
    with net.record(states="v") as recording:
        net(torch.zeros(3, 0, 4))
    assert recording["0"].spikes.shape == recording["0"].states["v"].shape == (3, 0, 4)
    with net.record(states="v", neurons=[0, -1]) as recording:
        net(torch.ones(3, 2))
    assert recording["0"].spikes.shape == recording["0"].states["v"].shape == (3, 2, 2)


def test_a_network_that_is_one_neuron():
    net = Network(IF())
    with net.record(states="v") as recording:
        net(torch.full((4, 1, 2), 0.5))
    assert list(recording) == [""] and recording[""].rates().tolist() == [[0.5, 0.5]]


def test_a_checkpoint_records_the_call_once():
    net = Network(nn.Sequential(nn.Linear(3, 4), LIF()))
    x = torch.rand(5, 2, 3, requires_grad=True)
    with net.record(states="v") as recording:
        checkpoint(net, x, use_reentrant=False).sum().backward()
    assert len(recording["1"].calls) == 1
    again = x.grad.clone()
    x.grad = None
    net(x).sum().backward()
    assert torch.allclose(again, x.grad)


def test_energy_is_counted_as_without_a_recording():
    net, x = Network(nn.Sequential(nn.Linear(3, 4), IF(), nn.Linear(4, 2))), torch.rand(5, 2, 3)
    plain = energy_report(net, x, input="analog").to_dict()
    with net.record(states="v") as recording:
        watched = energy_report(net, x, input="analog").to_dict()
    assert recording["1"].spikes.shape == (5, 2, 4)
    assert plain["ledger"] == watched["ledger"]


def test_a_recording_is_plain_data():
    net = Network(nn.Sequential(IF()))
    with net.record(states="v") as recording:
        net(torch.rand(3, 1, 2))
    again = pickle.loads(pickle.dumps(recording))
    assert torch.equal(again["0"].states["v"], recording["0"].states["v"]) and repr(again) == repr(recording)


def test_a_recording_inside_no_grad_and_inference_mode():
    net, x = Network(nn.Sequential(LIF(), LI())), torch.rand(4, 2, 3)
    with net.record(states="v") as plain:
        net(x)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode(), net.record(states="v") as recording:
            net(x)
        assert torch.equal(recording["1"].states["v"], plain["1"].states["v"])


def test_unknown_names_list_the_known_ones():
    net = Network(nn.Sequential(nn.Linear(3, 3), LIF(), LI()))
    with pytest.raises(ConfigError, match=r"no neuron is called '0', 'lif'; .* are '1', '2'"):
        net.record("0", "lif", "1")
    with pytest.raises(ConfigError, match=r"no state 'u': '1' has v"):
        net.record("1", states="u")
    with pytest.raises(ConfigError, match="recorded are '1'"):
        with net.record("1") as recording:
            pass
        recording["2"]
    with pytest.raises(ConfigError, match="neurons names '2', but recorded are '1'"):
        net.record("1", neurons={"2": [0]})


@pytest.mark.parametrize("settings,message", [
    ({"every": 0}, "every is 0"), ({"last": 0}, "last is 0"), ({"budget": 1.5}, "budget is 1.5"),
    ({"every": True}, "every is True"), ({"spikes": False}, "nothing to record"), ({"neurons": [0.5]}, "whole numbers"),
    ({"neurons": torch.ones(3, dtype=torch.bool)}, r"mask\.nonzero"), ({"neurons": []}, "whole numbers"),
    ({"neurons": "first"}, "whole numbers"), ({"samples": [[0]]}, "whole numbers"),
])  # fmt: skip
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        Network(nn.Sequential(IF())).record(**settings)


@pytest.mark.parametrize("settings,message", [
    ({"neurons": [0, 12]}, r"neuron 12 was chosen.*\(3, 4\) has 12"), ({"samples": 2}, "sample 2 was chosen.*has 2"),
    ({"neurons": [(0, 4)]}, r"neuron 4 was chosen, but axis 1 of \(3, 4\) has 4"),
    ({"neurons": [(0, 0, 0)]}, "by 3 coordinates"),
])  # fmt: skip
def test_indices_outside_the_layer_are_named(settings, message):
    net = Network(nn.Sequential(IF()))
    with pytest.raises(ShapeError, match=message), net.record(**settings):
        net(torch.rand(5, 2, 3, 4))
    assert net(torch.rand(5, 2, 3, 4)).shape == (5, 2, 3, 4)


def test_what_was_not_recorded_is_said():
    net = Network(nn.Sequential(IF()))
    with net.record() as recording:
        pass
    assert "nothing recorded" in repr(recording)
    assert recording.numpy() == {}
    with pytest.raises(ConfigError, match="no call inside the block reached it"):
        _ = recording["0"].spikes
    with net.record(spikes=False, states="v") as recording:
        net(torch.ones(2, 1, 3))
    assert recording["0"].mask is None
    with pytest.raises(ConfigError, match="spikes=True"):
        _ = recording["0"].spikes


def test_transforms_and_tensors_without_values_are_refused():
    net, x = Network(nn.Sequential(LIF())), torch.rand(3, 2, 4)
    with net.record():
        with pytest.raises(ConfigError, match="transform"):
            torch.func.grad(lambda a: net(a).sum())(x)
        with pytest.raises(ConfigError, match="transform"):
            torch.func.jvp(net, (x,), (x,))
        with pytest.raises(ConfigError, match="without values"):
            net.to("meta")(x.to("meta"))


def test_parts_compiled_on_their_own_are_refused():
    layers = nn.Sequential(nn.Linear(3, 3), LIF())
    with pytest.raises(ConfigError, match="its module was compiled"):
        Network(torch.compile(layers)).record()
    net = Network(nn.Sequential(nn.Linear(3, 3), LIF()))
    net.module[0].compile()
    with pytest.raises(ConfigError, match="'0' was compiled"):
        net.record()


def test_memory_of_a_call_that_ran_out_of_budget_is_given_back():
    net, x = Network(nn.Sequential(IF(), IF())), torch.ones(10, 1, 100)
    with net.record(budget=10_000) as recording:
        net(x[:1])
        with pytest.raises(ConfigError, match=r"recording '1' would bring .* to 12\.7 KiB.*budget is 9\.8 KiB"):
            net(torch.ones(10, 1, 150))
        assert recording.nbytes < 1000
        net(x[:1])
    assert len(recording["1"].spikes) == 2


@pytest.mark.parametrize("what", ["spikes", "states"])
def test_the_budget_holds_before_anything_is_allocated(what):
    net, x = Network(nn.Sequential(IF())), torch.ones(1, 1, 10)
    asked = {"spikes": what == "spikes", "states": "v" if what == "states" else ()}
    with net.record(budget=100, **asked) as recording, pytest.raises(ConfigError, match="raise budget="):
        for _ in range(10):
            net(x)
    assert 0 < recording.nbytes <= 100


def test_last_keeps_the_newest_and_counts_the_rest():
    net, x = Network(nn.Sequential(LIF())), drive(None, 20, 2, 3)
    with net.record(states="v") as whole:
        net(x)
    with net.record(states="v", last=6) as once, net.record(states="v", last=3, every=2) as sparse:
        net(x)
    assert torch.equal(once["0"].states["v"], whole["0"].states["v"][-6:]) and once["0"].dropped == 14
    assert sparse["0"].steps.tolist() == [14, 16, 18] and sparse["0"].dropped == 7
    session = net.stream()
    with net.record(states="v", last=6) as parts:
        for chunk in x.split(4):
            session(chunk)
    assert torch.equal(parts["0"].spikes, whole["0"].spikes[-6:])
    assert torch.equal(parts["0"].states["v"], whole["0"].states["v"][-6:])
    assert parts["0"].steps.tolist() == list(range(14, 20)) and parts["0"].dropped == 14
    assert parts["0"].nbytes == 6 * 8 + 2 * 6 * 6 * 4
    assert "14 older steps dropped" in repr(parts)


def test_every_starts_afresh_with_a_fresh_call():
    net, x = Network(nn.Sequential(IF())), torch.ones(5, 1, 1)
    with net.record(every=3) as recording:
        net(x)
        net(x)
        state = net.run(x).state
        net.run(x, state)
    assert recording["0"].steps.tolist() == [0, 3, 0, 3, 0, 3, 6, 9]


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Identity()], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_fused_layers_are_recorded_without_changing_them(pool, training):
    def build():
        torch.manual_seed(3)
        layers = [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), LIF(learnable="tau"), pool, nn.Conv2d(4, 2, 1), IF()]
        return Network(nn.Sequential(*layers)).train(training)

    plain, watched, x = build(), build(), torch.rand(6, 3, 2, 8, 8) * 4
    reached = []
    plain.module[4].register_forward_pre_hook(lambda module, args: reached.append(args[0]))
    expected = plain.run(x)
    with watched.record("2", states="v") as recording, watched.record("2", every=4, neurons=[(1, 2, 3)]) as sparse:
        found = watched.run(x)
    assert torch.equal(found.output, expected.output)
    for run in (expected, found):
        run.output.square().mean().backward()
    for a, b in zip([*plain.parameters(), *plain.buffers()], [*watched.parameters(), *watched.buffers()]):
        assert torch.equal(a, b) and (a.grad is None or torch.equal(a.grad, b.grad))
    assert recording["2"].spikes.shape == recording["2"].states["v"].shape == (6, 3, 4, 6, 6)
    assert torch.equal(recording["2"].states["v"][-1], expected.state["2"]["v"])
    assert torch.equal(pool(recording["2"].spikes.flatten(0, 1)), reached[0])
    assert torch.equal(sparse["2"].spikes[..., 0], recording["2"].spikes[::4, :, 1, 2, 3])
