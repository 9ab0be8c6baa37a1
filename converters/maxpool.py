"""Move max-pooling in front of the activation, where it compares currents and not spikes."""

from __future__ import annotations

import copy
import operator

import torch
from torch import fx, nn

from spikesim.converters.analog import ANALOG
from spikesim.converters.linear import LINEAR
from spikesim.converters.policies import CONVERTED
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.running import Difference, RunningSum
from spikesim.converters.verdicts import Verdict
from spikesim.converters.vocabulary import ADAPTIVE_MAX_POOLS, ADAPTIVE_MEAN_POOLS, MAX_POOLS, MEAN_POOLS
from spikesim.converters.workbench import Workbench
from spikesim.dynamics import Neuron

ALL_MAX = (*MAX_POOLS, *ADAPTIVE_MAX_POOLS)
ALL_MEAN = (*MEAN_POOLS, *ADAPTIVE_MEAN_POOLS)
RUNNING = "running max: max-pool of the summed currents, before the neuron; exact in the mean over time"
_REFUSAL = (
    "max-pool of spikes that are summed, averaged or flattened: use average pooling, "
    "or put a convolution between the sum and the pool"
)


def lift_max_pools(bench: Workbench) -> None:
    """Rewrite ``maxpool(relu(z))`` as ``relu(maxpool(z))``, through concatenations too.

    Exact for the ANN, for ReLU is monotone. The activation is copied, so that its other readers keep it.
    A max-pool of anything else that carries spikes is refused: a maximum of spikes is no maximum of rates.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> graph = canonicalise(nn.Sequential(nn.ReLU(), nn.MaxPool1d(2)), torch.zeros(1, 1, 4)).graph
        >>> [node.name for node in graph.graph.nodes]
        ['x', 'maxpool1d_1_first', 'relu_0_pooled', 'output']
    """
    for node in list(bench.graph.nodes):
        pool = bench.module(node)
        if not isinstance(pool, ALL_MAX):
            continue
        lifted = _lift(bench, node.args[0], pool, node)
        if lifted is None and carries_spikes(bench, node.args[0]):
            bench.note(node, Verdict.UNSUPPORTED, _REFUSAL)
            continue
        made = [node] if lifted is None else [n for n in bench.graph.nodes if _made_for(bench, n, node)]
        if any(changes_over_time(bench, n.args[0]) for n in made):
            bench.note(node, Verdict.APPROXIMATED, RUNNING)
        else:
            bench.note(node, Verdict.EXACT, "moved before the neuron, where currents are constant in time")
        if lifted is not None:
            node.replace_all_uses_with(lifted)
            bench.graph.erase_node(node)


def _lift(bench: Workbench, source: fx.Node, pool: nn.Module, node: fx.Node) -> fx.Node | None:
    """Build the pooled form of ``source`` before ``node``; None where max-pool does not commute with it."""
    module = bench.module(source)
    if isinstance(module, Rectifier):
        inner: fx.Node = source.args[0]  # type: ignore[assignment]
        pooled = _lift(bench, inner, pool, node)
        if pooled is None and carries_spikes(bench, inner):
            return None
        if pooled is None:
            pooled = bench.between(inner, copy.deepcopy(pool), f"{node.name}_first", node)
            pooled.meta["origin"] = node.meta["origin"]
        neuron = bench.between(pooled, copy.deepcopy(module), f"{source.name}_pooled", node)
        neuron.meta["origin"] = source.meta["origin"]
        return neuron
    if source.op == "call_function" and source.target is torch.cat:
        parts: list[fx.Node] = list(source.args[0])  # type: ignore[arg-type]
        if not any(carries_spikes(bench, part) for part in parts):
            return None
        lifted = [_lift(bench, part, pool, node) for part in parts]
        for place, part in enumerate(parts):
            if lifted[place] is None and carries_spikes(bench, part):
                return None
            if lifted[place] is None:
                lifted[place] = bench.between(part, copy.deepcopy(pool), f"{node.name}_part", node)
                lifted[place].meta["origin"] = node.meta["origin"]  # type: ignore[union-attr]
        with bench.graph.inserting_before(node):
            joined = bench.graph.call_function(torch.cat, (lifted, 1))
        joined.meta.update(source.meta)
        return joined
    return None


