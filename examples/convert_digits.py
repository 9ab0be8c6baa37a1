"""Train a small CNN on scikit-learn's digits, audit it, convert it and show accuracy against time steps.

Run: python examples/convert_digits.py        (about 15 seconds on two cores)
"""

from __future__ import annotations

import tempfile

import torch
import torch.nn.functional as F
from rich.console import Console
from sklearn.datasets import load_digits
from torch import Tensor, nn

from spikesim.converters import audit, convert, load_converted

TIMESTEPS = 32


class DigitNet(nn.Module):
    """A CNN as people write them: batch-norm, functional ReLU and pooling, a residual sum, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv3, self.bn3 = nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.drop, self.fc = nn.Dropout(0.2), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of ten classes for images ``[N, 1, 8, 8]``."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(x + self.bn2(self.conv2(x)))
        x = F.max_pool2d(x, 2)
        x = F.avg_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        return self.fc(self.drop(x.view(x.size(0), -1)))


def digits() -> tuple[Tensor, Tensor]:
    """Images ``[N, 1, 8, 8]`` from 0 to 1 and labels, shuffled."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    return (torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16)[order], torch.tensor(data.target)[order]


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int = 15) -> None:
    """Plain Adam."""
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
    model.eval()


def main() -> None:
    """Train, audit, convert, save, load."""
    torch.manual_seed(0)
    console = Console()
    x, y = digits()
    train_x, train_y, test_x, test_y = x[:1300], y[:1300], x[1300:], y[1300:]
    model = DigitNet()
    train(model, train_x, train_y)
    console.print(audit(model, test_x[:1]))
    converted = convert(model, train_x[:256], timesteps=TIMESTEPS, evaluate=(test_x, test_y))
    console.print(converted.report)
    with tempfile.TemporaryDirectory() as folder:
        converted.save(folder)
        again = load_converted(folder).network
    same = torch.equal(again(test_x[:64]), converted.network(test_x[:64]))
    console.print(f"saved and loaded without the Python class: outputs {'equal' if same else 'DIFFER'}")


if __name__ == "__main__":
    main()
