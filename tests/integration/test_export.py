"""An exported program has dynamic T and N, can be trained, and runs in a process that only registers the operators."""

import subprocess
import sys
import textwrap

import pytest
import torch
from oracles.every_neuron import KINDS, SideBySide
from torch import nn
from torch.export import Dim

from spikesim.neurons import LI, LIF
from spikesim.nn import Mean, Network

SIZES = {0: Dim("T"), 1: Dim("N")}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network of neurons of every kind, exported once and saved; random numbers would not compare."""
    torch.manual_seed(0)
    net = Network(SideBySide({name: n for name, n in KINDS.items() if not n.draws}), readout=Mean())
    program = torch.export.export(net, (torch.rand(4, 3, 4),), dynamic_shapes={"x": SIZES})
    path = tmp_path_factory.mktemp("export") / "net.pt2"
    torch.export.save(program, path)
    return net, path


def test_neurons_of_every_kind_are_exported_with_dynamic_sizes(saved):
    net, path = saved
    loaded = torch.export.load(path).module()
    for shape in [(4, 3, 4), (9, 2, 4)]:
        x = torch.rand(shape)
        assert torch.allclose(loaded(x), net(x), atol=1e-6)


def test_an_exported_program_trains_as_the_network(saved):
    net, path = saved
    loaded = torch.export.load(path).module()
    x = torch.rand(6, 3, 4)
    net.zero_grad()
    net(x).square().mean().backward()
    loaded(x).square().mean().backward()
    gradients = {name: p.grad for name, p in loaded.named_parameters() if p.grad is not None}
    assert gradients
    for name, parameter in net.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6), name


def test_it_runs_in_a_process_that_knows_the_operators_and_nothing_else(saved, tmp_path):
    net, path = saved
    x = torch.rand(5, 2, 4)
    torch.save(x, tmp_path / "x.pt")
    code = f"""
        import torch, spikesim.dynamics
        y = torch.export.load({str(path)!r}).module()(torch.load({str(tmp_path / "x.pt")!r}))
        torch.save(y, {str(tmp_path / "y.pt")!r})
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert torch.allclose(torch.load(tmp_path / "y.pt"), net(x), atol=1e-6)


def test_strict_export_with_a_mask():
    net = Network(nn.Sequential(nn.Linear(4, 6), LIF(), LI()), readout=Mean()).eval()
    x, mask = torch.rand(5, 3, 4), torch.rand(5, 3) > 0.3
    program = torch.export.export(net, (x, mask), dynamic_shapes={"x": SIZES, "mask": SIZES}, strict=True)
    x, mask = torch.rand(7, 2, 4), torch.rand(7, 2) > 0.3
    assert torch.allclose(program.module()(x, mask), net(x, mask), atol=1e-6)
