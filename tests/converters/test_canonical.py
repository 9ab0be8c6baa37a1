"""The canonical, folded ANN computes what the original computes, and the original stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from oracles.conversion_networks import InplaceResidual, batchnorm_orders, randomised, structures
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from spikesim.converters.canonical import canonicalise
from spikesim.converters.rectifier import Rectifier

CASES = {**structures(), **{f"bn:{k}": v for k, v in batchnorm_orders().items()}}


@pytest.mark.parametrize("name", CASES)
def test_folded_ann_equals_the_original(name: str) -> None:
    model, shape = CASES[name]
    model = randomised(copy.deepcopy(model))
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(1))
    found = canonicalise(model, x[:1])
    assert not found.unsupported
    expected = model(x.clone())
    torch.testing.assert_close(found.graph(x), expected, rtol=1e-5, atol=1e-5)
    kinds = {type(m).__name__ for m in found.graph.children()}
    assert not {k for k in kinds if "BatchNorm" in k or "Dropout" in k or k == "ReLU"}


def test_every_use_of_a_shared_module_gets_its_own() -> None:
    shared = nn.Linear(3, 3)
    relu = nn.ReLU()
    graph = canonicalise(nn.Sequential(shared, relu, shared, relu), torch.zeros(1, 3)).graph
    linears = [m for m in graph.children() if isinstance(m, nn.Linear)]
    assert len(linears) == 2 and linears[0].weight.data_ptr() != linears[1].weight.data_ptr()
    assert sum(isinstance(m, Rectifier) for m in graph.children()) == 2


def test_inplace_relu_overwrites_the_shortcut() -> None:
    model = InplaceResidual()
    x = torch.randn(2, 2, 6, 6)
    plain = model.conv(x)
    forgetful = torch.flatten(F.relu6(F.relu(plain) + 2 * plain) - 0.5 * plain + plain.clamp(0, 3), 1)
    eager = model(x)
    assert not torch.allclose(eager, forgetful)
    torch.testing.assert_close(canonicalise(model, x).graph(x), eager)


def test_inplace_statement_without_use_counts() -> None:
    class Statement(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            y.relu_()
            y += x
            return y

    x = torch.randn(4, 3)
    torch.testing.assert_close(canonicalise(Statement(), x).graph(x), Statement()(x))


def test_inplace_on_a_view_that_is_read_later_is_refused() -> None:
    class View(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = x * 2
            flat = x.flatten(1)
            x.relu_()
            return flat

    [bad] = canonicalise(View(), torch.randn(1, 2, 2)).unsupported
    assert bad.name == "relu_" and "in-place" in bad.finding.detail


def test_convolution_with_two_readers_is_copied_for_the_batchnorm() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return F.relu(self.bn(x)) + x

    model = randomised(Two())
    x = torch.randn(2, 1, 5, 5)
    found = canonicalise(model, x)
    torch.testing.assert_close(found.graph(x), model(x))
    assert "copy" in next(o.finding.detail for o in found.operations if o.name == "bn")


def test_maxpool_moves_before_the_activation_and_other_readers_keep_it() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.pool = nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            y = F.relu(self.conv(x))
            return torch.cat([self.pool(y).flatten(1), F.avg_pool2d(y, 2).flatten(1)], 1)

    model, x = Shared(), torch.randn(2, 1, 6, 6)
    graph = canonicalise(model, x).graph
    torch.testing.assert_close(graph(x), model(x))
    pool = next(
        n
        for n in graph.graph.nodes
        if n.op == "call_module" and isinstance(graph.get_submodule(n.target), nn.MaxPool2d)
    )
    assert pool.args[0].name == "conv"
    assert sum(isinstance(m, Rectifier) for m in graph.children()) == 2


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_string_padding(padding: str) -> None:
    model = randomised(nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, padding=padding), nn.ReLU()))
    x = torch.randn(2, 2, 6, 6)
    torch.testing.assert_close(canonicalise(model, x).graph(x), model(x), rtol=1e-5, atol=1e-5)


def test_relu_of_what_is_never_negative_is_dropped() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.ReLU())
    graph = canonicalise(model, torch.zeros(1, 2)).graph
    assert sum(isinstance(m, Rectifier) for m in graph.children()) == 1


def test_parametrised_weights_are_baked_in() -> None:
    model = nn.Sequential(weight_norm(nn.Conv2d(1, 3, 3)), nn.ReLU())
    x = torch.randn(2, 1, 5, 5)
    graph = canonicalise(model, x).graph
    torch.testing.assert_close(graph(x), model(x))
    assert type(next(graph.children())) is nn.Conv2d


def test_double_precision_is_kept() -> None:
    model = randomised(structures()["residual"][0]).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(canonicalise(model, x).graph(x), model(x), rtol=1e-12, atol=1e-12)


def test_awkward_module_names() -> None:
    class Awkward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.graph, self.mul, self.relu = nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.mul(self.relu(self.graph(x) * 2.0)))

    model, x = Awkward(), torch.randn(3, 2)
    torch.testing.assert_close(canonicalise(model, x).graph(x), model(x))
