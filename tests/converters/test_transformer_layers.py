"""nn.TransformerEncoderLayer and its kin, nn.MultiheadAttention recorded by torch.export: against loops, and exact."""

from __future__ import annotations

import pytest
import torch
from oracles.transformer_layers import attention, encoder_layer
from torch import Tensor, nn

from spikesim.converters import audit, convert
from spikesim.converters.canonical import canonicalise
from spikesim.converters.transformer_layers import written_out
from spikesim.errors import ConversionError

X = torch.rand(6, 3, 4, generator=torch.Generator().manual_seed(0))
CAUSAL = torch.full((3, 3), -torch.inf).triu(1)


class Classifier(nn.Module):
    """Tokens through layers of torch, and a readout; ``insists`` leaves only torch.export a way to record it."""

    def __init__(self, inner: nn.Module, masked: bool = False, batch_first: bool = True, insists: bool = False) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.Linear(4, 2)
        self.batch_first, self.insists = batch_first, insists
        self.register_buffer("mask", CAUSAL if masked else None)

    def forward(self, x: Tensor) -> Tensor:
        assert not self.insists or isinstance(x, Tensor)
        x = x if self.batch_first else x.transpose(0, 1)
        x = self.inner(x) if self.mask is None else self.inner(x, self.mask)
        return self.head(x if self.batch_first else x.transpose(0, 1))


def layer(**given: object) -> nn.Module:
    torch.manual_seed(1)
    made = nn.TransformerEncoderLayer(4, 2, 8, **{"dropout": 0.3, "batch_first": True, **given})  # type: ignore[arg-type]
    for module in made.modules():
        if isinstance(module, nn.LayerNorm):  # norms that change something
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return made


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
@torch.no_grad()
def test_an_encoder_layer_is_its_parts(batch_first: bool, norm_first: bool) -> None:
    # In training mode and with dropout, which must not matter.
    ann = Classifier(layer(batch_first=batch_first, norm_first=norm_first), True, batch_first).train()
    wanted = ann.head.double()(encoder_layer(ann.inner, X, CAUSAL))
    ann.head.float()
    found = canonicalise(ann.double(), X[:1].double())
    assert not found.unsupported
    torch.testing.assert_close(found.graph(X.double()), wanted, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(ann.eval()(X.double()), wanted, rtol=1e-9, atol=1e-10)
    network, report = convert(ann.float().train(), X, timesteps=4, exact=True)
    assert report.certificate is not None and report.certificate.exact
    assert max(layer.identity_error for layer in report.layers) < 1e-4
    assert torch.linalg.norm(network(X) - wanted) < 0.2 * torch.linalg.norm(wanted)


@pytest.mark.parametrize("insists", [False, True])
@pytest.mark.parametrize(
    "given", [{"activation": "gelu"}, {"bias": False, "norm_first": True}, {"activation": nn.SiLU()}]
)
@torch.no_grad()
def test_other_settings_traced_and_exported(given: dict[str, object], insists: bool) -> None:
    ann = Classifier(nn.TransformerEncoder(layer(**given), 2, nn.LayerNorm(4)), masked=True, insists=insists).eval()
    found = canonicalise(ann, X[:1])
    assert not found.unsupported
    torch.testing.assert_close(found.graph(X), ann(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_first", [True, False])
@torch.no_grad()
def test_attention_written_out_is_attention(batch_first: bool) -> None:
    torch.manual_seed(2)
    heads, memory = nn.MultiheadAttention(4, 2, batch_first=batch_first).eval(), torch.rand(6, 5, 4)
    wanted = attention(heads, X, memory)
    q, m = (X, memory) if batch_first else (X.transpose(0, 1), memory.transpose(0, 1))
    hidden = torch.rand(3, 5) < 0.3
    theirs = [heads(q, m, m)[0], heads(q, m, m, attn_mask=hidden)[0]]
    ours = written_out(heads, attention=True)
    for found, expected in zip((ours(q, m, m)[0], ours(q, m, m, attn_mask=hidden)[0]), theirs):
        torch.testing.assert_close(found, expected)
    plain = theirs[0] if batch_first else theirs[0].transpose(0, 1)
    torch.testing.assert_close(plain.double(), wanted, rtol=1e-5, atol=1e-6)


class Reads(nn.Module):
    """Encoder and decoder."""

    def __init__(self, insists: bool) -> None:
        super().__init__()
        self.pair = nn.Transformer(4, 2, 1, 1, 8, batch_first=True, norm_first=True)
        self.insists, self.head = insists, nn.Linear(4, 2)
        self.register_buffer("mask", CAUSAL)

    def forward(self, source: Tensor, told: Tensor) -> Tensor:
        assert not self.insists or isinstance(source, Tensor)
        return self.head(self.pair(source, told, tgt_mask=self.mask, tgt_is_causal=True))


@pytest.mark.parametrize("insists", [False, True])
@torch.no_grad()
def test_encoder_and_decoder(insists: bool) -> None:
    torch.manual_seed(3)
    ann, pair = Reads(insists).eval(), (torch.rand(6, 2, 4), X)
    network, report = convert(ann, pair, timesteps=4, exact=True)
    assert report.certificate is not None and report.certificate.exact and report.folding_error < 1e-5
    assert torch.linalg.norm(network(pair) - ann(*pair)) < 0.2 * torch.linalg.norm(ann(*pair))


class Padded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = layer()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, src_key_padding_mask=x[..., 0] > 0.5)


def test_what_is_refused_says_what_to_write() -> None:
    with pytest.raises(ConversionError, match="key_padding_mask, add_bias_kv"):
        convert(Padded(), X, timesteps=2)
    with pytest.raises(ConversionError, match="replace it with"):
        convert(layer(activation=torch.tanh), X, timesteps=2)
    found = audit(layer(activation=torch.tanh), X[:1], allow_analog=["tanh"])
    assert found.convertible
