"""Spiking self-attention: queries, keys and values are spikes, and there is no softmax."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from spikesim.dynamics import Neuron
from spikesim.errors import ConfigError, ShapeError
from spikesim.neurons import LIF


def _default(threshold: float = 1.0) -> Neuron:
    return LIF(2.0, threshold, reset="zero", detach_reset=True)


def _spiking(features: int, bias: bool, neuron: Neuron) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(features, features, 1, bias=bias), nn.BatchNorm1d(features), neuron)


class SpikingSelfAttention(nn.Module):
    """Spiking self-attention (SSA) of Spikformer.

    .. code-block:: text

        Q, K, V = neuron(norm(W x))                           spikes, per head [tokens, features / heads]
        out     = neuron(norm(W' neuron_1/2(scale Q K^T V)))

    Q K^T counts common spikes and is never negative, so no softmax is needed, and all of it is additions. It sees one
    time step at a time: time stays folded into the batch, and only its neurons carry state. Source: Zhou et al.,
    "Spikformer: When Spiking Neural Network Meets Transformer", ICLR 2023; its code for CIFAR10-DVS has scale 0.25,
    for CIFAR-10 0.125.

    Args:
        features: D, divisible by heads.
        heads: number of heads.
        scale: of the attention.
        neuron: builds a neuron from its threshold (1, and 1/2 behind the attention); a LIF with tau 2 and a
            detached reset to zero if None, as there.

    Shape:
        ``[T*N, D, tokens] -> [T*N, D, tokens]``, inside a Network.

    Raises:
        ConfigError: the heads do not divide the features.
        ShapeError: the input has other features.

    Example:
        >>> import torch
        >>> from spikesim.nn import Network
        >>> Network(SpikingSelfAttention(8, heads=2))(torch.rand(3, 2, 8, 16)).shape
        torch.Size([3, 2, 8, 16])
    """

    def __init__(
        self, features: int, heads: int = 8, scale: float = 0.125, neuron: Callable[[float], Neuron] | None = None
    ) -> None:
        super().__init__()
        if min(features, heads) < 1 or features % heads:
            raise ConfigError(
                f"SpikingSelfAttention: {features} features cannot be shared by {heads} heads; give a multiple"
            )
        make = neuron or _default
        self.heads, self.scale = heads, scale
        self.query = _spiking(features, False, make(1.0))
        self.key = _spiking(features, False, make(1.0))
        self.value = _spiking(features, False, make(1.0))
        self.attend = make(0.5)
        self.project = _spiking(features, True, make(1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each time step."""
        if x.dim() != 3 or x.shape[1] != self.query[0].in_channels:
            raise ShapeError(
                f"SpikingSelfAttention takes rows [T*N, {self.query[0].in_channels}, tokens], but received "
                f"{tuple(x.shape)}; put features before tokens, and run it inside a Network"
            )
        q, k, v = (self._by_head(part(x)) for part in (self.query, self.key, self.value))
        y = ((q @ k.transpose(-2, -1)) @ v) * self.scale
        y = self.attend(y.transpose(-2, -1).flatten(1, 2))
        out: Tensor = self.project(y)
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        # [rows, D, tokens] to [rows, heads, tokens, D / heads]
        return x.reshape(x.shape[0], self.heads, -1, x.shape[2]).transpose(-2, -1)

    def extra_repr(self) -> str:
        """Heads and scale in the module's printed form."""
        return f"heads={self.heads}, scale={self.scale:g}"
