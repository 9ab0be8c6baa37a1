"""Gradients through many steps in the memory of few: time in chunks, each computed again in the backward.

Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016), along time: between chunks only the state is kept.
With T steps in chunks of K, the activations of K steps and T/K states are held instead of the activations of T, for one
more forward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import checkpoint

from spikesim.errors import ConfigError

State = Mapping[str, Mapping[str, Tensor]]
Pass = Callable[[Sequence[Tensor], int, Tensor | None, State | None], tuple[Any, dict[str, dict[str, Tensor]]]]
"""``(rows, steps, mask, state) -> (output [steps, N, ...], final state)``; sets the time attribute itself."""


def check_chunk(every: object, pack_spikes: bool) -> int | None:
    """The steps of a chunk, if they are None or a whole number of at least 1.

    >>> check_chunk(4, pack_spikes=False)
    4
    """
    if every is None:
        return None
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise ConfigError(f"checkpoint_time is {every!r}, but it must be a whole number of time steps, or None")
    if pack_spikes:
        raise ConfigError("checkpoint_time computes spikes again and keeps none: leave out pack_spikes")
    return every


def in_chunks(
    run: Pass,
    module: nn.Module,
    rows: Sequence[Tensor],
    steps: int,
    every: int,
    mask: Tensor | None,
    state: State | None,
    constant: bool,
) -> tuple[Any, dict[str, dict[str, Tensor]]]:
    """Run ``steps`` time steps in chunks of ``every``, the last of which may be shorter.

    Args:
        run: runs some steps; it is called again for each chunk in the backward.
        module: what it runs.
        rows: ``[T*N, ...]``, or ``[N, ...]`` if ``constant``.
        steps: T.
        every: steps of a chunk.
        mask: bool ``[T, N]``, or None.
        state: at the start, or None.
        constant: the same rows are the input of every step.

    Returns:
        The output ``[T, N, ...]``, and the state after the last step.

    Raises:
        ConfigError: a batch-norm takes statistics over all steps, which no chunk sees.
    """
    _refuse_norms(module)
    sizes = [min(every, steps - start) for start in range(0, steps, every)]
    # One split, not a slice per chunk: its backward writes the gradient once.
    pieces = [rows] * len(sizes)
    if not constant:
        pieces = [list(p) for p in zip(*(torch.split(r, [s * (len(r) // steps) for s in sizes]) for r in rows))]
    masks = torch.split(mask, sizes) if mask is not None else [None] * len(sizes)
    final: Any = state
    outputs = []
    for piece, size, real in zip(pieces, sizes, masks):
        output, final = checkpoint(
            run, piece, size, real, final, use_reentrant=False, context_fn=lambda: (nullcontext(), _unmoved(module))
        )
        outputs.append(output)
    return pytree.tree_map(_joined, *outputs), final


def _joined(*parts: Any) -> Any:
    return torch.cat(parts) if isinstance(parts[0], Tensor) else parts[0]


@contextmanager
def _unmoved(module: nn.Module) -> Iterator[None]:
    """Computing a chunk again must not move the running averages of norms a second time."""
    averages = [
        b for m in module.modules() if m.training and hasattr(m, "running_mean") for b in m.buffers(recurse=False)
    ]
    before = [b.clone() for b in averages]
    try:
        yield
    finally:
        with torch.no_grad():
            for average, value in zip(averages, before):
                average.copy_(value)


def _refuse_norms(module: nn.Module) -> None:
    for name, m in module.named_modules():
        if isinstance(m, _BatchNorm) and (m.training or m.running_mean is None):
            raise ConfigError(
                f"'{name}' ({type(m).__name__}) takes its statistics over all time steps, but checkpoint_time shows it "
                "a chunk at a time, so gradients would differ; call .eval() on it, use BNTT or GroupNorm, or "
                "Network(..., pack_spikes=True) instead of checkpoint_time"
            )
