"""What a piecewise surrogate is written with, on plain numbers as well as on tensors and proxies."""

from __future__ import annotations

import torch
from torch import fx

from spikesim.dynamics.ops import Value, clip, where


def is_number(u: Value) -> bool:
    """Whether ``u`` is a plain number, not a tensor and not a proxy while a step is recorded.

    >>> is_number(0.5), is_number(torch.tensor(0.5))
    (True, False)
    """
    return not isinstance(u, (torch.Tensor, fx.Proxy))


def choose(condition: Value, a: Value, b: Value) -> Value:
    """``a`` where the condition holds, ``b`` elsewhere; one of them must be a value of the step.

    >>> choose(1.0 < 2.0, 3.0, 4.0)
    3.0
    """
    if is_number(condition):
        return a if condition else b
    return where(condition, a, b)


def clipped(u: Value, low: float, high: float) -> Value:
    """``u`` kept between two constants; NaN stays NaN.

    >>> clipped(-2.0, -1.0, 1.0)
    -1.0
    """
    # The order matters: min and max keep a NaN that comes first.
    return max(min(float(u), high), low) if is_number(u) else clip(u, low, high)


def constant(u: Value, value: float) -> Value:
    """``value`` whatever the number ``u`` is, and NaN where it is none; in the dtype and shape of ``u``.

    >>> constant(0.3, 2.0), constant(float("nan"), 2.0)
    (2.0, nan)
    """
    return clipped(u, value, value)
