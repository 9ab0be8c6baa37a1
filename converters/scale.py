r"""Scale: what a spike is worth, from what spikes were sent.

After the distribution-aware calibration of Hao et al., ICML 2025, with factors per channel in closed form:

.. math:: g_c = \frac{\sum a_c r_c}{\sum r_c^2}

makes :math:`g_c r_c` the best least-squares fit to the activation. The factor goes into the weights of all layers that
read the channel. The shift that belongs to it is what the stage ``bias`` finds.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from spikesim.converters.lazy import Lazy
from spikesim.converters.linear import LINEAR, out_channels, rescale
from spikesim.converters.maxpool import ALL_MEAN
from spikesim.converters.packed import Packed
from spikesim.converters.prefix import Prefix, Task, channel_mean
from spikesim.converters.rules_resize import RESIZES

LARGEST = 4.0
"""Factors are kept between this and its inverse: a channel with a handful of spikes says little."""


@torch.no_grad()
def calibrate_scales(task: Task) -> dict[str, float]:
    """Scale the weights behind the neurons of the spiking graph, in place, and ``task.worth`` with them.

    Args:
        task: What to work on.

    Returns:
        Mean absolute change of the factors per layer. A layer is left out where some reader is no linear layer
        (a sum with spikes of the same scale, a concatenation).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(32, 4, generator=torch.Generator().manual_seed(0))
        >>> ann = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> "scale" in convert(ann, x, timesteps=4, calibrate=("scale", "bias")).report.calibration
        True
    """
    return _Scales(task).walk()


class _Scales(Prefix):
    def correct(self, n: fx.Node, neuron: nn.Module, current: Lazy, wanted: Tensor) -> Tensor | Packed:
        spikes = self.fire(neuron, current)
        readers = _readers(self.module, n)
        if readers:
            rate = self.rate(spikes)
            power = channel_mean(rate**2)
            gain = torch.where(power > 0, channel_mean(rate * wanted) / power.clamp(min=1e-30), 1.0)
            gain = gain.clamp(1.0 / LARGEST, LARGEST)
            for reader in readers:
                inputs = _inputs(reader)
                rescale(reader, gain.repeat_interleave(inputs // len(gain)), torch.ones(out_channels(reader)))
            self.task.worth[n.name] = self.task.worth[n.name] * gain.to(self.task.worth[n.name])
            self.moved[n.name] = (gain - 1).abs().mean().item()
        return spikes


def _inputs(layer: nn.Module) -> int:
    return int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)  # type: ignore[arg-type]


def _readers(graph: nn.Module, node: fx.Node) -> list[nn.Module] | None:
    """The linear layers that read a neuron's channels, in order; None if anything else does."""
    found: list[nn.Module] = []
    for user in node.users:
        module = graph.get_submodule(str(user.target)) if user.op == "call_module" else None
        if isinstance(module, LINEAR):
            found.append(module)
        elif isinstance(module, (nn.Flatten, *ALL_MEAN, *RESIZES)):
            further = _readers(graph, user)
            if further is None:
                return None
            found += further
        else:
            return None
    return found
