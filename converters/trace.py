"""Record a model as a torch.fx graph, on a copy, and say where tracing stops and why."""

from __future__ import annotations

import copy
import operator
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from spikesim.converters.exported import NotExported, exported
from spikesim.converters.inputs import Inputs
from spikesim.converters.shape_queries import ShapeOracle
from spikesim.converters.signature import Signature
from spikesim.converters.sources import note_sources
from spikesim.converters.trained import QCFS
from spikesim.converters.transformer_layers import written_out
from spikesim.dynamics import TimeAware
from spikesim.errors import ConversionError

_TORCH = Path(torch.__file__).parent
_HERE = Path(__file__)


class TraceFailure(ConversionError):  # noqa: N818 - it reports on the model; callers see a ConversionError
    """The forward of a model cannot be recorded as a graph.

    Example:
        >>> from spikesim.converters.trace import TraceFailure
        >>> issubclass(TraceFailure, ValueError)
        True
    """


class _InplaceProxy(fx.Proxy):
    """A proxy that records ``y += x`` as in-place; fx would silently record ``y = y + x``."""

    def __getattr__(self, name: str) -> fx.proxy.Attribute:
        return _ShapeProxy(self, name)

    def __len__(self) -> int:
        return _len(self)

    def _inplace(self, function: Callable[..., Any], other: object) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    def __iadd__(self, other: object) -> fx.Proxy:
        return self._inplace(operator.iadd, other)

    def __isub__(self, other: object) -> fx.Proxy:
        return self._inplace(operator.isub, other)

    def __imul__(self, other: object) -> fx.Proxy:
        return self._inplace(operator.imul, other)

    def __itruediv__(self, other: object) -> fx.Proxy:
        return self._inplace(operator.itruediv, other)


def _len(self: fx.Proxy) -> int:
    length: int | None = self.tracer.ask(self.node, len) if isinstance(self.tracer, _Tracer) else None
    if length is None:
        raise RuntimeError("len() of a batch or of data is control flow")
    return length


class _ShapeProxy(fx.proxy.Attribute):
    """An attribute of a tensor, such as its shape, whose length is known while tracing."""

    def __len__(self) -> int:
        return _len(self)


class _Tracer(fx.Tracer):
    """Gives the forward its tensors; its other arguments keep their Python defaults.

    Args:
        ask: A function of the value of a node, if shapes alone decide it, or None.
        leaves: Classes of modules that are recorded as one call.
        signature: The tensors.
    """

    def __init__(
        self,
        ask: Callable[[fx.Node, Callable[[Any], Any]], Any],
        leaves: tuple[type[nn.Module], ...],
        signature: Signature,
    ) -> None:
        super().__init__()
        self._answer, self._asking, self._leaves, self._signature = ask, False, leaves, signature

    def ask(self, node: fx.Node, what: Callable[[Any], Any]) -> Any:
        """What shapes say of a node; modules run as they are meanwhile."""
        self._asking = True
        try:
            return self._answer(node, what)
        finally:
            self._asking = False

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Record a call, unless a question is being answered."""
        return forward(*args, **kwargs) if self._asking else super().call_module(m, forward, args, kwargs)

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Let the forward branch on shapes; a branch on data stays an error."""
        known = self.ask(obj.node, bool)
        return super().to_bool(obj) if known is None else bool(known)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **named: Any) -> Any:
        """Record an operation; a size that does not depend on the batch is a number, to index with."""
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **named)
        if kind == "call_function" or target == "size":
            known = self.ask(proxy.node, lambda value: value if type(value) is int else None)
            if known is not None:
                proxy.node.graph.erase_node(proxy.node)
                return known
        return proxy

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Torch's own modules, and activations that were trained to be converted."""
        return isinstance(m, (QCFS, *self._leaves)) or super().is_leaf_module(m, module_qualified_name)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        made = {name: self.create_proxy("placeholder", name, (), {}) for name in self._signature.names}
        if self._signature.form == "dict":  # torch calls by place
            return (lambda root, *values: root_fn(root, **dict(zip(made, values)))), [self.root, *made.values()]
        return root_fn, [self.root, *made.values()]

    def create_node(
        self, kind: str, target: Any, args: Any, kwargs: Any, name: Any = None, type_expr: Any = None
    ) -> fx.Node:
        """Call ``0`` of a Sequential ``conv2d_0`` and not ``_0``."""
        if kind == "call_module" and target[0].isdigit():
            name = f"{type(self.root.get_submodule(target)).__name__.lower()}_{target.replace('.', '_')}"
        return super().create_node(kind, target, args, kwargs, name, type_expr)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _InplaceProxy(node, self)


def own_randomness(like: torch.Tensor) -> AbstractContextManager[None]:
    """Leave the caller's random state as it is: new layers draw initial weights, and a model may draw too.

    Example:
        >>> import torch
        >>> from spikesim.converters.trace import own_randomness
        >>> before = torch.get_rng_state()
        >>> with own_randomness(torch.zeros(1)):
        ...     _ = torch.rand(3)
        >>> torch.equal(torch.get_rng_state(), before)
        True
    """
    return torch.random.fork_rng(devices=[like.device] if like.is_cuda else [])


