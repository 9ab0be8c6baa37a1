"""The range of every activation of a graph: from a rule and its histograms, or as it was trained."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, fx, nn

from spikesim.converters.observe import Observation
from spikesim.converters.thresholds import Threshold, safe_thresholds
from spikesim.converters.trained import QCFS
from spikesim.errors import ConfigError


def activation_ranges(
    ann: fx.GraphModule, seen: Observation, rule: Threshold, granularity: str, signed: Threshold | None = None
) -> dict[str, Tensor]:
    """Ranges by node name, float64 ``[C]`` each, positive.

    Args:
        ann: Canonical graph.
        seen: What was observed of it.
        rule: From a histogram to ranges.
        granularity: "channel" or "layer".
        signed: The rule where both signs are sent, if it is another one.

    Raises:
        ConfigError: The rule gives no usable values; the layer is named.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import maximum_threshold
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.observe import observe
        >>> from spikesim.converters.ranges import activation_ranges
        >>> ann = canonicalise(nn.ReLU(), torch.zeros(1, 2)).graph
        >>> seen = observe(ann, torch.tensor([[1.0, 3.0]]), 1, torch.zeros(1))
        >>> activation_ranges(ann, seen, maximum_threshold, "channel")["relu_0"].tolist()
        [1.0, 3.0]
    """
    theta = {}
    for node in ann.graph.nodes:
        if node.name in seen.histograms:
            histogram = seen.histograms[node.name]
            trained = ann.get_submodule(str(node.target)).trained
            if isinstance(trained, QCFS):
                theta[node.name] = trained.reach.detach().double().cpu().expand(histogram.channels).clone()
                continue
            groups = 1 if granularity == "layer" else _channels_to_come(ann, node)
            try:
                here = signed if signed is not None and is_signed(ann, node.name) else rule
                found = here(histogram.grouped(groups))
            except ConfigError as error:
                raise ConfigError(f"layer '{node.name}': {error}") from error
            cap = cap_of(ann, node.name)
            theta[node.name] = safe_thresholds(found, histogram).clamp(max=math.inf if cap is None else cap)
    return theta


def cap_of(ann: fx.GraphModule, name: str) -> float | None:
    """The largest output of an activation by node name (ReLU6: 6), or None.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.ranges import cap_of
        >>> cap_of(canonicalise(nn.ReLU6(), torch.zeros(1, 2)).graph, "relu6_0")
        6.0
    """
    cap: float | None = _rectifier(ann, name).cap
    return cap


def is_signed(ann: fx.GraphModule, name: str) -> bool:
    """Whether an activation by node name is a place where values of both signs become spikes.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.ranges import is_signed
        >>> ann = canonicalise(nn.Sequential(nn.GELU(), nn.Linear(2, 2), nn.ReLU()), torch.zeros(1, 2)).graph
        >>> is_signed(ann, "linear_1_spikes"), is_signed(ann, "relu_2")
        (True, False)
    """
    return bool(_rectifier(ann, name).signed)


def _rectifier(ann: fx.GraphModule, name: str) -> Any:
    return next(ann.get_submodule(str(n.target)) for n in ann.graph.nodes if n.name == name)


def _channels_to_come(ann: fx.GraphModule, node: fx.Node) -> int:
    """As how many channels the readers of a neuron layer see it: features that become one channel share a threshold."""
    readers = [ann.get_submodule(str(u.target)) if u.op == "call_module" else None for u in node.users]
    shapes = [u.meta["shape"] for u, m in zip(node.users, readers) if isinstance(m, nn.Unflatten)]
    return math.gcd(node.meta["shape"][0], *(shape[0] for shape in shapes))
