"""A question whose answer is known: what a saved network said to it, so that a loaded one can be asked again.

The probe is noise, not data, so that an artefact holds nobody's images. It is asked in double precision, where no order
of additions decides a spike, so that the answer does not depend on the machine.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikesim.converters.flow import measured_means
from spikesim.converters.inputs import tensors_of
from spikesim.converters.movements import TokenEmbedding
from spikesim.errors import CheckpointError
from spikesim.nn import Network

TOLERANCE = 1e-6
"""Of the largest output."""

_SAMPLES = 4
_SCALES = (4.0, 16.0, 64.0, 0.25)


class Probe(NamedTuple):
    """A question and its answer.

    Args:
        inputs: Each ``[N, ...]``.
        outputs: What the network gives, float64, each ``[N, ...]``.
        spikes: How many spikes each neuron layer sends, in the order of the graph, int64.

    Example:
        >>> import torch
        >>> from spikesim.converters.probe import Probe
        >>> probe = Probe((torch.zeros(1, 2),), (torch.zeros(1, 3),), torch.tensor([4]))
        >>> sorted(probe.tensors())
        ['input.0', 'output.0', 'spikes']
        >>> Probe.of(probe.tensors()).spikes
        tensor([4])
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    spikes: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """All by name, for a file."""
        named = {f"input.{place}": x for place, x in enumerate(self.inputs)}
        return {**named, **{f"output.{place}": y for place, y in enumerate(self.outputs)}, "spikes": self.spikes}

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> Probe:
        """The inverse of :meth:`tensors`.

        Raises:
            LookupError: One is missing.
        """

        def numbered(kind: str) -> tuple[Tensor, ...]:
            found = sum(name.startswith(kind) for name in tensors)
            return tuple(tensors[f"{kind}.{place}"] for place in range(found))

        return cls(numbered("input"), numbered("output"), tensors["spikes"])


def make_probe(network: Network, shapes: Sequence[tuple[int, ...]], timesteps: int) -> Probe:
    """Ask a network; the noise is made louder until every layer has something to say.

    Args:
        network: A converted network.
        shapes: Of one sample of every input.
        timesteps: T.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> from spikesim.converters.probe import check_probe, make_probe
        >>> network, _ = convert(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.rand(9, 3), timesteps=4)
        >>> probe = make_probe(network, [(3,)], 4)
        >>> check_probe(network, probe, 4)
    """
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(_SAMPLES, *shape, generator=generator) for shape in shapes]
    tokens = _tokens(network)
    for place, size in tokens.items():
        noise[place] = torch.randint(size, noise[place].shape, generator=generator).float()
    double = _double(network)
    best = _answer(double, noise, timesteps)[0]
    for scale in _SCALES:
        if bool((best.spikes > 0).all()):
            break
        found = _answer(double, [x if k in tokens else x * scale for k, x in enumerate(noise)], timesteps)[0]
        if int((found.spikes > 0).sum()) > int((best.spikes > 0).sum()):
            best = found
    return best


def _tokens(network: Network) -> dict[int, int]:
    """How many rows the table has in which an input is looked up, by the place of the input."""
    graph: Any = network.module
    inputs = [node for node in graph.graph.nodes if node.op == "placeholder"]
    found = {}
    for place, node in enumerate(inputs):
        readers = [graph.get_submodule(str(user.target)) for user in node.users if user.op == "call_module"]
        sizes = [len(reader.weight) for reader in readers if isinstance(reader, TokenEmbedding)]
        if sizes:
            found[place] = min(sizes)
    return found


def check_probe(network: Network, probe: Probe, timesteps: int) -> None:
    """Ask again.

    Args:
        network: A network that claims to be the one that was saved.
        probe: What the saved one said.
        timesteps: T.

    Raises:
        CheckpointError: It answers otherwise; the first layer that does is named.
    """
    found, names = _answer(_double(network), probe.inputs, timesteps)
    shapes = [[y.shape for y in answer.outputs] for answer in (found, probe)]
    if len(found.spikes) != len(probe.spikes) or shapes[0] != shapes[1]:
        raise CheckpointError("its layers or outputs are not those that the stored probe was put to")
    for name, now, before in zip(names, found.spikes.tolist(), probe.spikes.tolist()):
        if now != before:
            raise CheckpointError(f"layer '{name}' sends {now} spikes on the stored probe, and sent {before}")
    off = max(map(_difference, found.outputs, probe.outputs), default=0.0)
    if not off <= TOLERANCE:
        raise CheckpointError(
            f"all spikes on the stored probe are as they were, but the outputs are off by {off:.2g} of the largest: "
            "the layers behind the last neuron have changed"
        )


def _double(network: Network) -> Network:
    copied: Network = copy.deepcopy(network).double().cpu().eval()
    return copied


def _difference(now: Tensor, before: Tensor) -> float:
    """The largest, relative to the largest value."""
    if not before.numel():
        return 0.0
    return float((now - before).abs().max()) / max(float(before.abs().max()), 1e-30)


def _answer(network: Network, inputs: Sequence[Tensor], timesteps: int) -> tuple[Probe, list[str]]:
    x = tuple(x.double() for x in inputs)
    means, output = measured_means(network, x if len(x) > 1 else x[0], timesteps)
    graph: Any = network.module
    names = [node.name for node in graph.graph.nodes if node.name in means]
    spikes = torch.tensor([round(means[name].spikes * len(x[0])) for name in names], dtype=torch.int64)
    outputs = tuple(y.detach().double().contiguous() for y in tensors_of(output))
    return Probe(tuple(inputs), outputs, spikes), names
