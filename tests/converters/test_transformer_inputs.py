"""Masks, causal attention, dropout, several inputs, and shapes that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikesim.converters import audit, convert
from spikesim.errors import CalibrationError, ConversionError, ShapeError
from spikesim.models import decoder, vit

X = torch.rand(8, 5, 4, generator=torch.Generator().manual_seed(0))
LOWER = torch.ones(5, 5, dtype=torch.bool).tril()


class Attend(nn.Module):
    """Attention as ``form`` writes it, between two linear layers."""

    def __init__(self, form: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.form, self.q, self.out = form, nn.Linear(4, 4), nn.Linear(4, 3)
        self.register_buffer("shown", LOWER)
        self.register_buffer("added", torch.where(LOWER, 0.0, -torch.inf))
        self.heads = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.form(self, self.q(x)))


CAUSAL: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "is_causal": lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "bool, True is shown": lambda m, x: F.scaled_dot_product_attention(x, x, x, m.shown),
    "numbers": lambda m, x: F.scaled_dot_product_attention(x, x, x, attn_mask=m.added),
    "of heads, True is hidden": lambda m, x: m.heads(x, x, x, attn_mask=~m.shown, need_weights=False)[0],
    "of heads, numbers": lambda m, x: m.heads(x, x, x, attn_mask=m.added)[0],
    "by hand": lambda m, x: (x @ x.mT + m.added).softmax(-1) @ x,
    "filled": lambda m, x: (x @ x.mT).masked_fill(~m.shown, -torch.inf).softmax(-1) @ x,
    "cut from a larger one": lambda m, x: F.scaled_dot_product_attention(
        x, x, x, torch.ones(9, 9).tril().bool()[: x.shape[1], : x.shape[1]]
    ),
}


def model(name: str) -> nn.Module:
    torch.manual_seed(0)
    return Attend(CAUSAL[name])


@pytest.mark.parametrize("name", CAUSAL)
@torch.no_grad()
def test_no_spike_tells_of_a_later_token(name: str) -> None:
    ann = model(name).eval()
    network, report = convert(ann, X, timesteps=4, exact=True)
    assert report.certificate is not None and report.certificate.exact
    assert torch.linalg.norm(network(X) - ann(X)) < 0.1 * torch.linalg.norm(ann(X))
    later = X.clone()
    later[:, 3:] += 1.0
    assert torch.equal(network(later)[:, :3], network(X)[:, :3])
    assert not torch.equal(network(later)[:, 3:], network(X)[:, 3:])


@torch.no_grad()
def test_a_decoder_does_not_look_ahead() -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 9, (8, 6))
    network = convert(decoder(tokens=9, length=6, features=8, depth=2, heads=2), x, timesteps=4).network
    later = x.clone()
    later[:, 4:] = (later[:, 4:] + 1) % 9
    assert torch.equal(network(later)[:, :4], network(x)[:, :4])
    assert not torch.equal(network(later)[:, 4:], network(x)[:, 4:])


@torch.no_grad()
def test_dropout_in_train_mode_does_nothing() -> None:
    torch.manual_seed(0)
    first = Attend(lambda m, x: m.heads(x, x, x, need_weights=False)[0])
    first.heads = nn.MultiheadAttention(4, 2, dropout=0.9, batch_first=True)
    whole = nn.Sequential(first, nn.Dropout(0.9), nn.GELU(), nn.Linear(3, 2)).train()
    network, report = convert(whole, X, timesteps=4, exact=True)
    wanted = whole.eval()(X)
    assert report.certificate is not None and report.certificate.exact
    assert torch.linalg.norm(network(X) - wanted) < 0.1 * torch.linalg.norm(wanted)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (lambda m, x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1), "always on"),
        (lambda m, x: F.scaled_dot_product_attention(x, x, x, m.shown, is_causal=True), "does not pass|is_causal"),
        (lambda m, x: F.scaled_dot_product_attention(x, x, x, x @ x.mT > 0), "depends on the input"),
        (lambda m, x: (x @ x.mT).masked_fill(x @ x.mT > 0, 0.0) @ x, "depends on the input"),
        (lambda m, x: m.heads(x, x, x, key_padding_mask=x[..., 0] > 0)[0], "key_padding_mask"),
        (lambda m, x: m.heads(x, x, x, attn_mask=(x[0, :, :1] > 0) & m.shown)[0], "mask|mixes"),
        (lambda m, x: x.transpose(0, 1) @ x.transpose(0, 1).mT @ x, "axis of its own|does not pass"),
        (lambda m, x: F.layer_norm(x, x.shape), "over samples"),
    ],
)
def test_refused_with_the_reason(form: Callable[[Any, Tensor], Tensor], said: str) -> None:
    with pytest.raises(ConversionError, match=said):
        convert(Attend(form), X, timesteps=2)


@torch.no_grad()
def test_shapes_that_cannot_be() -> None:
    torch.manual_seed(0)
    ann = decoder(tokens=9, length=6, features=8, depth=1, heads=2)
    x = torch.randint(0, 9, (8, 5))
    network = convert(ann, x, timesteps=2).network
    with pytest.raises(ShapeError, match=r"\(2, 6\)"):
        network(torch.zeros(2, 6, dtype=torch.int64))
    with pytest.raises(CalibrationError, match="shape"):
        convert(ann, [x, torch.zeros(2, 6, dtype=torch.int64)], timesteps=2)
    with pytest.raises(ConversionError, match="index out of range"):
        convert(ann, torch.randint(0, 9, (8, 7)), timesteps=2)  # more tokens than positions
    with pytest.raises(ConversionError, match="index out of range"):
        convert(ann, torch.full((2, 5), 9), timesteps=2)
    with pytest.raises(ConversionError, match="Long, Int"):
        convert(ann, torch.rand(4, 5), timesteps=2)
    with pytest.raises(ConversionError, match="does not pass"):
        convert(nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 3)), X, timesteps=2)


class Captions(nn.Module):
    """Tokens attend to pictures: two inputs, one of them whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.embedding = nn.Conv2d(1, 8, 2, 2), nn.Embedding(9, 8)
        self.norm, self.attention, self.head = (
            nn.LayerNorm(8),
            nn.MultiheadAttention(8, 2, batch_first=True),
            nn.Linear(8, 9),
        )

    def forward(self, tokens: Tensor, pictures: Tensor) -> Tensor:
        seen, told = self.patches(pictures).flatten(2).transpose(1, 2), self.embedding(tokens)
        told = told + self.attention(self.norm(told), seen, seen, need_weights=False)[0]
        return self.head(self.norm(told))


