"""What a layer holds, whatever runs through it: parameters, weights, bytes of state."""

from __future__ import annotations

from torch import nn

from spikesim.dynamics import Neuron
from spikesim.energy.counting import Seen


def attributes(module: nn.Module | None, seen: Seen) -> dict[str, int]:
    """Sizes of a module's own parameters and states, by name of the field of ``LayerCounts``.

    Args:
        module: the layer; None for what is no module (the readout).
        seen: what ran in it.
    """
    if module is None:
        return {}
    own = list(module.parameters(recurse=False))
    weights = [] if isinstance(module, Neuron) else [p for p in own if p.dim() > 1]
    return {
        "params": sum(p.numel() for p in own),
        "weights": sum(p.numel() for p in weights),
        "zero_weights": sum(int((p == 0).sum()) for p in weights),
        "state_bytes": seen.state_bytes,
        "largest_spike": seen.largest_spike,
    }
