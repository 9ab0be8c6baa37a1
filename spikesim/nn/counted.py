"""How layers that mix time let the energy ledger count them: as operations step by step, with their own values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes


def being_counted() -> bool:
    """Whether a dispatch mode, such as the ledger's, watches the operations of this call."""
    return torch._C._len_torch_dispatch_stack() > 0 and not (torch.compiler.is_compiling() or torch.is_grad_enabled())


@contextmanager
def uncounted() -> Iterator[None]:
    """Within it no dispatch mode sees what is done."""
    with _disable_current_modes():
        yield


def counted_as(shown: Callable[[], Tensor], exact: Callable[[], Tensor]) -> Tensor:
    """What ``exact`` gives; whoever counts sees the operations of ``shown``, which differs in rounding or order alone.

    Args:
        shown: the operations as hardware makes them, every one on rows of all steps; only called while counted.
        exact: the layer's own way.

    >>> counted_as(lambda: torch.zeros(2), lambda: torch.ones(2))
    tensor([1., 1.])
    """
    if not being_counted():
        return exact()
    seen = shown()
    with uncounted():
        seen.copy_(exact())
    return seen
