"""From any traceable model to a graph of few kinds of nodes, with a verdict on every operation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import fx, nn

from spikesim.converters.allowed import check_names, keep_analog, wanted
from spikesim.converters.batchnorm import fold_norms
from spikesim.converters.binding import call_name, is_shape, refuse
from spikesim.converters.entrance import unwrapped
from spikesim.converters.hidden import hidden_effects
from spikesim.converters.inplace import functionalise
from spikesim.converters.inputs import Inputs, each, tensors_of
from spikesim.converters.maxpool import drop_idle_rectifiers, lift_max_pools
from spikesim.converters.outputs import outputs_of, unusable
from spikesim.converters.rules_units import drop
from spikesim.converters.spike_places import place_neurons, tidy_permutations
from spikesim.converters.trace import TraceFailure, own_randomness, trace
from spikesim.converters.verdicts import Finding, Verdict
from spikesim.converters.vocabulary import ANY_AXIS, rule_for
from spikesim.converters.workbench import Workbench
from spikesim.errors import ConversionError


@dataclass(frozen=True)
class Operation:
    """One operation of the model as written, and what becomes of it.

    Args:
        name: Node name, unique.
        op: Module with its main settings, or function name.
        shape: Output shape of one sample; None where the output is no batch.
        finding: Verdict and method, reason or hint.

    Example:
        >>> from spikesim.converters.canonical import Operation
        >>> from spikesim.converters.verdicts import Finding, Verdict
        >>> Operation("fc", "Linear", (10,), Finding(Verdict.EXACT, "linear map")).name
        'fc'
    """

    name: str
    op: str
    shape: tuple[int, ...] | None
    finding: Finding


@dataclass(frozen=True)
class Canonical:
    """The canonical graph and the verdicts.

    Args:
        graph: Conv, Linear, pools, reshapes and other moves of values, add, cat(dim=1), Rectifier and functions that
            stay analog only, if all is supported.
        operations: Every operation of the model, in order of execution.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1))
        >>> [n.name for n in canonicalise(model, torch.zeros(1, 2)).graph.graph.nodes]
        ['x', 'linear_0', 'relu_2', 'linear_3', 'output']
    """

    graph: fx.GraphModule
    operations: list[Operation]

    @property
    def unsupported(self) -> list[Operation]:
        """The operations that prevent conversion."""
        return [o for o in self.operations if o.finding.verdict is Verdict.UNSUPPORTED]


def canonicalise(
    model: nn.Module, example: Inputs, *, lift: bool = True, allow_analog: Collection[str] = ()
) -> Canonical:
    """Trace a copy of ``model`` and rewrite it; the model stays as it is.

    Args:
        model: Takes tensors ``[N, ...]`` and returns tensors.
        example: An input of the model, at least one sample; a tuple or a dict by name for several.
        lift: Move max-pools in front of activations, as spikes need it.
        allow_analog: Operations that stay what they are, see :func:`spikesim.converters.audit`.

    Returns:
        The rewritten copy with its verdicts; it may still hold unsupported operations.

    Raises:
        ConversionError: The model cannot be traced, or the example does not pass through it.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> found = canonicalise(nn.Sequential(nn.Linear(2, 3), nn.ELU()), torch.zeros(1, 2))
        >>> [o.op for o in found.unsupported]
        ['ELU(alpha=1.0)']
    """
    model, tensors = unwrapped(model), tensors_of(example)
    flat = list(example) if isinstance(example, dict | tuple | list) else [example]
    sizes = {t.shape[0] if t.dim() > 1 else 0 for t in tensors}
    if not tensors or len(tensors) != len(flat) or len(sizes) != 1 or 0 in sizes:
        given = each(lambda t: tuple(t.shape), example) if tensors else type(example).__name__
        raise ConversionError(
            "the example must be a tensor [N, ...] with at least one sample, or a tuple or dict of such tensors with "
            f"equal N; given {given}"
        )
    with own_randomness(tensors[0]):
        return _canonicalise(model, example, lift, allow_analog)


def _canonicalise(model: nn.Module, example: Inputs, lift: bool, allow: Collection[str]) -> Canonical:
    bench = Workbench(trace(model, example), example, moved=True)
    listed = [(n.name, _describe(bench, n), n.meta["shape"]) for n in bench.graph.nodes if n.op.startswith("call_")]
    _check_output(bench)
    check_names(bench, allow)
    for node in list(bench.graph.nodes):
        if node.op.startswith("call_") and rule_for(bench, node) is drop:
            drop(bench, node)
    functionalise(bench)
    bench.sweep()
    for node in [n for n in bench.graph.nodes if n.op.startswith("call_")]:
        bench.source = node.meta["source"]
        _apply(bench, node, allow)
    bench.source = None
    lost = Finding(Verdict.EXACT, "not used by the output")
    try:
        graph = _arranged(bench, lift)
    except ConversionError:
        # What is refused stays as it was written, and what is around it may have its samples on another axis by now.
        if all(found.verdict is not Verdict.UNSUPPORTED for found in bench.findings.values()):
            raise
        graph, lost = bench.finish(), Finding(Verdict.EXACT, "not looked at, since others are refused")
    operations = [Operation(name, op, shape, bench.findings.get(name, lost)) for name, op, shape in listed]
    hidden = [
        Operation(name, kind, None, Finding(Verdict.UNSUPPORTED, why)) for name, kind, why in hidden_effects(model)
    ]
    return Canonical(graph, operations + hidden)


def _arranged(bench: Workbench, lift: bool) -> fx.GraphModule:
    """The graph once every operation has its rule: norms folded, pools and neurons in their places."""
    bench.sweep()
    tidy_permutations(bench)
    bench.measure()
    fold_norms(bench)
    bench.sweep()
    if lift:
        drop_idle_rectifiers(bench)
        lift_max_pools(bench)
        place_neurons(bench)
    graph = bench.finish()
    bench.measure()
    return graph


def _apply(bench: Workbench, node: fx.Node, allow: Collection[str]) -> None:
    if bench.findings.get(node.meta["origin"]) is not None:
        return None
    name = call_name(bench, node)
    if node.meta["plain"] and not is_shape(node):
        return refuse(bench, node, "item")
    if node.meta["plain"]:
        return bench.note(node, Verdict.EXACT, "arithmetic on shapes, resolved")
    if node.meta["constant"] is not None or node.meta["rows"] is not None:
        return bench.note(node, Verdict.EXACT, "does not depend on the input, computed once")
    inputs = [n for n in node.all_input_nodes if not n.meta["plain"] and n.meta["constant"] is None]
    if wanted(bench, node, allow):
        return keep_analog(bench, node)
    rule = rule_for(bench, node)
    if rule is None:
        return refuse(bench, node, name, _follows(bench, node, name))
    if rule not in ANY_AXIS and (node.meta["shape"] is None or any(n.meta["shape"] is None for n in inputs)):
        why = "the first axis of its input or output is not the batch: use flatten(1) or view(x.size(0), -1)"
        return refuse(bench, node, name, why)
    try:
        rule(bench, node)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        refuse(bench, node, name, f"'{name}' with arguments that are not understood ({error}): use the nn module")
    return None


def _follows(bench: Workbench, node: fx.Node, name: str) -> str:
    """What to say of a part taken from a refused operation: the operation is the cause, not the indexing."""
    found = bench.findings.get(node.all_input_nodes[0].meta["origin"]) if node.all_input_nodes else None
    refused = found is not None and found.verdict is Verdict.UNSUPPORTED
    return f"takes a part of the result of '{node.all_input_nodes[0].name}'" if refused and name == "getitem" else ""


def _check_output(bench: Workbench) -> None:
    kind = unusable(next(n for n in bench.graph.nodes if n.op == "output").args[0])
    found = outputs_of(bench.graph)
    odd = next((f"'{node.name}', which has no batch axis" for node in found.values() if node.meta["plain"]), kind)
    if odd is not None or not found:
        raise TraceFailure(
            f"the model must return tensors [N, ...], one or in tuples, lists or dicts, and it returns "
            f"{odd or 'none'}: wrap it to return those alone"
        )


def _describe(bench: Workbench, node: fx.Node) -> str:
    module = bench.module(node)
    if module is None:
        return ("." if node.op == "call_method" else "") + call_name(bench, node)
    text = repr(module)
    return text if "\n" not in text and len(text) <= 60 else type(module).__name__
