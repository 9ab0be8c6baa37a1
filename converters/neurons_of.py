"""Which neuron stands where: for ReLUs, and where analog values of both signs become spikes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from spikesim.converters.policies import NeuronPolicy, signed_policy
from spikesim.converters.ranges import is_signed
from spikesim.converters.rectifier import Rectifier
from spikesim.errors import ConfigError


@dataclass(frozen=True)
class Neurons:
    """The neurons of one conversion.

    Args:
        name: For reports.
        relu: For ReLUs; the other one where there is none.
        signed: Where both signs are sent.

    Example:
        >>> from spikesim.converters.neurons_of import Neurons
        >>> from spikesim.converters.policies import neuron_policy, signed_policy
        >>> Neurons("if", neuron_policy("if"), signed_policy(None)).relu.name
        'if'
    """

    name: str
    relu: NeuronPolicy
    signed: NeuronPolicy

    def at(self, ann: fx.GraphModule, name: str) -> NeuronPolicy:
        """That of one place, by node name."""
        return self.signed if is_signed(ann, name) else self.relu


def neurons_of(ann: fx.GraphModule, policy: NeuronPolicy, chosen: bool) -> Neurons:
    """The neurons for a canonical graph.

    Args:
        ann: Canonical graph.
        policy: For ReLUs.
        chosen: Whether the user asked for it, so that it counts for the signed places too if it can.

    Raises:
        ConfigError: The neuron waits for steps that do not count, while functions stay analog, whose means would
            count them.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.neurons_of import neurons_of
        >>> from spikesim.converters.policies import neuron_policy
        >>> ann = canonicalise(nn.Sequential(nn.ReLU(), nn.LayerNorm(2), nn.Linear(2, 2)), torch.zeros(1, 2)).graph
        >>> neurons_of(ann, neuron_policy("burst"), True).name
        'burst(5), signed multi_threshold(4)'
    """
    rectifiers = [module for module in ann.children() if isinstance(module, Rectifier)]
    signed = signed_policy(policy if chosen else None)
    relu = policy if any(not r.signed for r in rectifiers) or not rectifiers else signed
    kinds = list(dict.fromkeys((signed if r.signed else relu).name for r in rectifiers))
    if relu.wait and signed.name in kinds:
        raise ConfigError(
            f"neuron is {policy.name!r}, whose first {policy.wait} steps do not count, but functions that stay analog "
            "keep a mean over all steps: choose another neuron, such as 'multi_threshold(4)'"
        )
    return Neurons(", ".join(kinds) or relu.name, relu, signed)
