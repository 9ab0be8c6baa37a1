"""Batch-norms that train with a mask: their statistics are those of the real steps alone.

A batch-norm sees rows ``[T*N, ...]`` and knows nothing of which are padding. While a network trains with a mask, its
batch-norms are therefore given the real rows only; masked rows come out as zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikesim.errors import ConfigError, ShapeError

_KNOWN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@contextmanager
def leaving_out(module: nn.Module, mask: Tensor | None) -> Iterator[None]:
    """Within it the batch-norms inside ``module`` that take statistics of the batch take them of real steps.

    Args:
        module: of a network.
        mask: bool ``[T, N]``, or None, which changes nothing.

    Raises:
        ConfigError: a batch-norm of another kind, or a compiled call.
    """
    if mask is None:
        yield
        return
    chosen = _taking_statistics(module)
    for norm in chosen:
        norm.__dict__["forward"] = partial(_real_rows, norm, mask)
    try:
        yield
    finally:
        for norm in chosen:
            del norm.__dict__["forward"]


def over_rows(norm: nn.Module, x: Tensor, real: Tensor) -> Tensor:
    """``norm`` of the rows of ``x [R, ...]`` where ``real [R]`` is True, and zeros elsewhere.

    Without a real row nothing is computed, and running averages stay.

    >>> over_rows(nn.BatchNorm1d(1), torch.tensor([[1.0], [3.0], [50.0]]), torch.tensor([True, True, False]))
    tensor([[-1.0000],
            [ 1.0000],
            [ 0.0000]], grad_fn=<IndexCopyBackward0>)
    """
    rows = real.nonzero().flatten()
    out = torch.zeros_like(x)
    if rows.numel() == 0:
        return out
    y = type(norm).forward(norm, x.index_select(0, rows))
    return out.to(y.dtype).index_copy(0, rows, y)


def _real_rows(norm: nn.Module, mask: Tensor, x: Tensor) -> Tensor:
    # The rows of a hoisted constant input stand for all steps of their sample.
    real = mask.any(0) if x.shape[0] == mask.shape[1] != mask.numel() else mask.flatten()
    if x.shape[0] != real.shape[0]:
        raise ShapeError(
            f"{type(norm).__name__} received {x.shape[0]} rows, but T*N is {mask.shape[0]}*{mask.shape[1]}, so the "
            "mask cannot tell which of them are real; keep time folded into the batch, or call .eval() on it"
        )
    return over_rows(norm, x, real)


def _taking_statistics(module: nn.Module) -> list[nn.Module]:
    found: list[nn.Module] = []
    for name, m in module.named_modules():
        if not isinstance(m, _BatchNorm) or not (m.training or m.running_mean is None):
            continue
        if type(m) not in _KNOWN or torch.compiler.is_compiling():
            what = "while it is compiled or exported" if type(m) in _KNOWN else "of real steps alone"
            raise ConfigError(
                f"'{name}' ({type(m).__name__}) is in training mode and cannot take its statistics {what}: masked time "
                "steps would count; call .eval() on it, train without a mask, or use torch's own BatchNorm uncompiled"
            )
        found.append(m)
    return found
