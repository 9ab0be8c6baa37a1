"""Readouts: the only place where time disappears, ``[T, N, ...] -> [N, ...]``.

Each takes an optional mask, bool ``[T, N]``; a masked step counts for nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikesim.errors import TimestepsError


def _weights(y: Tensor, mask: Tensor) -> Tensor:
    return mask.to(y.dtype).reshape(*mask.shape, *[1] * (y.dim() - 2))


def _delay(name: str, delay: int) -> int:
    if delay < 0:
        raise TimestepsError(f"{name}: delay is {delay}, but it must be at least 0")
    return delay


def _after(name: str, delay: int, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    if not delay:
        return y, mask
    if delay >= y.shape[0]:
        raise TimestepsError(f"{name}: delay is {delay}, which leaves none of the {y.shape[0]} time steps")
    return y[delay:], None if mask is None else mask[delay:]


class Count(nn.Module):
    """Sum over time: of spikes, their count.

    Args:
        delay: steps left out at the start, at least 0 and less than T.

    Raises:
        TimestepsError: ``delay`` leaves no step.

    >>> import torch
    >>> Count()(torch.tensor([[[1.0]], [[0.0]], [[1.0]]]))
    tensor([[2.]])
    """

    def __init__(self, delay: int = 0) -> None:
        super().__init__()
        self.delay = _delay("Count", delay)

    def forward(self, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """``[T, N, ...] -> [N, ...]``."""
        y, mask = _after("Count", self.delay, y, mask)
        return y.sum(0) if mask is None else (y * _weights(y, mask)).sum(0)


class Mean(nn.Module):
    """Mean over time: of spikes, their rate per step; of an analog output, its average.

    >>> import torch
    >>> y = torch.tensor([[[1.0]], [[0.0]]])
    >>> Mean()(y), Mean()(y, mask=torch.tensor([[True], [False]]))
    (tensor([[0.5000]]), tensor([[1.]]))
    """

    def forward(self, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """``[T, N, ...] -> [N, ...]``."""
        if mask is None:
            return y.mean(0)
        weights = _weights(y, mask)
        return (y * weights).sum(0) / weights.sum(0).clamp(min=1)


class DelayedMean(nn.Module):
    """Mean over the steps after the first ``delay``, when the deep layers have settled.

    Args:
        delay: steps left out, at least 0 and less than T.

    Raises:
        TimestepsError: ``delay`` leaves no step.

    >>> import torch
    >>> DelayedMean(1)(torch.tensor([[[5.0]], [[1.0]], [[2.0]]]))
    tensor([[1.5000]])
    """

    def __init__(self, delay: int) -> None:
        super().__init__()
        self.delay = _delay("DelayedMean", delay)

    def forward(self, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """``[T, N, ...] -> [N, ...]``."""
        return Mean()(*_after("DelayedMean", self.delay, y, mask))


class Max(nn.Module):
    """The largest value over time: of a potential, how close it came to firing.

    >>> import torch
    >>> y = torch.tensor([[[1.0]], [[3.0]]])
    >>> Max()(y), Max()(y, mask=torch.tensor([[True], [False]]))
    (tensor([[3.]]), tensor([[1.]]))
    """

    def forward(self, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """``[T, N, ...] -> [N, ...]``; zero for a sample without a real step."""
        if mask is None:
            return y.amax(0)
        shaped = mask.reshape(*mask.shape, *[1] * (y.dim() - 2))
        # A sample without a single real step has said nothing.
        return y.masked_fill(~shaped, -torch.inf).amax(0).masked_fill(~shaped.any(0), 0.0)


class Last(nn.Module):
    """The last real step.

    >>> import torch
    >>> y = torch.tensor([[[1.0]], [[2.0]]])
    >>> Last()(y), Last()(y, mask=torch.tensor([[True], [False]]))
    (tensor([[2.]]), tensor([[1.]]))
    """

    def forward(self, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """``[T, N, ...] -> [N, ...]``."""
        if mask is None:
            return y.select(0, y.shape[0] - 1)
        steps = torch.arange(1, y.shape[0] + 1, device=y.device).unsqueeze(1)
        last = (mask * steps).amax(0) - 1
        index = last.clamp(min=0).reshape(1, -1, *[1] * (y.dim() - 2)).expand(1, *y.shape[1:])
        # A sample without a single real step has said nothing.
        return y.gather(0, index).squeeze(0) * _weights(y[:1], mask.any(0).unsqueeze(0)).squeeze(0)
