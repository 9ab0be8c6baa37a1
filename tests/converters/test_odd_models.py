"""Models as people write them: each converts to what the ANN gives, or is refused with the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from spikesim.converters import audit, convert
from spikesim.errors import ConversionError


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(24, *shape, generator=torch.Generator().manual_seed(seed))


class Loop(nn.Module):
    """A ModuleList, a shared in-place activation, ``x += y``."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(1 if k == 0 else 6, 6, 3, padding=1) for k in range(3)])
        self.act, self.head = nn.ReLU(inplace=True), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        for k, layer in enumerate(self.layers):
            y = self.act(layer(x))
            if k:
                y += x
            x = y
        return self.head(x.mean([2, 3]))


class Dense(nn.Module):
    """Skip paths by concatenation, the input among them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(5, 4, 3, padding=1), nn.Conv2d(9, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, F.relu(self.a(x))], dim=1)
        x = torch.cat((x, F.relu(self.b(x))), 1)
        return self.head(F.adaptive_avg_pool2d(F.relu(self.c(x)), 1).flatten(1))


class UpAndDown(nn.Module):
    """Two kinds of resizing, to the input's own size."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        down = F.relu(self.b(F.avg_pool2d(F.relu(self.a(x)), 2)))
        near = F.interpolate(down, scale_factor=2)
        smooth = F.interpolate(down, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return self.out(torch.cat([near, smooth], 1))


class Tied(nn.Module):
    """One weight, there and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.relu(self.encoder(x.flatten(1))), self.encoder.weight.t())


class Scores(nn.Module):
    """A softmax that only the loss of training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return x.log_softmax(1) if self.training else x


def conv_norm(kind: int) -> nn.Module:
    conv, norm = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[kind - 1], (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[kind - 1]
    back = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[kind - 1]
    pool = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[kind - 1](2, ceil_mode=True)
    layers = [conv(2, 6, 3, padding=1), norm(6), nn.ReLU(), pool, back(6, 4, 2, stride=2), norm(4), nn.ReLU()]
    return nn.Sequential(*layers, norm(4), conv(4, 3, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))


def mobile() -> nn.Module:
    layers = [nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()]
    layers += [nn.Conv2d(8, 8, 3, 2, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.Hardtanh(0, 2)]
    return nn.Sequential(nn.Sequential(*layers), nn.Sequential(nn.Sequential(nn.Conv2d(8, 8, 1, groups=2), nn.ReLU())),
                         nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), nn.Dropout(), nn.Linear(16, 5))  # fmt: skip


def norm_behind_a_pool() -> nn.Module:
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(36, 5))


def parametrised() -> nn.Module:
    return nn.Sequential(nn.Flatten(), weight_norm(nn.Linear(64, 16)), nn.ReLU(), spectral_norm(nn.Linear(16, 5)))


def channels_last() -> nn.Module:
    return mobile().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def double() -> nn.Module:
    return norm_behind_a_pool().double()


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "module list": (Loop, (1, 8, 8)),
    "dense": (Dense, (1, 8, 8)),
    "up and down": (UpAndDown, (1, 8, 8)),
    "tied": (Tied, (1, 8, 8)),
    "scores": (Scores, (1, 8, 8)),
    "1-D": (lambda: conv_norm(1), (2, 9)),
    "2-D": (lambda: conv_norm(2), (2, 7, 8)),
    "3-D": (lambda: conv_norm(3), (2, 5, 4, 5)),
    "grouped": (mobile, (1, 8, 8)),
    "norm behind a pool": (norm_behind_a_pool, (1, 8, 8)),
    "parametrised": (parametrised, (1, 8, 8)),
    "channels last": (channels_last, (1, 8, 8)),
    "double": (double, (1, 8, 8)),
}


def built(make: Callable[[], nn.Module], x: Tensor) -> nn.Module:
    torch.manual_seed(2)
    model = make().eval()
    model(x.to(next((p.dtype for p in model.parameters() if p.is_floating_point()), x.dtype)))  # lazy layers
    for part in model.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(part.weight, -0.5, 1.5)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_odd_models_approach_the_ann(name: str) -> None:
    make, shape = MODELS[name]
    x = images(*shape)
    model = built(make, x)
    wanted = model(x.to(next(model.parameters()).dtype)).detach()
    network, report = convert(model.train(), x, timesteps=512, threshold="max", calibrate=())
    assert report.folding_error < 1e-4
    found = network(x.to(wanted.dtype)).detach()
    assert found.dtype == wanted.dtype
    assert float((found - wanted).abs().max()) < 0.02 * float(wanted.abs().max())


def with_activation(activation: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Conv2d(1, 4, 3), activation, nn.Flatten(), nn.Linear(144, 5))


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        return x * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(x, 1)))


def hooked() -> nn.Module:
    model = with_activation(nn.ReLU())()
    model[0].register_forward_hook(lambda m, given, out: out * 2)  # type: ignore[index]
    return model


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (with_activation(nn.LeakyReLU(0.1)), "replace it with nn.ReLU"),
        (with_activation(nn.ELU()), "allow_analog"),
        (Gate, "'mul' of two branches"),
        (lambda: with_activation(nn.ReLU())().bfloat16(), r"model\.float"),
        (hooked, "1 forward hook"),
    ],
)
def test_odd_models_that_are_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ConversionError, match=said):
        convert(make(), images(1, 8, 8), timesteps=4)


def test_whole_numbers_are_cast_as_the_model_wants_them() -> None:
    x = (images(1, 8, 8) * 255).byte()
    model = built(norm_behind_a_pool, x.float())
    network, _ = convert(model, x, timesteps=512, threshold="max", calibrate=())
    wanted = model(x.float()).detach()
    assert float((network(x.float()) - wanted).abs().max()) < 0.02 * float(wanted.abs().max())


def test_products_with_one_and_sums_with_zero_are_nothing() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b((F.relu(self.a(x)) * 1.0 + 0) / 1)

    found = audit(Scaled(), torch.rand(2, 4))
    assert [row.detail for row in found.rows if row.name in ("mul", "add", "truediv")] == ["nothing, removed"] * 3
    network, _ = convert(Scaled(), torch.rand(8, 4), timesteps=2)
    assert [n.name for n in network.module.graph.nodes] == ["x", "a", "relu", "b", "output"]  # type: ignore[union-attr]
