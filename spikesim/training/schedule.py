"""The learning rate over a run: a linear rise, then half a cosine down to zero."""

from __future__ import annotations

import math


def warmup_cosine(step: int, warmup: int, total: int) -> float:
    """Give the factor on the peak learning rate at an optimiser step.

    Source: Loshchilov and Hutter, "SGDR" (ICLR 2017), equation 5, one period; the warm-up is that of
    Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 2.2.

    Args:
        step: optimiser steps done so far, from 0.
        warmup: steps of the rise; 0 for none.
        total: steps of the whole run.

    Example:
        >>> from spikesim.training.schedule import warmup_cosine
        >>> [round(warmup_cosine(step, 2, 6), 3) for step in range(6)]
        [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup:
        return (step + 1) / warmup
    if step >= total:  # also where the rise takes the whole run
        return 0.0
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (total - warmup)))
