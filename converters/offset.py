r"""Spikes too many or too few, put right by where the potential starts (COS).

A neuron that ends :math:`\rho` steps with :math:`v < 0` has sent a spike too many, one that ends with
:math:`v \ge \theta` a spike too few. With the potentials :math:`u` of those steps (before a reset) the start

.. math:: v_0' = v_0 - \max\Bigl(\theta, \min_{t:\,s(t)=1} u(t) - \theta + \varepsilon\Bigr)
          \quad\text{or}\quad v_0' = v_0 + \max\Bigl(\theta, \theta + \varepsilon - \max_{t:\,s(t)=0} v(t)\Bigr)

takes one spike away, or adds one (Hao et al., ICLR 2023).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikesim.dynamics import Param, SpikeType, State, TimeAware, maximum, minimum, where
from spikesim.neurons import IF, SpikingNeuron

_FAR = 1e3
_SLIGHTLY = 1e-3


class OffsetOf(SpikingNeuron):
    """How far IF should have started from where it did; emits what is known after each step, an analog value.

    Args:
        threshold: of the neuron.
        steps: after which nothing is learnt any more; ``rho``.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "subtract".

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.offset import OffsetOf
        >>> OffsetOf(steps=2)(torch.tensor([[1.2], [-1.5], [0.6]])).flatten().tolist()  # its first spike was a mistake
        [0.0, -1.0, -1.0]
    """

    states = {
        "v": State(0.5),
        "t": State(),
        "fired": State(_FAR),
        "rested": State(-_FAR),
        "offset": State(),
    }
    params = {"threshold": Param(1.0, min=1e-6), "steps": Param(4.0, min=1.0)}
    emits = SpikeType("analog")
    resets = ("subtract",)

    def __init__(self, threshold: float | Tensor = 1.0, steps: int = 4, **flags: Any) -> None:
        super().__init__(threshold=threshold, steps=float(steps), **flags)

    def step(
        self, x: Any, *, v: Any, t: Any, fired: Any, rested: Any, offset: Any, threshold: Any, steps: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Integrate and fire, remember how near the nearest miss was."""
        u = v + x
        s = self.fire(u, threshold)
        left = self.reset(u, s, threshold)
        fired = where(s > 0.0, minimum(fired, u), fired)
        rested = where(s > 0.0, rested, maximum(rested, u))
        sent = fired < 0.5 * _FAR
        fewer = where(sent, maximum(threshold, fired - (1.0 - _SLIGHTLY) * threshold), 0.0)
        more = maximum(threshold, (1.0 + _SLIGHTLY) * threshold - rested)
        found = where(left < 0.0, -fewer, where(left >= threshold, more, 0.0))
        offset = where(t < steps, found, offset)
        return offset, {"v": left, "t": t + 1.0, "fired": fired, "rested": rested, "offset": offset}


class OffsetIF(TimeAware):
    """IF that goes through its first steps twice, the second time from where it should have started.

    It waits for ``steps`` steps of its input (or all of it, if there are fewer) before it sends the first spike: that
    is a delay of each layer.

    Args:
        steps: rho.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.offset import OffsetIF
        >>> OffsetIF(2)(torch.tensor([[1.2], [-1.5], [0.6]])).flatten().tolist()  # IF would send 1 first
        [0.0, 0.0, 0.0]
    """

    emits = SpikeType("binary")

    def __init__(self, steps: int = 4) -> None:
        super().__init__()
        self.steps = steps
        self.listen = OffsetOf(steps=steps)
        self.speak = IF(threshold=1.0, initial={"v": 0.5})

    def forward(self, x: Tensor) -> Tensor:
        """Listen, then speak."""
        offsets = self.listen(x)
        offset = self.unfold(offsets)[-1]
        # Rows that are the same at every step come once.
        rows = x if x.shape[0] == offsets.shape[0] else x.expand(self.timesteps or 1, *x.shape).flatten(0, 1)
        steps = self.unfold(rows)
        spikes: Tensor = self.speak(torch.cat([steps[:1] + offset, steps[1:]]).reshape(rows.shape))
        return spikes
