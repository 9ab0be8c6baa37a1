"""Nothing analog passes the audit in disguise: hooks, names borrowed from torch, pools over the wrong axis."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from spikesim.converters import audit, convert, folded
from spikesim.errors import ConversionError


class Form(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def identity(x: Tensor) -> Tensor:
    return x.clamp(max=0.1)


def relu(x: Tensor) -> Tensor:
    return torch.tanh(x)


def largest(x: Tensor) -> float:
    return float(x.max())


fx.wrap("identity")
fx.wrap("relu")
fx.wrap("largest")


def mlp(*extra: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), *extra, nn.Linear(6, 2))


@pytest.mark.parametrize("place", ["1", "0", ""])
@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_are_named(place: str, kind: str) -> None:
    model = mlp()
    handle = getattr(model.get_submodule(place), kind)(lambda *_: None)
    found = audit(model, torch.rand(1, 4))
    [row] = found.unsupported
    assert row.name == (place or "model") and "hook" in row.detail
    with pytest.raises(ConversionError, match="hook"):
        convert(model, torch.rand(4, 4), timesteps=4)
    with pytest.raises(ConversionError, match="hook"):
        folded(model, torch.rand(4, 4))
    handle.remove()
    assert audit(model, torch.rand(1, 4)).convertible


def test_forward_set_on_the_instance_is_named() -> None:
    model = mlp()
    model[1].forward = torch.tanh
    assert [row.name for row in audit(model, torch.rand(1, 4)).unsupported] == ["1"]


def test_hooks_of_torch_itself_pass() -> None:
    model = mlp()
    nn.utils.parametrizations.weight_norm(model[0])
    nn.utils.parametrizations.spectral_norm(model[2])
    assert audit(model.eval(), torch.rand(1, 4)).convertible


def test_functions_named_like_torchs_own_are_refused() -> None:
    found = audit(mlp(Form(lambda x: relu(identity(x)))), torch.rand(1, 4))
    assert [row.name for row in found.unsupported] == ["identity", "relu"]


def test_numbers_computed_from_data_are_refused() -> None:
    found = audit(mlp(Form(lambda x: x * largest(x))), torch.rand(1, 4))
    assert [row.name for row in found.unsupported] == ["largest"] and "leaves the graph" in found.refusal()


UNBATCHED = [
    (nn.AvgPool2d(2), (8, 8)),
    (nn.AdaptiveAvgPool2d(4), (8, 8)),
    (nn.MaxPool2d(2), (8, 8)),
    (nn.AvgPool1d(3, 1, 1), (8,)),
    (nn.MaxPool1d(3, 1, 1), (8,)),
    (Form(lambda x: F.avg_pool2d(x, 2)), (8, 8)),
    (Form(lambda x: F.max_pool1d(x, 3, 1, 1)), (8,)),
]


@pytest.mark.parametrize(("pool", "shape"), UNBATCHED)
def test_pools_without_a_channel_axis_are_refused(pool: nn.Module, shape: tuple[int, ...]) -> None:
    found = audit(nn.Sequential(nn.ReLU(), pool, nn.Flatten()), torch.rand(1, *shape))
    [row] = found.unsupported
    assert "no channel axis: unsqueeze(1)" in row.detail


@pytest.mark.parametrize(("pool", "shape"), UNBATCHED)
def test_pools_with_a_channel_axis_approach_the_ann(pool: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.rand(16, 1, *shape) * torch.linspace(0.05, 3, 8)
    model = nn.Sequential(nn.ReLU(), pool, nn.Flatten(), nn.LazyLinear(4)).eval()
    expected = model(x).detach()
    network, _ = convert(model, x, timesteps=1024, calibrate=(), threshold="max")
    assert (network(x) - expected).abs().max() < 0.01 * expected.abs().max()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.clamp_(x, 0.0, 0.5),
        lambda x: torch.clamp_min_(x, 0.0),
        lambda x: F.hardtanh_(x, 0.0, 0.5),
        lambda x: F.relu6(x, True),
    ],
)
def test_in_place_functions_keep_their_meaning(function: Callable[[Tensor], Tensor]) -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 6)

        def forward(self, x: Tensor) -> Tensor:
            h = self.layer(x)
            return function(h) + h

    model, x = Reader(), torch.randn(20, 4)
    network, report = convert(model, x, timesteps=512, calibrate=(), threshold="max")
    expected = model(x).detach()
    assert report.folding_error < 1e-6
    assert (network(x) - expected).abs().max() < 0.02 * expected.abs().max()
