"""NIR: what can be said comes back bit for bit, what cannot is refused by name."""

from __future__ import annotations

import copy
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import nir_euler
from oracles.nir_graphs import foreign, lif, noise
from torch import Tensor, nn

from spikesim.converters import convert, from_nir, to_nir
from spikesim.converters.nir_modules import Drive, Scale
from spikesim.converters.running import RunningSum
from spikesim.errors import ConversionError
from spikesim.neurons import IF, LI, LIF, PLIF, CubaLI, CubaLIF
from spikesim.nn import Constant, Count, DelayedMean, Last, Mean, Network

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.filterwarnings("ignore:spikesim reads this graph")

STEPS = st.floats(1e-6, 0.5, allow_subnormal=False)
SHARES = st.floats(0.0, 0.999, width=32)


def again(network: Network, tmp_path=None, **options) -> Network:
    """Export, write to a file if there is a folder, import."""
    path = None if tmp_path is None else tmp_path / "network.nir"
    graph = to_nir(network, path, **options)
    return from_nir(graph if path is None else path)


def same(network: Network, other: Network, x: Tensor) -> bool:
    return torch.equal(network(x), other(x))


@st.composite
def values(draw, low: float, high: float, sample: tuple[int, ...]):
    """A parameter of one value, one per channel, or one per neuron."""
    shape = draw(st.sampled_from([(), sample[:1], sample]))
    size = int(np.prod(shape))
    numbers = draw(st.lists(st.floats(low, high, width=32), min_size=size, max_size=size))
    return torch.tensor(numbers).reshape(shape)


@st.composite
def neurons(draw):
    """A neuron that NIR can say, with the shape of its samples."""
    sample = draw(st.sampled_from([(3,), (2, 3), (2, 2, 2)]))
    kind = draw(st.sampled_from([IF, LIF, PLIF, LI, CubaLIF, CubaLI, RunningSum]))
    given: dict = {}
    if kind in (LIF, PLIF, LI):
        given["tau"] = draw(values(1.125 if kind is PLIF else 1.0, 50.0, sample))
        given["scale_input"] = draw(st.booleans())
    if kind in (CubaLIF, CubaLI):
        given |= {name: draw(values(0.0, 0.9990000128746033, sample)) for name in ("alpha", "beta")}
    if kind in (IF, LIF, PLIF, CubaLIF):
        given["threshold"] = draw(values(0.25, 2.0, sample))
        given["reset"] = draw(st.sampled_from(["subtract", "zero", "value"]))
        if given["reset"] == "value":
            given["reset_value"] = draw(st.floats(-1, 0.125))
        given |= {"strict": draw(st.booleans()), "detach_reset": draw(st.booleans())}
    if kind is LIF:
        order = draw(st.sampled_from([None, "leak_after_reset", "delayed_reset"]))
        given |= {order: True} if order else {}
    if kind is CubaLIF:
        given["delayed_reset"] = draw(st.booleans())
    start = draw(values(-1.0, 1.0, sample))
    return kind(**given, initial={"s" if kind is RunningSum else "v": start}), sample


@settings(max_examples=60)
@given(neurons(), STEPS, st.sampled_from([torch.float32, torch.float64]), st.integers(0, 2**20))
def test_every_neuron_comes_back_bit_for_bit(case, dt, dtype, seed):
    neuron, sample = case
    network = Network(neuron).to(dtype)
    back = again(network, shape=sample, dt=dt)
    x = noise(12, 2, *sample, dtype=dtype, seed=seed)
    assert same(network, back, x)
    (found,) = back.neurons().values()
    assert type(found) is type(neuron)


@settings(max_examples=10)
@given(neurons(), STEPS)
def test_a_file_says_the_same_as_the_graph(tmp_path_factory, case, dt):
    neuron, sample = case
    network = Network(neuron)
    back = again(network, tmp_path_factory.mktemp("nir"), shape=sample, dt=dt)
    assert same(network, back, noise(12, 2, *sample))


@pytest.mark.parametrize(
    "neuron",
    [
        IF(0.7, reset="zero", strict=True),
        LIF(3.0, 0.6, reset="value", reset_value=-0.25, strict=True),
        LIF(3.0, 0.9, scale_input=False, reset="zero", strict=True),
        PLIF(4.0, 0.5, reset="zero", strict=True),
        LI(2.5),
        LI(2.5, scale_input=False),
        CubaLIF(0.6, 0.8, 1.3, reset="zero", strict=True),
        CubaLI(0.6, 0.8),
        RunningSum(),
    ],
    ids=lambda neuron: f"{type(neuron).__name__} {neuron.extra_repr()}",
)
@pytest.mark.parametrize("dt", [1e-3, 2.5e-5, 1.0])
def test_the_fields_mean_what_nir_says(neuron, dt):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing to warn about: NIR says it all
        graph = to_nir(Network(copy.deepcopy(neuron)).double(), shape=(4,), dt=dt)
    (node,) = [n for n in graph.nodes.values() if not isinstance(n, (nir.Input, nir.Output))]
    x = noise(60, 1, 4, dtype=torch.float64)
    expected = nir_euler.run(node, x[:, 0].numpy(), dt)
    assert np.allclose(neuron.double()(x)[:, 0].detach().numpy(), expected, rtol=1e-9, atol=1e-9)
    assert expected.any()
    node.metadata = {}
    graph.metadata = {}
    foreign = from_nir(graph, dt=dt, dtype=torch.float64)  # without our metadata: by NIR's rules alone
    assert np.allclose(foreign(x)[:, 0].detach().numpy(), expected, rtol=1e-9, atol=1e-9)


