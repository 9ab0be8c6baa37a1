"""Batch-norms that know the threshold, or the time step: tdBN, TEBN, BNTT."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikesim.errors import ConfigError, ShapeError
from spikesim.nn.counted import counted_as
from spikesim.nn.encoders import positive
from spikesim.nn.scheduled import Scheduled

Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
_NORMS: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}


def _norm(name: str, channels: int, dims: int) -> Norm:
    if dims not in _NORMS:
        raise ConfigError(f"{name}: dims is {dims!r}, but it must be 1, 2 or 3")
    if not isinstance(channels, int) or channels < 1:
        raise ConfigError(f"{name}: channels is {channels!r}, but it must be a whole number of at least 1")
    return _NORMS[dims](channels)


def td_batch_norm(channels: int, threshold: float = 1.0, alpha: float = 1.0, dims: int = 2) -> Norm:
    """Threshold-dependent batch-norm: what reaches a neuron has the standard deviation ``alpha * threshold``.

    Its statistics are those of all steps and samples. In a Network time is folded into the batch, so it is torch's
    own batch-norm with that factor to begin with, and is fused, folded and counted as such. Source: Zheng et al.,
    "Going Deeper With Directly-Trained Larger Spiking Neural Networks", AAAI 2021.

    Args:
        channels: C.
        threshold: of the neurons behind it.
        alpha: 1; 1/sqrt(2) where two branches add up, as there.
        dims: 1 for ``[T*N, C]`` or ``[T*N, C, L]``, 2 for images, 3 for volumes.

    Raises:
        ConfigError: a size or factor is out of range.

    Example:
        >>> td_batch_norm(2, threshold=0.5).weight.tolist()
        [0.5, 0.5]
    """
    norm = _norm("td_batch_norm", channels, dims)
    scale = positive("td_batch_norm: threshold", threshold) * positive("td_batch_norm: alpha", alpha)
    nn.init.constant_(norm.weight, scale)
    return norm


class TEBN(Scheduled):
    """Temporal effective batch-norm: a batch-norm over all steps, times a learnt number per step.

    .. code-block:: text

        y(t) = p(t) (gamma (x(t) - mean) / std + beta)

    Source: Duan et al., "Temporal Effective Batch Normalization in Spiking Neural Networks", NeurIPS 2022.

    Args:
        channels: C.
        timesteps: T that it is trained with; p has one value for each.
        dims: 1 for ``[T*N, C]`` or ``[T*N, C, L]``, 2 for images, 3 for volumes.

    Shape:
        ``[T, N, C, ...] -> [T, N, C, ...]``; rows inside a Network.

    Raises:
        TimestepsError: another T.
        ConfigError: a size is out of range.

    Example:
        >>> TEBN(2, timesteps=3)(torch.rand(3, 4, 2, 5, 5)).shape
        torch.Size([3, 4, 2, 5, 5])
    """

    def __init__(self, channels: int, timesteps: int, dims: int = 2) -> None:
        super().__init__(timesteps)
        self.norm = _norm("TEBN", channels, dims)
        self.p = nn.Parameter(torch.ones(self.length))

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Normalise over time and samples, weigh every step."""
        place, final = self.places(x, state, mask)
        # Under a mask the Network lets the norm take its statistics of real steps alone.
        y = self.norm(x.flatten(0, 1)).reshape(x.shape)
        return y * self.p[place].reshape(*place.shape, *[1] * (x.dim() - 2)), final


class BNTT(Scheduled):
    """Batch-norm through time: statistics and a factor of its own for every step, and no offset.

    .. code-block:: text

        y(t) = gamma(t) (x(t) - mean(t)) / std(t)

    Source: Kim & Panda, "Revisiting Batch Normalization for Training Low-latency Deep Spiking Neural Networks From
    Scratch", Frontiers in Neuroscience 2021; ``eps`` and ``momentum`` as in snnTorch. A step for which a
    batch holds one value only (under a mask) is normalised with the running statistics.

    Args:
        channels: C.
        timesteps: T that it is trained with.
        eps: added to the variance.
        momentum: of the running statistics.

    Shape:
        ``[T, N, C, ...] -> [T, N, C, ...]``; rows inside a Network.

    Raises:
        TimestepsError: another T.
        ConfigError: a size is out of range.

    Example:
        >>> BNTT(2, timesteps=3)(torch.rand(3, 4, 2, 5, 5)).shape
        torch.Size([3, 4, 2, 5, 5])
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, timesteps: int, eps: float = 1e-4, momentum: float = 0.1) -> None:
        super().__init__(timesteps)
        if not isinstance(channels, int) or channels < 1:
            raise ConfigError(f"BNTT: channels is {channels!r}, but it must be a whole number of at least 1")
        self.eps, self.momentum = positive("BNTT: eps", eps), positive("BNTT: momentum", momentum)
        self.weight = nn.Parameter(torch.ones(self.length, channels))
        self.register_buffer("running_mean", torch.zeros(self.length, channels))
        self.register_buffer("running_var", torch.ones(self.length, channels))

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Normalise every step by itself."""
        if x.dim() < 3 or x.shape[2] != self.weight.shape[1]:
            raise ShapeError(f"{self._label()} has {self.weight.shape[1]} channels, but received {tuple(x.shape)}")
        place, final = self.places(x, state, mask)
        return counted_as(partial(self._scaled, x, place), partial(self._each, x, place, state, mask)), final

    def _scaled(self, x: Tensor, place: Tensor) -> Tensor:
        """What is charged: a product and a sum for every value, as statistics are constants in use."""
        scale = self.weight / (self.running_var + self.eps).sqrt()
        shape = (*place.shape, x.shape[2], *[1] * (x.dim() - 3))
        return x * scale[place].reshape(shape) + (-self.running_mean * scale)[place].reshape(shape)

    def _each(self, x: Tensor, place: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None) -> Tensor:
        if mask is None and state is None:
            return torch.stack([self._step(row, t) for t, row in enumerate(x.unbind(0))])
        rows, out = x.flatten(0, 1), torch.zeros_like(x.flatten(0, 1))
        real = torch.ones_like(place, dtype=torch.bool) if mask is None else mask
        for t in range(self.length):
            chosen = ((place == t) & real).flatten().nonzero().flatten()
            if chosen.numel():
                out = out.index_copy(0, chosen, self._step(rows.index_select(0, chosen), t).to(out.dtype))
        return out.reshape(x.shape)

    def _step(self, x: Tensor, t: int) -> Tensor:
        mean, variance, weight = self.running_mean[t], self.running_var[t], self.weight[t]
        batch = self.training and x.numel() > x.shape[1]
        return functional.batch_norm(x, mean, variance, weight, None, batch, self.momentum, self.eps)
