"""Models whose forward needs real tensors are exported; what depends on values is refused with both reasons."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikesim.converters import audit, convert
from spikesim.converters.canonical import canonicalise

X = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Layers of many kinds; ``function`` is handed the module and a real tensor, which it insists on."""

    def __init__(self, function: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.conv, self.norm, self.more = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)
        self.up, self.head = nn.ConvTranspose2d(4, 4, 2, stride=2), nn.Linear(4, 5)
        self.weight = nn.utils.parametrizations.weight_norm(nn.Linear(5, 5))
        self.named, self.function = nn.ModuleDict({"a": nn.Conv2d(1, 4, 3), "b": nn.Conv2d(1, 4, 3)}), function

    def forward(self, x: Tensor) -> Any:
        assert type(x) is torch.Tensor or isinstance(x, torch.Tensor)
        return self.function(self, x)


def modules_on_the_way(m: Any, x: Tensor) -> Tensor:
    x = nn.ReLU()(m.norm(m.conv(x)))
    x = nn.ReLU6()(m.up(nn.MaxPool2d(2)(x)))
    return m.head(nn.Flatten()(nn.AdaptiveAvgPool2d(1)(x)))


def loop_over_a_size(m: Any, x: Tensor) -> Tensor:
    x = F.relu(m.conv(x))
    for _ in range(x.shape[1] // 2):
        x = x + F.relu(m.norm(F.interpolate(m.more(x), size=x.shape[-2:], mode="bilinear")))
    return m.weight(F.relu(m.head(x.mean((2, 3)))))


def dict_of_branches(m: Any, x: Tensor) -> Any:
    found = {key: torch.relu(layer(x)) for key, layer in m.named.items()}
    joined = torch.concat([F.avg_pool2d(y, 2) for y in found.values()], dim=-3)
    joined += 0.25
    return {"a": m.head(joined[:, :4].flatten(2).mean(2)) if joined.dim() != 4 else joined.clamp(0, 1)}


def padded(m: Any, x: Tensor) -> Tensor:
    x = F.pad(x, (1, 1, 1, 1))
    x = F.hardtanh(m.conv(x), 0.0, 2.0).relu_()
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    return m.head(
        F.dropout(x, 0.5, m.training).view(x.size(0), 4, -1).unsqueeze(3).flatten(2).unsqueeze(3).mean((2, 3))
    )


FORMS = [modules_on_the_way, loop_over_a_size, dict_of_branches, padded]


@pytest.mark.parametrize("function", FORMS)
def test_exported_models_convert(function: Callable[[Any, Tensor], Any]) -> None:
    torch.manual_seed(0)
    model = Net(function)
    nn.init.uniform_(model.norm.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
    nn.init.uniform_(model.norm.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    before, wanted = copy.deepcopy(model.state_dict()), copy.deepcopy(model).eval()(X)
    found = canonicalise(model, X)
    assert not found.unsupported, found.unsupported
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()) and model.training
    network, report = convert(model, X, timesteps=512, threshold="max", calibrate=())
    y, wanted = (v["a"] if isinstance(v, dict) else v for v in (network(X), wanted))
    assert report.folding_error < 1e-5
    assert float((y - wanted).abs().max()) < 0.02 * float(wanted.abs().max())


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda m, x: F.relu(m.conv(x)) if float(x.max()) > 0.5 else x, "torch.export says"),
        (lambda m, x: F.relu(m.conv(x)) * (2.0 if x.shape[0] == 1 else 1.0), "for 1 samples"),
        (lambda m, x: nn.Dropout()(F.relu(m.conv(x))), "random"),
        (lambda m, x: F.elu(m.conv(x)), "replace it with nn.ReLU"),
        (lambda m, x: F.relu(m.conv(x)) / F.relu(m.conv(x)), "'div' of two branches"),
    ],
)
def test_what_cannot_be_exported_either(function: Callable[[Any, Tensor], Any], said: str) -> None:
    found = audit(Net(function), X)
    assert not found.convertible and said in found.refusal()


def test_two_inputs_are_exported_by_name() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(3, 6)

        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, None]:
            assert isinstance(x, Tensor)
            return nn.ReLU()(self.a(x) + self.b(y)), None

    torch.manual_seed(0)
    x, y, model = torch.rand(20, 4), torch.rand(20, 3), Two()
    wanted = model(x, y)[0].detach()
    for data in ((x, y), {"y": y, "x": x}):
        network, _ = convert(model, data, timesteps=512, threshold="max", calibrate=())
        found, none = network(data)
        assert none is None and float((found - wanted).abs().max()) < 0.01 * float(wanted.abs().max())
