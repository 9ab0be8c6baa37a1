"""Where analog values become spikes, so that every layer with weights behind an analog function gets spikes.

Linear layers on tokens are 1x1 convolutions between two permutations. Activations move in front of the second, where
channels are on axis 1 and have thresholds of their own, and neighbouring permutations cancel.
"""

from __future__ import annotations

from torch import fx

from spikesim.converters.analog import ANALOG, ELEMENTWISE, Kept
from spikesim.converters.linear import LINEAR
from spikesim.converters.movements import Permute
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench
from spikesim.dynamics import Neuron

SPIKES = "linear map of spikes, in which a neuron sends its analog input, by levels of either sign"


def carries_analog(bench: Workbench, node: fx.Node) -> bool:
    """Whether an analog function gave the values of a node, or some of them, with no layer or neuron between.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.spike_places import carries_analog
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.Sequential(nn.GELU(), nn.Flatten(), nn.Linear(2, 2))), torch.zeros(1, 2))
        >>> [carries_analog(bench, n) for n in bench.graph.nodes]
        [False, True, True, False, False]
    """
    front, seen = [node], set()
    while front:
        now = front.pop()
        module = bench.module(now)
        if isinstance(module, ANALOG) and not isinstance(module, Kept):
            return True
        if now not in seen and not isinstance(module, (*LINEAR, Rectifier, Neuron, Kept)):
            seen.add(now)
            front += now.all_input_nodes
    return False


def place_neurons(bench: Workbench) -> None:
    """Put a signed Rectifier before every layer with weights that reads analog values; one for all that read the same.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> graph = canonicalise(nn.Sequential(nn.GELU(), nn.Linear(2, 2)), torch.zeros(1, 2)).graph
        >>> [node.name for node in graph.graph.nodes]
        ['x', 'gelu_0', 'linear_1_spikes', 'linear_1', 'output']
    """
    for node in list(bench.graph.nodes):
        if not isinstance(bench.module(node), LINEAR):
            continue
        source: fx.Node = node.args[0]
        if not carries_analog(bench, source):
            continue
        neuron = bench.between(source, Rectifier(signed=True), f"{node.meta['origin']}_spikes", node)
        neuron.meta["origin"] = node.meta["origin"]
        for user in list(source.users):
            if user is not neuron and isinstance(bench.module(user), LINEAR):
                user.replace_input_with(source, neuron)
                found = bench.findings.get(user.meta["origin"])
                if (
                    found is None or found.verdict is not Verdict.ANALOG
                ):  # attention with its projections says it itself
                    bench.note(user, Verdict.APPROXIMATED, SPIKES)


def tidy_permutations(bench: Workbench) -> None:
    """Move activations in front of permutations; compose, share and drop permutations.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> graph = canonicalise(model, torch.zeros(1, 5, 2)).graph
        >>> [type(module).__name__ for module in graph.children()]
        ['Permute', 'Conv1d', 'Rectifier', 'Conv1d', 'Permute']
    """
    made: dict[tuple[fx.Node, tuple[int, ...]], fx.Node] = {}
    for node in list(bench.graph.nodes):
        module = bench.module(node)
        if isinstance(module, (Rectifier, *ELEMENTWISE)):
            turned = bench.module(node.args[0])
            if isinstance(turned, Permute):
                inner: fx.Node = node.args[0].args[0]
                node.replace_input_with(node.args[0], inner)
                users = list(node.users)
                after = bench.between(node, Permute(turned.order), f"{node.name}_turned", node.next)
                for user in users:
                    user.replace_input_with(node, after)
                made[node, turned.order] = after
        elif isinstance(module, Permute):
            source: fx.Node = node.args[0]
            before = bench.module(source)
            if isinstance(before, Permute):
                source = source.args[0]  # type: ignore[assignment]
                module.order = tuple(before.order[axis] for axis in module.order)
                node.args = (source,)
            if module.order == tuple(range(len(module.order))):
                bench.remove(node)
            elif (source, module.order) in made:
                node.replace_all_uses_with(made[source, module.order])
                bench.graph.erase_node(node)
            else:
                made[source, module.order] = node
    bench.sweep()
