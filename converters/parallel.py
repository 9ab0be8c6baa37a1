r"""The parallel neuron: all steps of a conversion neuron in closed form.

.. math:: n = \mathrm{clip}\left(\left\lfloor \sum_t x(t) + \frac12 \right\rfloor, 0, T\right), \qquad
          s(t) = [\, n > T - t \,], \quad t = 1, \ldots, T

It knows the whole input before it sends the first spike, so that spikes which come unevenly do no harm: with T = L
steps it says exactly what a ReLU quantised to L levels says (Hao et al., ICML 2025). The price is that every layer has
to wait for the one before: on a chip the latency is T times the depth.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from spikesim.converters.running import RunningSum
from spikesim.dynamics import Param, SpikeType, State, TimeAware, floor
from spikesim.neurons import SpikingNeuron


class LastForAll(TimeAware):
    """The value of the last step, at every step.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.parallel import LastForAll
        >>> LastForAll()(torch.tensor([[1.0], [2.0], [5.0]])).flatten().tolist()
        [5.0, 5.0, 5.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """Repeat the last step."""
        steps = self.unfold(x)
        return steps[-1:].expand_as(steps).reshape(x.shape)


class LateSpikes(SpikingNeuron):
    """As many spikes as its constant input holds, in the last of ``steps`` steps.

    .. code-block:: text

        n    = floor(x + 1/2)
        s(t) = [n >= steps - t]                                   (t = 0, 1, ...)

    Args:
        steps: T.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.parallel import LateSpikes
        >>> LateSpikes(4)(torch.full((4, 1), 1.7)).flatten().tolist()
        [0.0, 0.0, 1.0, 1.0]
    """

    states = {"t": State()}
    params = {"steps": Param(1.0, min=1.0)}
    potentials = ()
    resets = ("none",)

    def __init__(self, steps: int = 1, **flags: Any) -> None:
        super().__init__(steps=float(steps), **{"reset": "none", **flags})

    def step(self, x: Any, *, t: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        """Count down, fire from the step on that leaves as many as are to be sent."""
        return self.fire(floor(x + 0.5), steps - t), {"t": t + 1.0}


class ParallelIF(nn.Sequential):
    """Sum the input over all steps, then send it as spikes.

    Args:
        steps: T.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.parallel import ParallelIF
        >>> ParallelIF(3)(torch.tensor([[-2.0], [0.0], [3.7]])).flatten().tolist()  # IF would send 1, too late
        [0.0, 1.0, 1.0]
    """

    emits = SpikeType("binary")

    def __init__(self, steps: int = 1) -> None:
        super().__init__(RunningSum(), LastForAll(), LateSpikes(steps))
        self.steps = steps
