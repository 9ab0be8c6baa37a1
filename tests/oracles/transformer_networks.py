"""Small attention blocks in the spellings that users have; each maps ``[N, 5, 8]`` to itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FusedHeads(nn.Module):
    """One projection, reshaped and permuted so that the batch is not first; ``@``, scale, softmax method."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(rows, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        weights = ((q @ k.transpose(-2, -1)) * 2**-1).softmax(dim=-1)
        return x + self.proj((weights @ v).transpose(1, 2).reshape(rows, length, width))


class ThreeProjections(nn.Module):
    """Chunks, bmm on one head, a stored mask, RMSNorm, a gated SiLU, in-place sums."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.a, self.b = nn.RMSNorm(8), nn.Linear(8, 24, bias=False), nn.Linear(8, 8)
        self.gate, self.up, self.down = nn.Linear(8, 12), nn.Linear(8, 12), nn.Linear(12, 8)
        self.register_buffer("hidden", torch.triu(torch.ones(9, 9, dtype=torch.bool), 1))
        self.scale = nn.Parameter(torch.rand(8))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.a(self.norm(x)).chunk(3, dim=-1)
        scores = torch.bmm(q, k.mT) / 8**0.5
        scores = scores.masked_fill(self.hidden[: x.shape[1], : x.shape[1]], float("-inf"))
        x = x + self.b(torch.matmul(F.softmax(scores, -1), v)) * self.scale
        y = self.norm(x)
        x += self.down(F.silu(self.gate(y)) * self.up(y))
        return x


class Modules(nn.Module):
    """nn.MultiheadAttention, batch first or second, with a mask; GELU by tanh; a ReLU in the second layer."""

    def __init__(self, batch_first: bool, cross: bool = False) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first, dropout=0.1)
        self.first, self.second, self.cross = nn.LayerNorm(8), nn.LayerNorm(8), cross
        self.layers = nn.Sequential(nn.Linear(8, 12), nn.GELU("tanh"), nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 8))
        self.register_buffer("mask", torch.triu(torch.full((5, 5), float("-inf")), 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.attention.batch_first else x.permute(1, 0, 2)
        y = self.first(x)
        x = x + self.attention(y, self.second(x) if self.cross else y, y, attn_mask=self.mask)[0]
        x = x + self.layers(self.second(x))
        return x if self.attention.batch_first else x.transpose(0, 1)


class Fused(nn.Module):
    """scaled_dot_product_attention, heads by view and transpose; split; a post-norm block."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv, self.out, self.norm = nn.Linear(8, 8), nn.Linear(8, 16), nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        k, v = torch.split(self.kv(x), 8, dim=2)
        q, k, v = (z.view(z.size(0), -1, 2, 4).transpose(1, 2) for z in (self.q(x), k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.4)
        return self.norm(x + self.out(y.permute(0, 2, 1, 3).contiguous().flatten(2)))


class Stem(nn.Module):
    """Tokens from a picture with a class token, a block, and a readout."""

    def __init__(self, block: nn.Module, mean: bool = False) -> None:
        super().__init__()
        self.conv, self.block, self.mean = nn.Conv2d(1, 8, 2, 2), block, mean
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(5, 8))
        self.head = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.repeat(x.shape[0], 1, 1), x), dim=1) + self.place
        x = self.block(x)
        return self.head(x.mean(dim=1) if self.mean else x[:, 0])


def spellings() -> dict[str, nn.Module]:
    """Networks ``[N, 1, 4, 4] -> [N, 3]`` on random weights."""
    torch.manual_seed(0)
    return {
        "fused heads": Stem(FusedHeads()),
        "three projections": Stem(ThreeProjections(), mean=True),
        "batch first": Stem(Modules(batch_first=True)),
        "batch second": Stem(Modules(batch_first=False), mean=True),
        "cross attention": Stem(Modules(batch_first=True, cross=True)),
        "post-norm": Stem(Fused()),
    }
