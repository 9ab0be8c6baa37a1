"""The graph of a model by torch.export, where recording its forward with stand-ins for tensors fails.

Export runs the forward on tensors without values, so that loops over sizes, checks of types and modules that are made
on the way are no obstacle; what depends on values is one for it too. Its operations are written back as the functions
of torch that users call.
"""

from __future__ import annotations

import copy
import io
import operator
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from spikesim.converters.inputs import Inputs, each, first, tensors_of
from spikesim.converters.signature import Signature
from spikesim.converters.transformer_layers import written_out

_CHECKS = ("_assert", "sym_constrain", "_assert_tensor_metadata", "_assert_scalar")
_METHODS = {"clone", "contiguous", "detach", "expand", "expand_as", "to", "type_as"}
_SAME = {
    "alias": "clone",
    "detach_": "detach",
    "lift_fresh_copy": "clone",
    "_unsafe_view": "reshape",
    "view": "reshape",
}
_UPSAMPLE = {"linear1d": "linear", "bilinear2d": "bilinear", "trilinear3d": "trilinear", "bicubic2d": "bicubic"}
_UPSAMPLE |= {f"nearest{d}d": "nearest" for d in "123"}


class NotExported(Exception):  # noqa: N818 - a report, as TraceFailure is
    """Export fails too; the message says why."""


def exported(root: nn.Module, example: Inputs, signature: Signature) -> tuple[nn.Module, fx.Graph]:
    """Export a model in eval mode with a free batch axis.

    Args:
        root: The model; it is not changed.
        example: Its inputs, at least one sample.
        signature: How it is called with them.

    Returns:
        A module that holds its weights, and the graph over it.

    Raises:
        NotExported: It cannot be exported, or what is exported holds for some numbers of samples only.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.exported import exported
        >>> from spikesim.converters.signature import Signature
        >>> _, graph = exported(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.zeros(1, 2), Signature())
        >>> [node.op for node in graph.nodes if node.op != "get_attr"]
        ['placeholder', 'call_function', 'call_function', 'output']
    """
    two = each(lambda t: torch.cat([t] * 2), first(example, 1))
    free: Any = {0: torch.export.Dim("samples", min=2)}
    named = dict(zip(signature.names, signature.flat(two)))
    args, kwargs = ((), named) if signature.form == "dict" else (two if isinstance(two, tuple) else (two,), {})
    shapes = each(lambda _: free, kwargs or tuple(args))
    try:
        with torch.no_grad(), redirect_stderr(io.StringIO()):  # it prints whole graphs before it raises
            plain = written_out(copy.deepcopy(root), attention=True)
            program = torch.export.export(plain, tuple(args), dict(kwargs), dynamic_shapes=shapes, strict=False)
            holder, graph = _rewritten(program, signature)
        _compare(root, fx.GraphModule(holder, graph), example, signature)
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise NotExported(lines[0].strip() if lines else type(error).__name__) from error
    return holder, graph


def _compare(root: nn.Module, graph: fx.GraphModule, example: Inputs, signature: Signature) -> None:
    """Export decides what depends on the number of samples once: whether it holds for others is seen by trying."""
    for rows in (1, 2, 3, 5):
        x = each(lambda t, rows=rows: torch.rand(rows, *t.shape[1:]).to(t), example)  # type: ignore[misc]
        with torch.no_grad():
            wanted = tensors_of(signature.call(copy.deepcopy(root), each(Tensor.clone, x)))
            found = tensors_of(graph(x))
        same = len(found) == len(wanted) and all(a.shape == b.shape for a, b in zip(found, wanted))
        if not same or not all(torch.allclose(a, b, 1e-3, 1e-3, equal_nan=True) for a, b in zip(found, wanted)):
            raise ValueError(f"what is exported differs from the model for {rows} samples, or the model is random")


def _rewritten(program: Any, signature: Signature) -> tuple[nn.Module, fx.Graph]:
    told = program.graph_signature
    stored = {**told.inputs_to_parameters, **told.inputs_to_buffers, **told.inputs_to_lifted_tensor_constants}
    if told.buffers_to_mutate or told.user_inputs_to_mutate:
        raise ValueError("the forward writes into its inputs or buffers")
    tensors = {**program.state_dict, **program.constants}
    holder, graph, made = nn.Module(), fx.Graph(), dict[fx.Node, Any]()
    names = iter(signature.names)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in stored:
            held = stored[node.name].replace(".", "_")
            if not hasattr(holder, held):
                value = tensors[stored[node.name]].detach()
                holder.register_buffer(held, value)
            made[node] = graph.get_attr(held)
        elif node.op == "placeholder":
            made[node] = graph.placeholder(next(names))
        elif node.op == "output":
            flat = [made.get(value, value) if isinstance(value, fx.Node) else value for value in node.args[0]]
            graph.output(pytree.tree_unflatten(flat, program.call_spec.out_spec))
        elif not any(part in str(node.target) for part in _CHECKS):
            args, kwargs = fx.map_arg((node.args, node.kwargs), made.__getitem__)
            made[node] = _called(graph, node, list(args), dict(kwargs))
            made[node].meta["nn_module_stack"] = node.meta.get("nn_module_stack")
    graph.set_codegen(signature.codegen())
    graph.eliminate_dead_code()
    return holder, graph


def _called(graph: fx.Graph, node: fx.Node, args: list[Any], kwargs: dict[str, Any]) -> fx.Node:
    """One operation as a user would write it."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return graph.create_node("call_function", node.target, tuple(args), kwargs, name=node.name)
    given = dict(zip((a.name for a in node.target._schema.arguments), args)) | kwargs
    name = node.target._schema.name.rpartition("::")[2]
    name = _SAME.get(name, name)
    kind = name.removeprefix("upsample_")
    target: Callable[..., Any] | str
    if name in ("sym_size", "size"):
        return graph.create_node("call_method", "size", tuple(args), {}, name=node.name)
    if name == "batch_norm":
        keys = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
        args, kwargs, target = [given["input"]], {key: given.get(key) for key in keys}, F.batch_norm
    elif kind in _UPSAMPLE:
        scales, size = given.get("scale_factors"), given.get("output_size")
        found = {
            "size": size,
            "scale_factor": scales,
            "mode": _UPSAMPLE[kind],
            "align_corners": given.get("align_corners"),
        }
        args, kwargs = [given["input"]], {key: value for key, value in found.items() if value is not None}
        target = F.interpolate
    elif name == "slice":
        cut = slice(given.get("start"), given.get("end"), given.get("step"))
        args, kwargs = [given["self"], (*[slice(None)] * given.get("dim", 0), cut)], {}
        target = operator.getitem
    elif name == "embedding":  # users give the numbers first
        args, kwargs, target = [given["indices"], given["weight"]], {}, F.embedding
    elif name in _METHODS or name.endswith("_"):
        return graph.create_node("call_method", name, tuple(args), kwargs, name=node.name)
    else:
        target = next((f for home in (torch, F, operator) if (f := getattr(home, name, None)) is not None), node.target)
    # An empty stride means the default.
    return graph.create_node(
        "call_function", target, tuple(None if a == [] else a for a in args), kwargs, name=node.name
    )
