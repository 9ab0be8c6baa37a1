r"""Functions of currents that change from step to step, exact in the mean.

A function :math:`F` that is not linear cannot be applied to each step by itself: the mean of :math:`F(x(t))` is not
:math:`F` of the mean. Applied to the running mean, and handed on as differences, it is. With the sum
:math:`S(t) = x(1) + \dots + x(t)` and :math:`m(t) = \min(t, T)` steps that count,

.. math:: y(t) = m(t)\, F\!\left(\frac{S(t)}{m(t)}\right) - m(t-1)\, F\!\left(\frac{S(t-1)}{m(t-1)}\right), \qquad
          y(1) = F(x(1)).

The sum telescopes: after any :math:`t \le T` steps the mean output is :math:`F` of the mean input, and whatever
corrections come after T (when a network settles), the sum over T is :math:`F(S/T)`. A constant input gives a constant
output. :math:`F` may take several operands, each by its own mean (attention multiplies two of them), and a chain
of functions needs one mean before it and one difference behind it. Source: expectation compensation (Huang et al.,
ACM Multimedia 2024) and spike-equivalent operations (SpikeZIP-TF, You et al., ICML 2024; there without the means,
which makes the first step T times as large as the others).
"""

from __future__ import annotations

from typing import Any

from spikesim.dynamics import Neuron, Param, SpikeType, State, minimum, where

UNENDING = 2.0**24
"""A number of steps that no run reaches: whole numbers in float32 end here."""


class RunningMean(Neuron):
    """``s(t) = s(t-1) + x(t)``; emits ``s(t) / min(t, steps)``, an analog value.

    Args:
        steps: T; what comes after it corrects the sum and counts as no step.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.telescoping import RunningMean
        >>> RunningMean()(torch.tensor([[2.0], [4.0], [0.0]])).flatten().tolist()
        [2.0, 3.0, 2.0]
    """

    states = {"s": State(), "t": State()}
    params = {"steps": Param(UNENDING)}
    emits = SpikeType("analog")

    def __init__(self, steps: float = UNENDING, **options: Any) -> None:
        super().__init__(steps=float(steps), **options)

    def step(self, x: Any, *, s: Any, t: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        """Add the input, divide by the steps so far."""
        total, count = s + x, minimum(t + 1.0, steps)
        return total / count, {"s": total, "t": count}


class Increment(Neuron):
    """``y(t) = m(t) x(t) - m(t-1) x(t-1)`` with ``m(t) = min(t, steps)``: the steps whose running mean x is.

    The inverse of :class:`RunningMean`; emits an analog value.

    Args:
        steps: T.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.telescoping import Increment
        >>> Increment()(torch.tensor([[2.0], [3.0], [2.0]])).flatten().tolist()
        [2.0, 4.0, 0.0]
    """

    states = {"before": State(), "t": State()}
    params = {"steps": Param(UNENDING)}
    emits = SpikeType("analog")

    def __init__(self, steps: float = UNENDING, **options: Any) -> None:
        super().__init__(steps=float(steps), **options)

    def step(self, x: Any, *, before: Any, t: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        """Subtract what was handed on before."""
        count = minimum(t + 1.0, steps)
        total = count * x
        return total - before, {"before": total, "t": count}


class Held(Neuron):
    """``y(t) = x(t)`` for the first ``steps`` steps, zero after them; emits an analog value.

    Stands where a value that is the same at every step meets one that is not: the layers before it run once, and
    when an input ends, so does what was computed from it.

    Args:
        steps: T.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.telescoping import Held
        >>> Held(steps=2)(torch.ones(3, 1)).flatten().tolist()
        [1.0, 1.0, 0.0]
    """

    states = {"t": State()}
    params = {"steps": Param(UNENDING)}
    emits = SpikeType("analog")

    def __init__(self, steps: float = UNENDING, **options: Any) -> None:
        super().__init__(steps=float(steps), **options)

    def step(self, x: Any, *, t: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        """Hand on while it lasts."""
        return where(t < steps, x, 0.0), {"t": t + 1.0}


TIMED = (RunningMean, Increment, Held)
"""What has to know T when a network settles."""