def trace(
    model: nn.Module, example: Inputs | None = None, leaves: tuple[type[nn.Module], ...] = (), buffers: bool = False
) -> fx.GraphModule:
    """Trace a copy of ``model`` in eval mode; the model itself is not touched.

    Args:
        model: A module whose forward takes tensors and returns tensors.
        example: An input, or several; with it, checks of shapes (``if x.dim() != 2``) are decided while tracing.
        leaves: Classes of modules that are recorded as one call, torch's own apart; neurons are refused unless they
            are among them.
        buffers: Record what reads a buffer of a module that is not its own; else its values are computed with.

    Returns:
        A graph over copied weights, in eval mode.

    Raises:
        TraceFailure: The forward cannot be recorded; the message names the line and how to rewrite it.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.trace import trace
        >>> [n.op for n in trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU())).graph.nodes]
        ['placeholder', 'call_module', 'call_module', 'output']
    """
    modules = ((name, m) for name, m in model.named_modules() if not isinstance(m, leaves))
    spiking = next((name or "model" for name, m in modules if isinstance(m, TimeAware)), None)
    if spiking is not None:
        raise TraceFailure(f"'{spiking}' is a spiking neuron, so that the model is already spiking: give the ANN")
    root = written_out(_copied(model).eval())
    signature = Signature() if example is None else Signature.of(root, example)
    tracer = _Tracer(lambda node, what: None if example is None else oracle.answer(node, what), leaves, signature)
    if tracer.is_leaf_module(root, "model"):
        root = nn.Sequential(root)
    oracle = ShapeOracle(_with_the_same_weights(root), [] if example is None else signature.flat(example))
    tracer.proxy_buffer_attributes = buffers
    try:
        graph = tracer.trace(root)
    except Exception as error:
        if example is None or leaves:
            raise TraceFailure(_explain(model, error)) from error
        try:
            root, graph = exported(root, example, signature)
        except NotExported as too:
            raise TraceFailure(f"{_explain(model, error)} torch.export says: {too}") from error
    graph.set_codegen(signature.codegen())
    note_sources(graph, model, root)
    return fx.GraphModule(own_modules(root, graph, moved=True), graph)


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        remedy = (
            "a weight is computed by a hook: use torch.nn.utils.parametrizations.weight_norm instead of "
            "torch.nn.utils.weight_norm, or call torch.nn.utils.remove_weight_norm(layer) first"
            if "support the deepcopy" in said
            else "keep only what copy.deepcopy can copy as attributes of the model"
        )
        raise TraceFailure(f"{type(model).__name__} cannot be copied ({said}). Remedy: {remedy}") from error


def _with_the_same_weights(root: nn.Module) -> nn.Module:
    """A copy over the same numbers; its parameters are objects of their own, since the tracer knows root's by identity.

    Buffers are copied: a forward may write into them.
    """
    plain = [p for p in root.parameters() if type(p) is nn.Parameter]
    return copy.deepcopy(root, {id(p): nn.Parameter(p.detach(), p.requires_grad) for p in plain})


def place_of(name: str) -> str:
    """Where the module of a node is kept; some node names are taken by attributes of the graph module.

    Example:
        >>> from spikesim.converters.trace import place_of
        >>> place_of("conv1"), place_of("graph")
        ('conv1', 'graph_')
    """
    return name if not hasattr(fx.GraphModule, name) and name not in ("training", "graph") else f"{name}_"


def own_modules(root: nn.Module, graph: fx.Graph, *, moved: bool = False) -> dict[str, Any]:
    """Give each call its own module under the node's name: folding differs from use to use.

    Args:
        root: Holds the modules and tensors that ``graph`` names.
        graph: Is changed to the new names.
        moved: ``root`` is not needed any more: what no other call has part in is taken, and not copied.

    Returns:
        Modules and tensors by their new names.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.trace import trace
        >>> relu = nn.ReLU()
        >>> [name for name, _ in trace(nn.Sequential(relu, relu)).named_children()]
        ['relu_0', 'relu_1']
    """
    owned: dict[str, Any] = {}
    taken: set[int] = set()
    for node in graph.nodes:
        node.meta["origin"] = node.name
        if node.op in ("call_module", "get_attr"):
            node.meta["place"], module = str(node.target), node.op == "call_module"
            place, found = place_of(node.name), attribute(root, str(node.target))
            parts = (
                {id(part) for part in [*found.modules(), *found.parameters(), *found.buffers()]}
                if module
                else {id(found)}
            )
            owned[place] = copy.deepcopy(found) if module and not (moved and taken.isdisjoint(parts)) else found
            taken |= parts
            node.target = place
    return owned


def attribute(root: nn.Module, target: str) -> Any:
    """What a dotted name stands for below ``root``: a module, parameter or buffer.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.trace import attribute
        >>> attribute(nn.Sequential(nn.Linear(2, 3)), "0.bias").shape
        torch.Size([3])
    """
    owner, _, name = target.rpartition(".")
    return getattr(root.get_submodule(owner), name)


def _explain(model: nn.Module, error: Exception) -> str:
    where = "its forward"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path != _HERE and _TORCH not in path.parents:
            where = f"{frame.filename}, line {frame.lineno}: `{frame.line}`"
            break
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "control flow" in said or "cannot be interpreted as an integer" in said or "__int__" in said:
        remedy = (
            "a Python branch or loop depends on the data (or on the batch size, or a loop on a shape); convert the "
            "branch that is taken: put it in a module of its own, or decide by an attribute set in __init__"
        )
    else:
        remedy = "keep the forward in torch operations on the tensors that it is given"
    return f"{type(model).__name__} cannot be traced at {where} ({said}). Remedy: {remedy}."
