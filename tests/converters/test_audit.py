"""The audit: complete, in order, and without a trace on the model."""

from __future__ import annotations

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from oracles.conversion_networks import Residual
from rich.console import Console
from torch import Tensor, nn

from spikesim.converters import Audit, Verdict, audit
from spikesim.errors import ConversionError


def test_every_operation_in_order() -> None:
    found = audit(Residual(), torch.zeros(1, 3, 8, 8))
    expected = "conv1 bn1 relu conv2 bn2 iadd relu_1 conv3 bn3 down_0 down_1 add relu_2 size getitem avg_pool2d size_1"
    assert [row.name for row in found.rows] == [*expected.split(), "view", "drop", "fc"]
    verdicts = {row.name: row.verdict for row in found.rows}
    assert verdicts["conv1"] is Verdict.EXACT and verdicts["bn1"] is Verdict.FOLDED
    assert verdicts["relu"] is verdicts["relu_1"] is verdicts["relu_2"] is Verdict.APPROXIMATED
    assert found.convertible and found.rows[0].shape == (8, 8, 8)


def test_the_model_stays_as_it_was() -> None:
    model = Residual().train()
    model.bn1.eval()
    before = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    example = torch.randn(2, 3, 8, 8)
    kept, random_state = example.clone(), torch.get_rng_state()
    audit(model, example)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(example, kept) and torch.equal(torch.get_rng_state(), random_state)


class Transformerish(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm, self.lstm = nn.Linear(6, 6), nn.LayerNorm(6), nn.LSTM(6, 6)
        self.attention = nn.MultiheadAttention(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.elu(self.fc(x))
        x = F.leaky_relu(self.norm(x))
        x, _ = self.attention(x, x, x)
        x = self.lstm(x)[0]
        return torch.softmax(torch.sigmoid(x) * F.silu(x), 0)


def test_all_that_is_unsupported_is_named_at_once_with_a_remedy() -> None:
    found = audit(Transformerish(), torch.zeros(1, 6))
    names = {row.name: row.detail for row in found.unsupported}
    assert {"elu", "leaky_relu", "attention", "lstm", "sigmoid", "softmax"} <= set(names)
    assert "nn.ReLU" in names["elu"] and "batch_first=False" in names["attention"]
    assert "over samples" in names["softmax"]
    assert not {"fc", "norm"} & set(names)
    assert all(name in found.refusal() for name in names)


def test_branch_on_data_names_the_line() -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 0:
                return F.relu(x)
            return x

    found = audit(Branch(), torch.zeros(1, 3))
    [row] = found.unsupported
    assert "if x.sum() > 0" in row.detail and "test_audit.py" in row.detail and "branch" in row.detail


def test_optional_arguments_keep_their_defaults() -> None:
    class Optional(nn.Module):
        def forward(self, x: Tensor, mask: Tensor | None = None, scale: float = 2.0) -> Tensor:
            return F.relu(x * scale) if mask is None else x * mask

    assert audit(Optional(), torch.zeros(1, 3)).convertible


@pytest.mark.parametrize(
    ("function", "part"),
    [
        (lambda x: x.view(-1, 4), "batch"),
        (lambda x: x[0], "mixes samples"),
        (lambda x: x[:, [1, 0]], "no slice"),
        (lambda x: torch.cat([x, x], 0), "batch"),
        (lambda x: x / x, "'div' of two branches"),
        (lambda x: x.softmax(0), "over samples"),
        (lambda x: x.masked_fill(x > 0, 0.0), "depends on the input"),
        (lambda x: torch.ones(3, 2) @ x, "on the left"),
        (lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5), "random"),
        (lambda x: F.scaled_dot_product_attention(x, x, x, x @ x.mT), "store it"),
        (lambda x: 1 / x, "not linear"),
        (lambda x: torch.div(x, 2, rounding_mode="floor"), "rounds"),
        (lambda x: F.max_pool1d(x, 2, return_indices=True)[0], "indices"),
        (lambda x: x.clamp(-1, 1), "nn.ReLU"),
        (lambda x: F.max_pool1d(F.relu(x) + F.relu(-x), 2), "average pooling"),
        (lambda x: x.mean(), "axes to average"),
        (lambda x: F.batch_norm(x, None, None, training=True), "BatchNorm"),
    ],
)
def test_refused_forms(function: object, part: str) -> None:
    class Form(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)  # type: ignore[operator]

    found = audit(Form(), torch.zeros(1, 2, 4))
    assert any(part in row.detail for row in found.unsupported), found.refusal()


def test_dropout_that_is_always_on_is_named() -> None:
    class Always(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(F.dropout(x, 0.5))

    row = audit(Always(), torch.zeros(1, 3)).rows[0]
    assert row.verdict is Verdict.UNSUPPORTED and "training=self.training" in row.detail


@pytest.mark.parametrize("example", [torch.zeros(0, 6), torch.zeros(6), [1.0]])
def test_useless_examples_are_refused(example: object) -> None:
    with pytest.raises(ConversionError, match="at least one sample"):
        audit(nn.Linear(6, 2), example)  # type: ignore[arg-type]


def test_example_of_another_shape_names_the_node() -> None:
    with pytest.raises(ConversionError, match=r"'linear_0' got shapes \[\(2, 5\)\]"):
        audit(nn.Sequential(nn.Linear(6, 2)), torch.zeros(1, 5))


def test_table_and_json() -> None:
    found = audit(Residual(), torch.zeros(1, 3, 8, 8))
    console = Console(file=io.StringIO(), width=200)
    console.print(found)
    text = console.file.getvalue()
    assert "convertible" in text and "N x 8 x 8 x 8" in text and all(row.name in text for row in found.rows)
    assert Audit.from_json(found.to_json()) == found