def layers() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=(1, 0), stride=(1, 2)), LIF(tau=3.3), nn.AvgPool2d(2, stride=1), nn.Dropout(),
        nn.Conv2d(4, 6, 2, bias=False, dilation=2), Scale(torch.tensor(0.75)), PLIF(), nn.Identity(),
        nn.AvgPool2d((2, 1), divisor_override=1, padding=(1, 0)), nn.Flatten(), nn.LazyLinear(10), CubaLIF(),
        nn.Linear(10, 3, bias=False), LI(),
    )  # fmt: skip


def test_a_chain_of_every_layer_through_a_file(tmp_path):
    network = Network(layers())
    network(noise(1, 1, 2, 9, 12))  # gives the lazy layer its size
    back = again(network.eval(), tmp_path, shape=(2, 9, 12), dt=1.7e-4)
    assert isinstance(back.module, nn.Sequential)
    assert same(network, back, noise(10, 3, 2, 9, 12) * 3)
    kinds = [type(node).__name__ for node in to_nir(network, shape=(2, 9, 12)).nodes.values()]
    expected = "Input Conv2d LIF AvgPool2d Conv2d Scale LIF SumPool2d Flatten Affine CubaLIF Linear LI Output"
    assert kinds == expected.split(" ")


def test_one_axis(tmp_path):
    network = Network(nn.Sequential(nn.Conv1d(2, 4, 3, padding="same", groups=2), IF(), nn.Flatten(), nn.Linear(28, 2)))
    assert same(network, again(network, tmp_path, shape=(2, 7)), noise(6, 2, 2, 7))