@pytest.mark.parametrize("exact", [False, True])
@torch.no_grad()
def test_tokens_and_pictures(exact: bool) -> None:
    torch.manual_seed(0)
    ann, x = Captions().eval(), (torch.randint(0, 9, (8, 3)), torch.rand(8, 1, 4, 4))
    network, report = convert(ann, x, timesteps=8, exact=exact)
    assert torch.linalg.norm(network(x) - ann(*x)) < 0.1 * torch.linalg.norm(ann(*x))
    assert report.certificate is None or report.certificate.exact
    assert max(layer.identity_error for layer in report.layers) < 1e-4
    assert audit(ann, x).convertible


class Insists(nn.Module):
    """Wants real tensors, so that only torch.export can record it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(x, Tensor)
        return self.inner(x)


@torch.no_grad()
def test_exported_transformers() -> None:
    torch.manual_seed(0)
    tokens, pictures = torch.randint(0, 9, (8, 5)), torch.rand(8, 3, 8, 8)
    language = decoder(tokens=9, length=6, features=8, depth=1, heads=2).eval()
    for ann, x in ((language, tokens), (vit(size=8, width=0.0625, depth=1).eval(), pictures)):
        network, report = convert(Insists(ann), x, timesteps=4, exact=True)
        assert report.certificate is not None and report.certificate.exact
        assert torch.linalg.norm(network(x) - ann(x)) < 0.1 * torch.linalg.norm(ann(x))
    # torch's own attention folds samples and heads into one axis.
    folds = nn.Sequential(Attend(CAUSAL["of heads, numbers"]), nn.LayerNorm(3), nn.Linear(3, 2)).eval()
    network, report = convert(Insists(folds), X, timesteps=16, exact=True)
    assert report.certificate is not None and report.certificate.exact
    assert torch.linalg.norm(network(X) - folds(X)) < 0.1 * torch.linalg.norm(folds(X))


def test_functions_named_by_hand_leave_nothing_to_spike() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3))
    with pytest.raises(ConversionError, match="leave the functions of transformers out of allow_analog"):
        convert(model, X, timesteps=2, allow_analog=["GELU"])
    assert convert(model, X, timesteps=2).report.spiking_layers == 1
