"""The folded ANN and the check that folding changed nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from oracles.conversion_networks import batchnorm_orders, randomised, structures
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikesim.converters import convert, folded
from spikesim.errors import ConversionError

CASES = {**structures(), **{f"bn:{k}": v for k, v in batchnorm_orders().items()}}


@pytest.mark.parametrize("name", CASES)
def test_same_function_without_batchnorm(name: str) -> None:
    model, shape = CASES[name]
    model = randomised(copy.deepcopy(model)).train()
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(1))
    plain = folded(model, x)
    assert model.training and not plain.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    torch.testing.assert_close(plain(x.clone()), model.eval()(x.clone()), rtol=1e-5, atol=1e-5)
    assert not any(isinstance(m, _BatchNorm) for m in plain.modules())


def test_other_activations_and_max_pools_stay() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.MaxPool2d(2), nn.ReLU6())
    x = torch.randn(2, 1, 6, 6)
    plain = folded(randomised(model), x)
    assert [type(m).__name__ for m in plain.children()] == ["Conv2d", "GELU", "MaxPool2d", "Hardtanh"]
    torch.testing.assert_close(plain(x), model(x))


def test_linear_over_the_last_axis_is_not_folded_into() -> None:
    model = randomised(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)))
    x = torch.randn(2, 4, 3)
    torch.testing.assert_close(folded(model, x)(x), model(x), rtol=1e-5, atol=1e-5)


def test_batchnorm_without_statistics_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.ReLU())
    with pytest.raises(ConversionError, match="no recorded statistics"):
        folded(model, torch.rand(4, 3))
    with pytest.raises(ConversionError, match=r"(?s)batchnorm1d_1.*track_running_stats=True"):
        convert(model, torch.rand(4, 3), timesteps=4)


def test_what_shows_on_later_samples_only_is_found() -> None:
    class Late(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * (1.0 if isinstance(x, torch.fx.Proxy) or len(x) == 1 else 0.5)

    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), Late())
    with pytest.raises(ConversionError, match="hidden"):
        convert(model, torch.rand(40, 3), timesteps=4)
