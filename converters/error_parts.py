r"""Where a layer's error comes from: clipping, quantisation, what it was given, and uneven spikes.

With the ANN's current :math:`z` and the mean current :math:`c` that the layer got, in thresholds, the quantised ReLU
:math:`Q` and the rate :math:`r`, the difference between activation and rate is the sum of four:

.. math:: a - r = \underbrace{a - \min(a, m)}_{\text{clipping}} + \underbrace{\min(a, m) - Q(z)}_{\text{quantisation}}
          + \underbrace{Q(z) - Q(c)}_{\text{handed down}} + \underbrace{Q(c) - r}_{\text{unevenness}}
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from spikesim.converters.flow import Means, over_time, quantised_rate
from spikesim.converters.inputs import Inputs


class ErrorParts(BaseModel):
    """Root mean squares of the parts, over that of the ANN's activation.

    Args:
        clipping: Activations beyond the largest rate.
        quantisation: Activations between two levels.
        handed_down: Made by the layers before.
        unevenness: Spikes that came too early or too late for the tally to be right.
        total: Of the whole difference; not the sum, for the parts may cancel.

    Example:
        >>> from spikesim.converters.error_parts import ErrorParts
        >>> ErrorParts(clipping=0.1, quantisation=0.2, handed_down=0.0, unevenness=0.3, total=0.4).worst
        'unevenness'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    clipping: float
    quantisation: float
    handed_down: float
    unevenness: float
    total: float

    @property
    def worst(self) -> str:
        """The largest of the layer's own parts."""
        own = {"clipping": self.clipping, "quantisation": self.quantisation, "unevenness": self.unevenness}
        return max(own, key=own.__getitem__)

    @property
    def own(self) -> float:
        """How large that part is."""
        return float(getattr(self, self.worst))


REMEDIES = {
    "clipping": "a higher threshold (threshold='percentile(99.9)'), or neuron='burst'",
    "quantisation": "more steps, or neuron='group(4)' or 'multi_threshold(4)'",
    "unevenness": "neuron='signed_if' or 'parallel', or exact=True",
}
"""What to try against the worst part."""


def error_parts(preactivation: Tensor, means: Means, timesteps: int, most: float, least: float = 0.0) -> ErrorParts:
    """Take the error of a layer apart.

    Args:
        preactivation: What the ANN's ReLU got, in thresholds, ``[N, ...]``.
        means: What the spiking layer got and gave for the same inputs.
        timesteps: T.
        most: Largest tally.
        least: Smallest tally; below zero where no ReLU stands but both signs are sent.

    Example:
        >>> import torch
        >>> from spikesim.converters.error_parts import error_parts
        >>> from spikesim.converters.flow import Means
        >>> parts = error_parts(torch.tensor([2.0]), Means(torch.tensor([2.0]), torch.tensor([1.0]), 1.0, 4.0), 4, 4)
        >>> parts.clipping, parts.unevenness
        (0.5, 0.0)
    """
    activation = preactivation if least < 0 else preactivation.clamp(min=0)
    clipped = activation.clamp(least / timesteps, most / timesteps)
    even = quantised_rate(preactivation, timesteps, most, least)
    got, rate = quantised_rate(means.current, timesteps, most, least), means.rate
    scale = float(activation.square().mean().sqrt()) or 1.0

    def size(part: Tensor) -> float:
        return float(part.square().mean().sqrt()) / scale if part.numel() else 0.0

    return ErrorParts(
        clipping=size(activation - clipped),
        quantisation=size(clipped - even),
        handed_down=size(even - got),
        unevenness=size(got - rate),
        total=size(activation - rate),
    )


class PartsOverTime:
    """Takes the errors of all layers apart at several t while the network runs, without keeping its activations.

    Args:
        wanted: What each ReLU of the ANN gets, in thresholds, by node name, see :func:`preactivations`.
        steps: The t at which.
        bounds: The smallest and the largest tally in T steps, and the most spikes in a step, by node name.
        wait: Steps before the first that counts.

    Example:
        >>> import torch
        >>> from spikesim.converters.error_parts import PartsOverTime
        >>> parts = PartsOverTime({"relu": torch.tensor([[0.5]])}, [1, 2], {"relu": (0, 2, 1)})
        >>> parts.watch("relu", torch.tensor([[0.5]]), torch.tensor([[1.0], [0.0]]), 2)
        >>> [round(found.total, 2) for found in parts.found["relu"].values()]
        [1.0, 0.0]
    """

    def __init__(
        self, wanted: dict[str, Tensor], steps: list[int], bounds: dict[str, tuple[float, float, int]], wait: int = 0
    ) -> None:
        self.wanted, self.steps, self.bounds, self.wait = wanted, steps, bounds, wait
        self.found: dict[str, dict[int, ErrorParts]] = {}

    def watch(self, name: str, current: Tensor, sent: Tensor, steps: int, changes: bool = False) -> None:
        """A layer has run; see :data:`spikesim.converters.flow.Watch`."""
        constant = current.shape[0] * steps == sent.shape[0] and steps > 1
        self.found[name] = {}
        least, most, burst = self.bounds[name]
        for t in self.steps:
            mean = current if constant else over_time(current, steps, self.wait, changes, t) / t
            means = Means(mean, over_time(sent, steps, self.wait, changes, t) / t, 0.0, 0.0)
            self.found[name][t] = error_parts(self.wanted[name], means, t, min(most, burst * t), max(least, -burst * t))


def preactivations(ann: torch.fx.GraphModule, samples: Inputs, worth: dict[str, Tensor]) -> dict[str, Tensor]:
    """What each Rectifier of the canonical ANN gets, in thresholds, by node name.

    Args:
        ann: Canonical graph.
        samples: Inputs ``[N, ...]``.
        worth: What a spike is worth, ``[C]``.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.error_parts import preactivations
        >>> ann = canonicalise(nn.Sequential(nn.ReLU()), torch.zeros(1, 2)).graph
        >>> preactivations(ann, torch.tensor([[3.0, -1.0]]), {"relu_0": torch.tensor([2.0, 1.0])})["relu_0"].tolist()
        [[1.5, -1.0]]
    """
    found: dict[str, Tensor] = {}

    class Watch(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> object:
            if n.name in worth:
                (x,), _ = self.fetch_args_kwargs_from_env(n)
                found[n.name] = x / worth[n.name].to(x).reshape(-1, *[1] * (x.dim() - 2))
            return super().run_node(n)

    with torch.no_grad():
        Watch(ann).run(samples)
    return found
