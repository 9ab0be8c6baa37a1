r"""Max-pooling of currents that change from step to step, without bias.

The largest of several noisy currents, taken step by step, is on average larger than the largest mean current, and
the error does not go away with time. Over the sums :math:`S(t)` of the currents it does:

.. math:: y(t) = \mathrm{maxpool}(S(t)) - \mathrm{maxpool}(S(t-1)), \qquad
          \frac1T \sum_t y(t) = \mathrm{maxpool}(S(T)/T),

which telescopes to the max-pool of the mean currents, exactly. The pool therefore stands between a running sum and
a difference (the lateral-inhibition pooling of Li and Zeng, IJCAI 2022, applied to currents before the neuron).
"""

from __future__ import annotations

from typing import Any

from spikesim.dynamics import Neuron, SpikeType, State


class RunningSum(Neuron):
    """``s(t) = s(t-1) + x(t)``; emits the sum, an analog value.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.running import RunningSum
        >>> RunningSum()(torch.ones(3, 1)).flatten().tolist()
        [1.0, 2.0, 3.0]
    """

    states = {"s": State()}
    params = {}
    emits = SpikeType("analog")

    def step(self, x: Any, *, s: Any) -> tuple[Any, dict[str, Any]]:
        """Add the input."""
        total = s + x
        return total, {"s": total}


class Difference(Neuron):
    """``y(t) = x(t) - x(t-1)`` with ``x(0) = 0``; emits an analog value. The inverse of :class:`RunningSum`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.running import Difference
        >>> Difference()(torch.tensor([[1.0], [2.0], [5.0]])).flatten().tolist()
        [1.0, 1.0, 3.0]
    """

    states = {"before": State()}
    params = {}
    emits = SpikeType("analog")

    def step(self, x: Any, *, before: Any) -> tuple[Any, dict[str, Any]]:
        """Subtract the input of the step before."""
        return x - before, {"before": x}
