"""Proof that a converted graph holds linear maps, pools and neurons, and nothing else."""

from __future__ import annotations

import operator
from collections import Counter

import torch
from pydantic import BaseModel, ConfigDict
from torch import fx, nn

from spikesim.converters.analog import ANALOG, Kept
from spikesim.converters.differential import ChangeOf, RateOf
from spikesim.converters.linear import LINEAR
from spikesim.converters.maxpool import ALL_MAX, ALL_MEAN
from spikesim.converters.movements import MOVES
from spikesim.converters.policies import CONVERTED
from spikesim.converters.rules_resize import RESIZES
from spikesim.converters.running import Difference, RunningSum
from spikesim.converters.settling import TimedBias
from spikesim.converters.telescoping import TIMED
from spikesim.errors import ConversionError

_OVER_TIME = (RunningSum, Difference, TimedBias, *TIMED, ChangeOf, RateOf)
_LINEAR = (*LINEAR, *ALL_MEAN, nn.Flatten, nn.Unflatten, *RESIZES, *MOVES, *_OVER_TIME)


class Proof(BaseModel):
    """What a walk over every node of the converted graph found.

    Args:
        spiking_layers: Neuron layers, each of the spike type that its report names.
        linear: Linear nodes by kind: layers, mean pools, reshapes, sums, concatenations, sums over time.
        max_pools: Names of max-pools; they compare currents and are no activation function.
        analog_nonlinearities: What stays analog, on running means: the functions of transformers (norms, softmax,
            GELU, products of activations) and what ``allow_analog`` names; with any other the proof fails. Max-pools,
            which are not linear either, are listed above.

    Example:
        >>> from spikesim.converters.proof import Proof
        >>> Proof(spiking_layers=1, linear={"Linear": 2}, max_pools=[], analog_nonlinearities=[]).spiking_layers
        1
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spiking_layers: int
    linear: dict[str, int]
    max_pools: list[str]
    analog_nonlinearities: list[str]


def prove(graph: fx.GraphModule) -> Proof:
    """Walk the converted graph and account for each node.

    Args:
        graph: A converted graph.

    Returns:
        The counts.

    Raises:
        ConversionError: A node is neither linear, nor a max-pool of currents, nor one of the functions that may stay
            analog, nor a neuron of a policy; or there is no neuron at all.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.proof import prove
        >>> from spikesim.converters.trace import trace
        >>> prove(trace(nn.Sequential(nn.Linear(2, 2), nn.Tanh())))
        Traceback (most recent call last):
        ...
        spikesim.errors.ConversionError: analog nonlinearities are left in the converted graph: 'tanh_1' (Tanh)
    """
    linear: Counter[str] = Counter()
    pools, others, kept, neurons = [], [], [], 0
    for node in graph.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, CONVERTED):
            neurons += 1
        elif isinstance(module, ALL_MAX):
            pools.append(node.name)
        elif isinstance(module, ANALOG):
            kept.append(f"{node.name} ({module.label if isinstance(module, Kept) else type(module).__name__})")
        elif isinstance(module, _LINEAR):
            linear[type(module).__name__] += 1
        elif node.op == "call_function" and node.target in (operator.add, torch.cat):
            linear[node.target.__name__] += 1
        else:
            kind = type(module).__name__ if module is not None else str(node.target)
            others.append(f"'{node.name}' ({kind})")
    if others:
        raise ConversionError(f"analog nonlinearities are left in the converted graph: {', '.join(others)}")
    if neurons == 0 and kept:
        raise ConversionError(
            f"no layer would get spikes, since all that is not linear stays analog: {', '.join(kept)}; leave the "
            "functions of transformers out of allow_analog, and neurons stand behind them"
        )
    if neurons == 0:
        raise ConversionError("the model has no ReLU, so that there is nothing to convert: it is linear throughout")
    return Proof(spiking_layers=neurons, linear=dict(linear), max_pools=pools, analog_nonlinearities=kept)


def mixes_time(graph: fx.GraphModule) -> bool:
    """Whether a value that is constant in time meets one that is not, in a sum or a concatenation, or is an output.

    Then the layers before the first neuron cannot be run once on ``[N, ...]`` (``Constant(hoist=True)``).

    Example:
        >>> import torch
        >>> from torch import fx, nn
        >>> from spikesim.converters.proof import mixes_time
        >>> from spikesim.neurons import IF
        >>> graph = fx.Graph()
        >>> x = graph.placeholder("x")
        >>> _ = graph.output(graph.call_function(torch.add, (graph.call_module("0", (x,)), x)))
        >>> mixes_time(fx.GraphModule(nn.Sequential(IF()), graph))  # a residual around the first neuron
        True
    """
    moving: dict[fx.Node, bool] = {}
    for node in graph.graph.nodes:
        sources = [moving[source] for source in node.all_input_nodes]
        if (any(sources) and not all(sources)) or (node.op == "output" and not all(sources)):
            return True
        module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        moving[node] = isinstance(module, (*CONVERTED, *_OVER_TIME)) or any(sources)
    return False