def _made_for(bench: Workbench, made: fx.Node, node: fx.Node) -> bool:
    return made is not node and made.meta["origin"] == node.meta["origin"] and isinstance(bench.module(made), ALL_MAX)


def carries_spikes(bench: Workbench, node: fx.Node) -> bool:
    """Whether a node gives spikes, or sums or means of spikes alone, with no linear layer between.

    A sum with one analog operand is a current. A concatenation carries spikes if one of its parts does.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.maxpool import carries_spikes
        >>> from spikesim.converters.rectifier import Rectifier
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.Sequential(nn.ReLU(), nn.Linear(2, 2))), torch.zeros(1, 2))
        >>> bench.root.relu_0 = Rectifier()
        >>> [carries_spikes(bench, n) for n in bench.graph.nodes]
        [False, True, False, False]
    """
    module = bench.module(node)
    if isinstance(module, Rectifier):
        return True
    if node.op in ("placeholder", "get_attr") or isinstance(module, (*LINEAR, *ANALOG)):
        return False
    found = [carries_spikes(bench, source) for source in node.all_input_nodes]
    return any(found) if node.target is torch.cat else bool(found) and all(found)


def changes_over_time(bench: Workbench, node: fx.Node) -> bool:
    """Whether a node changes over time when the input does not.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.maxpool import changes_over_time
        >>> from spikesim.converters.rectifier import Rectifier
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.Sequential(nn.ReLU(), nn.Linear(2, 2))), torch.zeros(1, 2))
        >>> bench.root.relu_0 = Rectifier()
        >>> [changes_over_time(bench, n) for n in bench.graph.nodes]
        [False, True, True, True]
    """
    if isinstance(bench.module(node), (Rectifier, Neuron, *CONVERTED)):
        return True
    return any(changes_over_time(bench, source) for source in node.all_input_nodes)


def run_max_pools(bench: Workbench) -> None:
    """Put every max-pool of currents that change over time between a running sum and a difference.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.maxpool import run_max_pools
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.workbench import Workbench
        >>> from spikesim.neurons import IF
        >>> bench = Workbench(trace(nn.Sequential(nn.ReLU(), nn.MaxPool1d(2))), torch.zeros(1, 1, 4))
        >>> bench.root.relu_0 = IF()
        >>> run_max_pools(bench)
        >>> [node.name for node in bench.graph.nodes]
        ['x', 'relu_0', 'maxpool1d_1_sum', 'maxpool1d_1', 'maxpool1d_1_difference', 'output']
    """
    for node in list(bench.graph.nodes):
        if isinstance(bench.module(node), ALL_MAX) and changes_over_time(bench, node.args[0]):
            summed = bench.between(node.args[0], RunningSum(), f"{node.name}_sum", node)
            node.replace_input_with(node.args[0], summed)
            bench.after(node, Difference(), f"{node.name}_difference")


def drop_idle_rectifiers(bench: Workbench) -> None:
    """Remove ReLUs of what cannot be negative: relu(relu(x)), relu(cat(relu, relu)).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> graph = canonicalise(nn.Sequential(nn.ReLU(), nn.ReLU()), torch.zeros(1, 1)).graph
        >>> [node.name for node in graph.graph.nodes]
        ['x', 'relu_0', 'output']
    """
    for node in list(bench.graph.nodes):
        module = bench.module(node)
        clips = isinstance(module, Rectifier) and module.cap is None and not module.signed
        if clips and _never_negative(bench, node.args[0]):
            bench.note(node, Verdict.EXACT, "its input is never negative, removed")
            bench.remove(node)


def _never_negative(bench: Workbench, node: fx.Node) -> bool:
    module = bench.module(node)
    if isinstance(module, Rectifier):
        return not module.signed
    passes = isinstance(module, (*ALL_MAX, *ALL_MEAN, nn.Flatten, nn.Unflatten))
    passes |= node.op == "call_function" and node.target in (torch.cat, operator.add)
    return passes and all(_never_negative(bench, source) for source in node.all_input_nodes)
