"""Small ANNs for the conversion tests, in every spelling that users have."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give batch-norms statistics that are not neutral, and the model eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            with torch.no_grad():
                module.weight.uniform_(-1.5, 1.5, generator=generator)
                module.bias.normal_(0.5, 0.3, generator=generator)
    return model.eval()


class Residual(nn.Module):
    """ResNet-like: one in-place ReLU module used everywhere, downsampling shortcut, iadd, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.BatchNorm2d(8)
        self.conv3, self.bn3 = nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12)
        self.down = nn.Sequential(nn.Conv2d(8, 12, 1, stride=2), nn.BatchNorm2d(12))
        self.relu, self.drop, self.fc = nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(x))
        out += x
        x = self.relu(out)
        out = self.bn3(self.conv3(x))
        out = self.relu(out + self.down(x))
        out = F.avg_pool2d(out, out.size()[2:])
        return self.fc(self.drop(out.view(out.size(0), -1)))


class Branches(nn.Module):
    """Concatenation, max-pool over it, a conv with two readers of which one normalises, ConvTranspose."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 2, 1)
        self.pool, self.bn1 = nn.MaxPool2d(3, 2, 1), nn.BatchNorm2d(6)
        self.c, self.bn2 = nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4)
        self.t, self.bn3 = nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([torch.relu(self.a(x)), self.b(x).relu()], dim=1)
        shared = self.c(self.bn1(self.pool(y)))
        y = torch.relu_(self.bn2(shared))
        y = F.relu(self.bn3(self.t(y)))
        return torch.cat((y.mean((2, 3)), F.adaptive_avg_pool2d(shared, 1).flatten(1)), -1)


class Functional(nn.Module):
    """No module but the weights: F.*, torch.*, methods, arithmetic with numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(6, 1, 3, 3) * 0.4)
        self.b1 = nn.Parameter(torch.randn(6) * 0.1)
        self.w2 = nn.Parameter(torch.randn(8, 6, 3, 3) * 0.2)
        self.w3 = nn.Parameter(torch.randn(4, 8 * 2 * 2) * 0.3)
        self.register_buffer("mean", torch.linspace(-0.2, 0.2, 8))
        self.register_buffer("var", torch.linspace(0.5, 2.0, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) / 0.25
        x = F.relu(F.conv2d(x, self.w1, self.b1, padding=1))
        x = torch.max_pool2d(x, 2)
        x = F.batch_norm(F.conv2d(x, self.w2 * 0.5, None, 1, 1), self.mean, self.var).clamp(min=0)
        x = F.dropout(F.max_pool2d(x, 2), 0.5, self.training)
        return F.linear(torch.flatten(x, 1), self.w3).relu_()


class InplaceResidual(nn.Module):
    """The in-place ReLU overwrites what the shortcut adds; ``z`` and ``w`` are one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        y = self.relu(x)
        z = x + y
        w = z
        w += x
        return torch.flatten(F.relu6(z) - 0.5 * x + x.clamp(0, 3), 1)


class PreActivation(nn.Module):
    """The stem's current meets spikes-borne currents in a sum; batch-norm stands before the ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv, self.fc = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.conv(F.relu(self.bn(x)))
        return self.fc(F.relu(x).mean((-2, -1)))


class Resized(nn.Module):
    """Upsampling as a module and as a function, padding before and after a ReLU, batch-norm before a pad."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.up, self.pad = nn.Conv2d(2, 4, 3), nn.Upsample(scale_factor=2), nn.ZeroPad2d((1, 0, 2, 1))
        self.b, self.bn, self.c = nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pad(self.up(F.relu(self.a(x))))
        x = F.relu(F.pad(self.bn(self.b(x)), (1, 1)))
        x = F.interpolate(x, size=(5, 7), mode="bilinear", align_corners=False)
        return self.c(x)


def batchnorm_orders() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Batch-norm in all places, with the shape of a sample."""
    return {
        "conv1d-bn": (nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU()), (2, 9)),
        "conv3d-bn": (nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), nn.ReLU()), (1, 3, 4, 3)),
        "convt1d-bn": (nn.Sequential(nn.ConvTranspose1d(2, 4, 3, 2), nn.BatchNorm1d(4), nn.ReLU()), (2, 5)),
        "linear-bn": (nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)), (5,)),
        "bn-linear": (nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4), nn.ReLU()), (5,)),
        "bn-conv": (nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3), nn.ReLU()), (2, 6, 6)),
        "bn-padded": (nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()), (2, 6, 6)),
        "bn-convt": (nn.Sequential(nn.BatchNorm2d(2), nn.ConvTranspose2d(2, 4, 3), nn.ReLU()), (2, 6, 6)),
        "bn-relu": (nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 1)), (2, 4, 4)),
        "bn-bn": (nn.Sequential(nn.BatchNorm1d(5), nn.BatchNorm1d(5), nn.ReLU(), nn.BatchNorm1d(5)), (5,)),
        "relu-bn": (nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)), (2, 4, 4)),
        "circular": (
            nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), nn.ReLU()),
            (2, 6, 6),
        ),
    }


def structures() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Networks that must convert, with the shape of a sample."""
    torch.manual_seed(0)
    shared = nn.Linear(6, 6)
    return {
        "residual": (Residual(), (3, 8, 8)),
        "branches": (Branches(), (3, 13, 13)),
        "functional": (Functional(), (1, 8, 8)),
        "inplace": (InplaceResidual(), (2, 6, 6)),
        "preactivation": (PreActivation(), (1, 6, 6)),
        "reused": (nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), shared), (6,)),
        "input-relu": (nn.Sequential(nn.ReLU(), nn.Linear(4, 3), nn.ReLU()), (4,)),
        "relu6": (nn.Sequential(nn.Linear(4, 8), nn.ReLU6(), nn.Linear(8, 3), nn.Hardtanh(0, 1)), (4,)),
        "unflatten": (
            nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Unflatten(1, (3, 2, 2)), nn.Conv2d(3, 2, 2), nn.Flatten()),
            (4,),
        ),
        "pool1d": (
            nn.Sequential(
                nn.Conv1d(2, 6, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 3, 2), nn.ReLU(), nn.AvgPool1d(2)
            ),
            (2, 12),
        ),
        "resized": (Resized(), (2, 6, 6)),
    }
