"""A question whose answer is known: what a saved network said to it, so that a loaded one can be asked again.

The probe is noise, not data, so that an artefact holds nobody's images. It is asked in double precision, where no order
of additions decides a spike, so that the answer does not depend on the machine.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikesim.converters.flow import measured_means
from spikesim.errors import CheckpointError
from spikesim.nn import Network

TOLERANCE = 1e-6
"""Of the largest output."""

_SAMPLES = 4
_SCALES = (4.0, 16.0, 64.0, 0.25)


class Probe(NamedTuple):
    """A question and its answer.

    Args:
        x: Inputs ``[N, ...]``.
        output: What the network gives, float64 ``[N, ...]``.
        spikes: How many spikes each neuron layer sends, in the order of the graph, int64.

    Example:
        >>> from spikesim.converters.probe import Probe
        >>> Probe._fields
        ('x', 'output', 'spikes')
    """

    x: Tensor
    output: Tensor
    spikes: Tensor


def make_probe(network: Network, shape: tuple[int, ...], timesteps: int) -> Probe:
    """Ask a network; the noise is made louder until every layer has something to say.

    Args:
        network: A converted network.
        shape: Of one sample.
        timesteps: T.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> from spikesim.converters.probe import check_probe, make_probe
        >>> network, _ = convert(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.rand(9, 3), timesteps=4)
        >>> probe = make_probe(network, (3,), 4)
        >>> check_probe(network, probe, 4)
    """
    noise = torch.randn(_SAMPLES, *shape, generator=torch.Generator().manual_seed(0))
    double = _double(network)
    best = _answer(double, noise, timesteps)[0]
    for scale in _SCALES:
        if bool((best.spikes > 0).all()):
            break
        found = _answer(double, noise * scale, timesteps)[0]
        if int((found.spikes > 0).sum()) > int((best.spikes > 0).sum()):
            best = found
    return best


def check_probe(network: Network, probe: Probe, timesteps: int) -> None:
    """Ask again.

    Args:
        network: A network that claims to be the one that was saved.
        probe: What the saved one said.
        timesteps: T.

    Raises:
        CheckpointError: It answers otherwise; the first layer that does is named.
    """
    found, names = _answer(_double(network), probe.x, timesteps)
    if len(found.spikes) != len(probe.spikes) or found.output.shape != probe.output.shape:
        raise CheckpointError("its layers or outputs are not those that the stored probe was put to")
    for name, now, before in zip(names, found.spikes.tolist(), probe.spikes.tolist()):
        if now != before:
            raise CheckpointError(f"layer '{name}' sends {now} spikes on the stored probe, and sent {before}")
    scale = max(float(probe.output.abs().max()), 1e-30) if probe.output.numel() else 1.0
    off = float((found.output - probe.output).abs().max()) / scale if probe.output.numel() else 0.0
    if not off <= TOLERANCE:
        raise CheckpointError(
            f"all spikes on the stored probe are as they were, but the outputs are off by {off:.2g} of the largest: "
            "the layers behind the last neuron have changed"
        )


def _double(network: Network) -> Network:
    copied: Network = copy.deepcopy(network).double().cpu().eval()
    return copied


def _answer(network: Network, x: Tensor, timesteps: int) -> tuple[Probe, list[str]]:
    means, output = measured_means(network, x.double(), timesteps)
    graph: Any = network.module
    names = [node.name for node in graph.graph.nodes if node.name in means]
    spikes = torch.tensor([round(means[name].spikes * len(x)) for name in names], dtype=torch.int64)
    return Probe(x, output.detach().double().contiguous(), spikes), names
