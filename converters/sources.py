"""Which layer of the model each layer of a graph comes from: written down once, when the model is traced.

Rewrites hand it on: what a rule makes of an operation comes from that operation, what is put in between later comes
from the layer that it serves.
"""

from __future__ import annotations

from torch import fx, nn

ROOT = "(root)"


def note_sources(graph: fx.Graph, model: nn.Module, root: nn.Module) -> None:
    """Write the name of a module of the model into ``meta["source"]`` of every operation.

    A function comes from the innermost module whose forward calls it.

    Args:
        graph: As it was traced, its calls by the names of the modules.
        model: The model; names are those of its ``named_modules()``, its own is ``(root)``.
        root: What was traced: a copy, or a Sequential around one if the model is a single layer.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.trace import trace
        >>> graph = trace(nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.ReLU())).graph
        >>> [node.meta["source"] for node in graph.nodes if node.op == "call_module"]
        ['0.0', '1']
    """
    wrapped = type(root) is not type(model) and isinstance(root, nn.Sequential)
    for node in graph.nodes:
        if node.op == "call_module":
            node.meta["source"] = ROOT if wrapped else str(node.target)
        elif node.op.startswith("call_"):
            stack = node.meta.get("nn_module_stack") or {}
            node.meta["source"] = next((path for path, _ in reversed(stack.values())), "") or ROOT


def sources_of(module: nn.Module) -> dict[str, str]:
    """Layer of a graph -> layer of the model that it comes from; empty for what is no graph.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(16, 4)
        >>> network, _ = convert(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), x, timesteps=4)
        >>> network.sources
        {'linear_0': '0', 'relu_1': '1', 'linear_2': '2'}
    """
    nodes = module.graph.nodes if isinstance(module, fx.GraphModule) else ()
    return {str(n.target): n.meta["source"] for n in nodes if n.op == "call_module" and "source" in n.meta}
