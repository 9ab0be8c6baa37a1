"""State is explicit, survives a file bit for bit, and is refused by name where it does not fit."""

import copy
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.every_neuron import EVERY_NEURON, drive
from safetensors.torch import load_file, save_file
from torch import nn

from spikesim.errors import ConfigError, StateError
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Network, NetworkState


def _equal(a, b):
    same = a.keys() == b.keys() and all(a[k].keys() == b[k].keys() for k in a)
    return same and all(torch.equal(a[k][n], b[k][n]) and a[k][n].dtype == b[k][n].dtype for k in a for n in a[k])


@pytest.mark.parametrize("name", EVERY_NEURON)
@settings(max_examples=5)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_chunked_equals_whole_bit_for_bit(name, sizes):
    net = Network(nn.Sequential(copy.deepcopy(EVERY_NEURON[name])))
    x = drive(net.module[0], sum(sizes) + 1, 2, 7)
    state = net.run(x[:1]).state
    whole = net.run(x[1:], state)
    parts = []
    for chunk in x[1:].split(sizes):
        run = net.run(chunk, state)
        state, parts = run.state, [*parts, run.output]
    assert torch.equal(torch.cat(parts), whole.output)
    assert _equal(state, whole.state)


@pytest.mark.parametrize("name", EVERY_NEURON)
def test_a_state_survives_a_file_bit_for_bit(name, tmp_path):
    net = Network(nn.Sequential(copy.deepcopy(EVERY_NEURON[name])))
    x = drive(net.module[0], 12, 2, 7)
    state = net.run(x[:7]).state
    loaded = NetworkState.load(state.save(tmp_path / "state.safetensors"))
    assert _equal(state, loaded) and loaded.version == state.version
    assert torch.equal(net.run(x[7:], loaded).output, net.run(x[7:], state).output)


def test_layouts_dtypes_and_names_survive_a_file(tmp_path):
    image = torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    shared = torch.rand(1, 3).expand(5, 3)
    state = NetworkState(
        {
            "block.0": {"v": image, "clock": torch.tensor([2**62 + 1, 7])},
            "": {"v": shared, "w": shared, "double": torch.rand(2, dtype=torch.float64, requires_grad=True)},
            "empty": {"v": torch.zeros(0, 3)},
            "stateless": {},
        }
    )
    loaded = NetworkState.load(state.save(tmp_path / "state"))
    assert _equal(state.detach(), loaded)
    assert not loaded[""]["double"].requires_grad


def test_a_stream_goes_on_from_a_file(tmp_path):
    net, x = Network(nn.Sequential(LIF(), LI())), torch.rand(6, 2, 3)
    session = net.stream()
    session(x[:4])
    session.state.save(tmp_path / "state")
    later = net.stream()
    later.state = NetworkState.load(tmp_path / "state")
    assert torch.equal(later(x[4:]), net(x)[4:])


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    net = Network(nn.Sequential(IF()))
    first, second = (net.run(torch.full((1, 1, 2), value)).state for value in (0.25, 0.5))
    path = first.save(tmp_path / "new" / "state")

    def killed(*_):
        raise OSError(5, "killed half-way")

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(ConfigError, match="cannot write"):
        second.save(path)
    assert _equal(NetworkState.load(path), first)
    assert os.listdir(path.parent) == ["state"]


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_truncated_file_is_named(tmp_path, kept):
    path = Network(nn.Sequential(IF())).run(torch.rand(1, 1, 2)).state.save(tmp_path / "state")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StateError, match=r"state cannot be read .*truncated"):
        NetworkState.load(path)


def test_foreign_files_are_named(tmp_path):
    with pytest.raises(StateError, match="does not exist"):
        NetworkState.load(tmp_path / "nothing")
    (tmp_path / "text").write_text("not a state, but long enough to look like one")
    with pytest.raises(StateError, match="another format"):
        NetworkState.load(tmp_path / "text")
    save_file({"0.v": torch.zeros(1)}, tmp_path / "weights")
    with pytest.raises(StateError, match="holds no state"):
        NetworkState.load(tmp_path / "weights")
    torch.save({"0": {"v": torch.zeros(1)}}, tmp_path / "pickle")
    with pytest.raises(StateError, match="another format"):
        NetworkState.load(tmp_path / "pickle")


@pytest.mark.parametrize("metadata", [
    {"version": "1"}, {"version": "1", "neurons": "{"}, {"version": "1", "neurons": "[1]"},
    {"version": "1", "neurons": '{"0": ["u"]}'},
])  # fmt: skip
def test_damaged_metadata_is_named(tmp_path, metadata):
    save_file({"0.v": torch.zeros(1)}, tmp_path / "state", {"format": "spikesim.state", **metadata})
    with pytest.raises(StateError, match="cannot be read as a saved state"):
        NetworkState.load(tmp_path / "state")