class Branches(nn.Module):
    """Sums of sums, one signal twice, reused layers, products, reshapes as methods."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 5)
        self.n1, self.n2, self.n3 = LIF(threshold=0.3), IF(), CubaLIF(threshold=0.4)
        self.register_buffer("gain", torch.linspace(0.1, 0.9, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.n1(self.stem(x.flatten(1)))
        y = self.n2(self.a(x) + x)
        z = self.a(y) + (self.b(x) * 0.3 + (y + self.gain * x))
        z += y + y
        return self.n3(z) + z.view(z.size(0), -1)


def test_branches_and_sums(tmp_path):
    network = Network(Branches())
    graph = to_nir(network, shape=(2, 3))
    assert sum(end == "n2" for _, end in graph.edges) == 2
    assert graph.nodes["a"] is not graph.nodes["a_1"]
    back = again(network, tmp_path, shape=(2, 3))
    assert same(network, back, noise(16, 3, 2, 3))
    assert same(network, again(back, shape=(2, 3)), noise(16, 3, 2, 3, seed=1))


def test_the_graph_passes_nirs_own_check():
    graph = to_nir(Network(nn.Sequential(nn.Conv2d(1, 2, 3), IF(), nn.Flatten(), nn.Linear(72, 3))), shape=(1, 8, 8))
    assert graph.check_types() and nir.dict2NIRNode(graph.to_dict()).check_types()
    assert graph.metadata["spikesim"]["dt"] == 1e-3 and graph.input_type["input"].tolist() == [1, 8, 8]


def test_what_nir_cannot_check_is_said():
    network = Network(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), IF()))
    with pytest.warns(UserWarning, match="own check of shapes fails, so that it takes type_check=False"):
        graph = to_nir(network, shape=(4, 5, 5))
    assert same(network, from_nir(graph), noise(5, 2, 4, 5, 5))


@pytest.mark.parametrize("readout", [None, Mean(), Count(), Last(), DelayedMean(2)])
@pytest.mark.parametrize("encoder", [None, Constant(6), Constant(5, hoist=False)])
def test_encoder_and_readout_come_back(encoder, readout, tmp_path):
    network = Network(nn.Sequential(nn.Linear(3, 4), LIF()), encoder, readout)
    back = again(network, tmp_path)
    x = noise(2, 3) if encoder is not None else noise(4, 2, 3)
    assert same(network, back, x) and repr(back.encoder) == repr(encoder)


@pytest.mark.parametrize("own_starts", [False, True])
def test_a_converted_network_comes_back(own_starts, tmp_path):
    ann = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 10), nn.ReLU(),
        nn.Linear(10, 4),
    ).eval()  # fmt: skip
    x = torch.rand(20, 1, 8, 8)
    network = convert(ann, x, timesteps=8, calibrate=()).network
    if own_starts:  # as calibrated potentials are
        for neuron, shape in zip(network.neurons().values(), [(4, 6, 6), (10,)]):
            neuron.initial_v = torch.rand(shape)
    back = again(network, tmp_path, shape=(1, 8, 8), dt=5e-4)
    assert same(network, back, x)
    assert torch.equal(network.unread(x), back.unread(x))


def test_a_converted_residual_network_comes_back():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(2, 4, 1)
            self.fc = nn.Linear(64, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.b(self.a(x).relu()) + self.c(x)
            return self.fc(y.relu().flatten(1))

    x = torch.rand(12, 2, 4, 4)
    network = convert(Residual().eval(), x, timesteps=6, calibrate=()).network
    assert same(network, again(network, shape=(2, 4, 4)), x)


def test_warnings_name_nodes_and_differences():
    layers = nn.Sequential(nn.Linear(2, 3), IF(initial={"v": 0.5}), LIF(reset="zero", strict=True))
    with pytest.warns(UserWarning) as caught:
        to_nir(Network(layers, readout=Mean()))
    said = str(caught[0].message)
    for part in ("resets by subtraction", "fires also at", "starts at v = 0.5"):
        assert f"'if_1' {part}" in said
    assert "not part of the graph: Mean" in said
    assert "lif_2" not in said and caught[0].filename == __file__


def test_a_graph_of_another_writer_needs_dt_and_follows_nirs_rules():
    node = lif(v_leak=np.array([0.2, 0.4, -0.1]), r=np.array([1.0, 2.0, 3.0]), v_reset=np.full(3, -0.5))
    with pytest.raises(ConversionError, match=r"'a' \(LIF\): the graph does not say its time step: give dt="):
        from_nir(foreign(a=node))
    back = from_nir(foreign(a=node), dt=1e-3, dtype=torch.float64)
    x = noise(40, 1, 3, dtype=torch.float64)
    assert np.array_equal(back(x)[:, 0].numpy(), nir_euler.run(node, x[:, 0].numpy(), 1e-3))
    once_more = again(back, shape=(3,), dt=1e-3)
    assert [type(m) for m in once_more.module] == [Drive, LIF] and same(back, once_more, x)


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic"])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_graph_of_snntorch_gives_its_spikes(kind, shape):
    pytest.importorskip("nirtorch")
    import snntorch
    from snntorch.export_nir import _extract_snntorch_module

    constants = {"beta": torch.full(shape, 0.8)} | ({"alpha": torch.full(shape, 0.6)} if kind == "Synaptic" else {})
    peer = getattr(snntorch, kind)(**constants, threshold=torch.full(shape, 0.9))
    back = from_nir(foreign(a=_extract_snntorch_module(peer)), dt=1e-4)  # the step that it writes with
    (neuron,) = back.neurons().values()
    neuron.reset_rule, neuron.delayed_reset = "subtract", True  # what it does, and its graph does not say
    x, spikes = noise(50, 2, 3), []
    start = peer.reset_mem()
    state = start if isinstance(start, tuple) else (start,)
    for step in x:
        spike, *state = peer(step, *state)
        spikes.append(spike)
    assert torch.equal(back(x), torch.stack(spikes)) and torch.stack(spikes).sum() > 10


def test_another_dt_keeps_the_seconds():
    network = Network(nn.Sequential(LIF(tau=4.0, reset="zero", strict=True)))
    graph = to_nir(network, shape=(3,), dt=1e-3)
    (neuron,) = from_nir(graph, dt=5e-4).neurons().values()
    assert neuron.tau.item() == 8.0
    with pytest.raises(ConversionError, match=r"tau is 0.4, but it must be at least 1.*needs a shorter dt"):
        from_nir(graph, dt=1e-2)


def test_an_edited_field_counts():
    graph = to_nir(Network(LIF(tau=4.0)), shape=(3,))
    graph.nodes["lif_0"].tau = graph.nodes["lif_0"].tau * 2
    graph.nodes["lif_0"].v_reset = np.full(3, 0.25)
    (neuron,) = from_nir(graph).neurons().values()
    assert neuron.tau.item() == 8.0 and (neuron.reset_rule, neuron.reset_value) == ("value", 0.25)


def test_the_guides_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs/interchange.md").read_text()
    (block,) = (found for found in re.findall(r"```py\n(.*?)```", page, flags=re.DOTALL) if "to_nir" in found)
    network = Network(nn.Sequential(nn.Conv2d(1, 2, 3), LIF()))
    names = {"network": network}
    exec(compile(block, "docs/interchange.md", "exec"), names)
    assert same(network, names["same"], noise(5, 2, 1, 8, 8))


def test_neither_weights_nor_randomness_are_touched():
    network = Network(nn.Sequential(nn.Linear(3, 4), nn.Dropout(), LIF()))
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    graph = to_nir(network)
    from_nir(graph)
    graph.nodes["linear_0"].weight[:] = 7.0
    assert torch.equal(torch.get_rng_state(), state) and network.training and network.module[1].training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
