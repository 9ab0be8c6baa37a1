"""Trivial operations, shape checks, and what an untraceable model is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spikesim.converters import audit, convert


class Net(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.function = nn.Linear(4, 6), nn.Linear(6, 2), function

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.function(self.a(x))))


def checked(x: Tensor) -> Tensor:
    assert x.shape[1] == 6 and len(x.shape) == 2
    if x.dim() != 2 or x.size(-1) % 2:
        raise ValueError("features expected")
    return x.view(x.size(0), -1)


def overwritten_copy(x: Tensor) -> Tensor:
    y = x.clone()
    y.relu_()
    return x + y


SAME = {
    "neg": lambda x: -x,
    "torch.neg": torch.neg,
    "clone": overwritten_copy,
    "float": lambda x: x.float().contiguous().to(torch.float32),
    "add alpha": lambda x: torch.add(x, x, alpha=2),
    "sub alpha": lambda x: torch.sub(x, other=x, alpha=0.5),
    "shape checks": checked,
}


@pytest.mark.parametrize("name", SAME)
def test_trivial_operations_are_converted(name: str) -> None:
    torch.manual_seed(0)
    model, x = Net(SAME[name]), torch.randn(20, 4)
    network, report = convert(model, x, timesteps=512, calibrate=(), threshold="max")
    expected = model(x).detach()
    assert report.folding_error < 1e-5
    assert (network(x) - expected).abs().max() < 0.02 * expected.abs().max()


def test_casts_and_alpha_with_numbers_say_what_to_do() -> None:
    assert (
        "casts torch.float32 to torch.float64" in audit(Net(lambda x: x.double().float()), torch.rand(1, 4)).refusal()
    )
    assert "with alpha" in audit(Net(lambda x: torch.add(x, 1, alpha=2)), torch.rand(1, 4)).refusal()


@pytest.mark.parametrize("batch", [1, 2])
def test_branches_on_the_batch_size_are_refused(batch: int) -> None:
    found = audit(Net(lambda x: x * 2 if x.shape[0] == batch else x), torch.rand(1, 4))
    assert not found.convertible and "branch" in found.refusal()


def test_a_branch_hides_no_other_unsupported_module() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ELU(), Net(lambda x: x if x.sum() > 0 else -x), nn.LogSoftmax(1))
    rows = {row.name: row.detail for row in audit(model, torch.rand(1, 4)).unsupported}
    assert set(rows) == {"forward", "1", "3"} and "nn.ReLU" in rows["1"]
    assert "torch.where" not in rows["forward"]