def test_another_version_is_refused_in_a_file_and_in_memory(tmp_path):
    state = NetworkState({"0": {"v": torch.zeros(1, 2)}}, version=99)
    with pytest.raises(StateError, match="version 99, but this release reads version 1"):
        NetworkState.load(state.save(tmp_path / "state"))
    with pytest.raises(StateError, match="version 99"):
        NetworkState.from_dict(state.to_dict())
    assert load_file(tmp_path / "state")["0.v"].shape == (1, 2)  # the tensors are plain safetensors all the same


def test_what_cannot_be_saved_or_loaded_is_named(tmp_path):
    with pytest.raises(StateError, match="is a float"):
        NetworkState({"0": {"v": 0.5}}).save(tmp_path / "state")
    with pytest.raises(StateError, match="without values"):
        NetworkState({"0": {"v": torch.zeros(1, device="meta")}}).save(tmp_path / "state")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        NetworkState({"0": {"v": torch.zeros(1)}}).save(tmp_path / "file" / "state")
    state = NetworkState({"0": {"v": torch.zeros(1)}})
    assert NetworkState.load(state.save(tmp_path / "state"), device="meta")["0"]["v"].device.type == "meta"
    with pytest.raises(StateError, match="cannot be put on 'nowhere'"):
        NetworkState.load(tmp_path / "state", device="nowhere")


def _three():
    return Network(nn.Sequential(LIF(), LI(), LIF()))


@pytest.mark.parametrize("change,message", [
    (lambda s: s.pop("1"), r"missing 1\.v; unknown none"),
    (lambda s: s.update({"9": {"v": torch.zeros(2, 3)}}), r"missing none; unknown 9\.v"),
    (lambda s: s.update({"0": {"u": torch.zeros(2, 3)}}), r"missing 0\.v; unknown 0\.u"),
    (lambda s: s["2"].update(v=torch.zeros(5, 3)), r"LIF '2'.*\(5, 3\).*\(2, 3\).*new stream"),
    (lambda s: s["2"].update(v=torch.zeros(2, 1)), r"LIF '2'.*\(2, 1\).*\(2, 3\)"),
    (lambda s: s["1"].update(v=0.5), r"LI '1': state 'v' is a float"),
])  # fmt: skip
def test_a_state_that_does_not_fit_is_named(change, message):
    net, x = _three(), torch.rand(4, 2, 3)
    state = net.run(x).state
    change(state)
    with pytest.raises(StateError, match=message):
        net.run(x, state)
    net.run(x)  # nothing is left behind


@pytest.mark.parametrize("name", EVERY_NEURON)
def test_a_nan_in_one_state_stays_with_its_neuron(name):
    net = Network(nn.Sequential(copy.deepcopy(EVERY_NEURON[name])))
    x = drive(net.module[0], 12, 2, 7)
    state = net.run(x[:1]).state
    clean = net.run(x[1:], state)
    floats = [k for k, v in state["0"].items() if v.is_floating_point()]
    for key in floats:
        state["0"][key] = state["0"][key].clone()
        state["0"][key][1, 3] = torch.nan
    run = net.run(x[1:], state)
    others = torch.ones(2, 7, dtype=torch.bool)
    others[1, 3] = False
    assert torch.equal(run.output[:, others], clean.output[:, others])
    for key in floats:
        assert torch.equal(run.state["0"][key][others], clean.state["0"][key][others])
    if name != "KLIF":  # its rectifier takes NaN for zero
        assert any(run.state["0"][key][1, 3].isnan() for key in floats)


def test_what_is_no_state_at_all_is_named():
    net, x = _three(), torch.rand(4, 2, 3)
    with pytest.raises(StateError, match=r"a Run was given; pass what Network\.run\(\.\.\.\)\.state"):
        net.run(x, net.run(x))
    with pytest.raises(StateError, match="a Tensor was given"):
        net.run(x, {"0": torch.zeros(2, 3), "1": {}, "2": {}})


def test_a_state_is_not_changed_by_the_run_that_takes_it():
    net, x = _three(), torch.rand(4, 2, 3)
    state = net.run(x).state
    before = copy.deepcopy(state)
    net.run(x, state)
    assert _equal(state, before)


def test_a_state_in_another_dtype_is_cast_to_the_runs():
    net, x = _three(), torch.rand(4, 2, 3)
    state = net.run(x).state
    double = {k: {n: v.double() for n, v in s.items()} for k, s in state.items()}
    assert torch.equal(net.run(x, double).output, net.run(x, state).output)
