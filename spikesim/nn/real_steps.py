"""Real steps first: how layers that mix time leave masked steps out, wherever they lie."""

from __future__ import annotations

import torch
from torch import Tensor


class RealSteps:
    """The real steps of every sample moved to the front, and back.

    A layer that looks at earlier steps then sees each sample as if its masked steps had never been.

    Args:
        mask: bool ``[T, N]``, True where a step is real.

    Example:
        >>> real = RealSteps(torch.tensor([[False], [True], [True]]))
        >>> x = torch.tensor([[5.0], [6.0], [7.0]])
        >>> real.gather(x).flatten(), real.scatter(real.gather(x)).flatten()
        (tensor([6., 7., 0.]), tensor([0., 6., 7.]))
    """

    def __init__(self, mask: Tensor) -> None:
        self.count = mask.sum(0)
        self._order = (~mask).to(torch.uint8).argsort(dim=0, stable=True)
        self._place = self._order.argsort(dim=0)
        steps = torch.arange(mask.shape[0], device=mask.device).unsqueeze(1)
        self._front = steps < self.count

    def gather(self, x: Tensor) -> Tensor:
        """``[T, N, ...]`` with the real steps first and zeros behind."""
        return torch.where(_wide(self._front, x), torch.take_along_dim(x, _wide(self._order, x), 0), 0.0)

    def scatter(self, y: Tensor) -> Tensor:
        """What :meth:`gather` gave, each step at its place again; zeros in masked steps."""
        y = torch.where(_wide(self._front, y), y, 0.0)
        return torch.take_along_dim(y, _wide(self._place, y), 0)

    def tail(self, past: Tensor, length: int) -> Tensor:
        """The last ``length`` real steps.

        Args:
            past: ``[length + T, N, ...]``: what came before, and gathered steps.
            length: how many; 0 for none.

        Returns:
            ``[length, N, ...]``.
        """
        steps = torch.arange(length, device=past.device).unsqueeze(1) + self.count
        return torch.take_along_dim(past, _wide(steps, past), 0)


def _wide(index: Tensor, like: Tensor) -> Tensor:
    return index.reshape(*index.shape, *[1] * (like.dim() - 2))


def with_history(history: Tensor, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, RealSteps | None]:
    """Steps with those before them, the history after them, and how masked steps were moved.

    Args:
        history: ``[L, N, ...]``, the last steps so far.
        x: ``[T, N, ...]``.
        mask: bool ``[T, N]``, or None.

    Returns:
        ``[L + T, N, ...]``, ``[L, N, ...]``, and None without a mask.

    Example:
        >>> past, history, _ = with_history(torch.zeros(1, 1), torch.tensor([[1.0], [2.0]]), None)
        >>> past.flatten(), history.flatten()
        (tensor([0., 1., 2.]), tensor([2.]))
    """
    length = history.shape[0]
    if mask is None:
        past = torch.cat([history, x])
        return past, past[past.shape[0] - length :], None
    real = RealSteps(mask)
    past = torch.cat([history, real.gather(x)])
    return past, real.tail(past, length), real
