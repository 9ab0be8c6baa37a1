"""NIR: what cannot be said, read or run is refused by name."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from oracles.nir_graphs import foreign, lif, noise
from torch import Tensor, nn

from spikesim.converters import convert, from_nir, to_nir
from spikesim.errors import CheckpointError, ConfigError, ConversionError
from spikesim.neurons import ALIF, IF, KLIF, LIF, CubaLIF
from spikesim.nn import Network

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.filterwarnings("ignore:spikesim reads this graph")


@pytest.mark.parametrize(
    ("module", "shape", "said"),
    [
        (LIF(refractory=2), (3,), r"'lif_0': NIR has no refractory period"),
        (IF(reset="none"), (3,), "choose another reset than 'none'"),
        (ALIF(), (3,), "NIR has no node for ALIF; it says IF, LIF"),
        (KLIF(), (3,), "NIR has no node for KLIF"),
        (CubaLIF(alpha=1.0), (3,), "alpha is 1, so that its time constant would be infinite"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), (1, 5, 5), "fold_batchnorm"),
        (nn.MaxPool2d(2), (1, 4, 4), "NIR has no MaxPool2d: use nn.AvgPool2d"),
        (nn.AdaptiveAvgPool2d(1), (1, 4, 4), "use nn.AvgPool2d with the kernel size"),
        (nn.AvgPool2d(2, ceil_mode=True), (1, 5, 5), "no ceil_mode"),
        (nn.AvgPool2d(2, divisor_override=3), (1, 4, 4), "divide by the size of the kernel"),
        (nn.AvgPool2d(2, padding=1, count_include_pad=False), (1, 4, 4), "divide by the size of the kernel"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), (1, 4, 4), "padding_mode='reflect'"),
        (nn.Linear(4, 2), (3, 4), "flatten before it"),
        (nn.Flatten(0), (3, 4), "folds samples into one another"),
        (nn.Unflatten(1, (2, 2)), (4,), "has no other reshape"),
        (nn.ReLU(), (4,), "NIR has no ReLU"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_by_name(module, shape, said):
    with pytest.raises(ConversionError, match=said):
        to_nir(
            Network(nn.Sequential(*module) if isinstance(module, nn.Sequential) else nn.Sequential(module)), shape=shape
        )


def test_all_refusals_come_at_once():
    with pytest.raises(ConversionError, match=r"(?s)'maxpool2d_0'.*'lif_1'"):
        to_nir(Network(nn.Sequential(nn.MaxPool2d(2), LIF(refractory=1))), shape=(1, 4, 4))


class _Forward(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function, self.lif, self.fc = function, LIF(), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def _overwritten(m, x):
    y = m.fc(x)
    z = m.lif(y)
    y += x
    return z + y


def _overwritten_through_a_view(m, x):
    y = m.fc(x)
    z = y.view(-1, 4)
    z += x
    return z + y


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda m, x: torch.cat([x, m.lif(x)], 1), "no concatenations"),
        (lambda m, x: m.lif(m.lif(x)), "reached twice"),
        (lambda m, x: m.lif(x) + 1.0, "give a constant to the bias"),
        (lambda m, x: m.lif(x) * x, "not by another signal"),
        (lambda m, x: m.fc(x) + x[:, :1], "NIR has no getitem"),
        (lambda m, x: torch.add(x, m.fc(x), alpha=2), "give a constant"),
        (lambda m, x: (m.lif(x), x), "must return one tensor"),
        (lambda m, x: torch.relu(x), "NIR has no relu"),
        (lambda m, x: m.fc(x) * torch.ones(1, 1, 4), "Scale keeps the shape"),
        (lambda m, x: x[:, :1] * 1.0, "NIR has no getitem"),
        (_overwritten, "changed in place and read again"),
        (_overwritten_through_a_view, "changed in place and read again"),
    ],
)
def test_functions_that_cannot_be_said(function, said):
    with pytest.raises(ConversionError, match=said):
        to_nir(Network(_Forward(function)), shape=(4,))


def test_hooks_are_not_lost():
    network = Network(nn.Sequential(nn.Linear(3, 4), LIF()))
    network.module[0].register_forward_hook(lambda module, given, output: output * 2)
    with pytest.raises(ConversionError, match=r"'0' \(Linear\): it carries 1 forward hook"):
        to_nir(network)


def test_bad_arguments():
    network = Network(nn.Sequential(nn.Linear(3, 4), LIF()))
    for dt in (0, -1e-3, float("nan"), float("inf"), "1ms", True):
        with pytest.raises(ConfigError, match="seconds of one time step"):
            to_nir(network, dt=dt)
        with pytest.raises(ConfigError, match="seconds of one time step"):
            from_nir(to_nir(network), dt=dt)
    with pytest.raises(ConversionError, match="does not take samples of shape"):
        to_nir(network, shape=(5,))
    for shape in ((), (0,), 3, "ab"):
        with pytest.raises(ConfigError, match="sizes of one sample"):
            to_nir(network, shape=shape)
    with pytest.raises(ConversionError, match=r"give shape="):
        to_nir(Network(LIF()))
    with pytest.raises(ConversionError, match=r"call network.float\(\) first"):
        to_nir(copy.deepcopy(network).half())
    with pytest.raises(ConversionError, match="run the network once before"):
        to_nir(Network(nn.Sequential(nn.LazyLinear(3), LIF())), shape=(3,))
    with pytest.raises(ConversionError, match="export the network without its readout"):
        to_nir(Network(LIF(), readout=nn.Identity()), shape=(3,))
    with pytest.raises(ConversionError, match="SettlingNetwork does over time"):
        ann = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        to_nir(convert(ann, torch.rand(9, 3), timesteps=4, exact=True, calibrate=()).network)
    with pytest.raises(ConversionError, match=r"takes a nir\.NIRGraph or the path"):
        from_nir(network)
    with pytest.raises(ConfigError, match=r"torch\.float32 or torch\.float64"):
        from_nir(to_nir(network), dtype=torch.int64)


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ({"a": nir.Delay(np.ones(3))}, r"'a' \(Delay\): spikesim has no counterpart"),
        ({"a": nir.Threshold(np.ones(3))}, r"'a' \(Threshold\)"),
        ({"a": foreign(b=lif())}, "a graph within the graph"),
        ({"a": lif(v_reset=np.array([0.0, 1.0, 0.0]))}, "differs from neuron to neuron"),
        ({"a": lif(tau=np.array([1e-3, np.inf, 1.0]))}, "infinite or NaN"),
        ({"a": lif(tau=np.full(3, 1e-4))}, "needs a shorter dt"),
        ({"a": nir.CubaLI(*[np.ones(3)] * 4)}, "v_leak is not 0"),
        ({"a": nir.Affine(np.ones((2, 3, 3)), np.ones(3))}, "weight has 3 axes"),
        ({"a": nir.Input(np.array([3]))}, "2 Input nodes"),
    ],
)
def test_graphs_that_cannot_be_run(nodes, said):
    with pytest.raises(ConversionError, match=said):
        from_nir(foreign(**nodes), dt=1e-3)


@pytest.mark.parametrize(
    ("edge", "said"),
    [
        (("a", "a"), "recurrent edges are not supported: 'a' -> 'a'"),
        (("b", "a"), "recurrent edges are not supported: '[ab]' -> '[ab]' -> '[ab]'"),
        (("a", "nowhere"), "no such node"),
        (("input", "a"), "is there twice"),
        (("a", "input"), "recurrent edges"),
    ],
)
def test_edges_that_cannot_be_run(edge, said):
    graph = foreign(a=lif(), b=lif())
    graph.edges.append(edge)
    with pytest.raises(ConversionError, match=said):
        from_nir(graph, dt=1e-3)


def test_loose_ends():
    graph = foreign(a=lif(), b=lif())
    for edges, said in [
        ([("input", "a"), ("a", "output")], "'b' reads nothing"),
        ([("input", "a"), ("input", "b"), ("a", "output")], "nothing reads 'b'"),
    ]:
        graph.edges = edges
        with pytest.raises(ConversionError, match=said):
            from_nir(graph, dt=1e-3)


def test_names_that_no_module_may_have():
    back = from_nir(foreign(**{"layer.1/x": lif(), "training": lif(), "append": lif(), "1": lif()}), dt=1e-3)
    assert list(back.neurons()) == ["layer_1_x", "training_", "append_", "1"]
    assert back(noise(4, 1, 3)).shape == (4, 1, 3)


def test_files_that_are_no_graph(tmp_path):
    (tmp_path / "text.nir").write_text("no HDF5")
    with pytest.raises(CheckpointError, match=r"text\.nir is no NIR graph"):
        from_nir(tmp_path / "text.nir")
    to_nir(Network(LIF()), tmp_path / "cut.nir", shape=(3,))
    (tmp_path / "cut.nir").write_bytes((tmp_path / "cut.nir").read_bytes()[:-900])
    with pytest.raises(CheckpointError, match="is no NIR graph"):
        from_nir(tmp_path / "cut.nir")
    with pytest.raises(ConfigError, match="cannot write"):
        to_nir(Network(LIF()), tmp_path / "text.nir" / "x.nir", shape=(3,))


@pytest.mark.parametrize(
    ("key", "value"), [("exact", 3), ("initial", "x"), ("dt", "soon"), ("dt", -1.0), ("initial", {"v": "x"})]
)
def test_damaged_metadata(key, value):
    graph = to_nir(Network(LIF()), shape=(np.int64(3),), dt=np.float32(1e-3))
    graph.nodes["lif_0"].metadata["spikesim"][key] = value
    with pytest.raises(ConversionError, match=r"'lif_0' \(LIF\): "):
        from_nir(graph)
    graph.metadata["spikesim"] = {"encoder": "Constant"}
    graph.nodes["lif_0"].metadata = {}
    with pytest.raises(ConversionError, match="metadata are damaged"):
        from_nir(graph, dt=1e-3)
