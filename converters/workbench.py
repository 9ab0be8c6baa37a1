"""The graph under rewriting: its nodes, its modules, its shapes and what was decided about each operation."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx, nn

from spikesim.converters.inputs import Inputs, each, first
from spikesim.converters.trace import attribute, own_modules, place_of
from spikesim.converters.verdicts import Finding, Verdict
from spikesim.errors import ConversionError


class Workbench:
    """A traced copy that rewrites may change.

    Each node carries ``meta["origin"]`` (name of the operation in the traced model), ``meta["shape"]`` (shape of
    one sample, None where the first axis is not the batch), ``meta["batch"]`` and ``meta["sizes"]`` (which axis the
    batch is, and the shape of one sample without it), ``meta["rows"]`` (one row of a tensor that is the same for every
    sample), ``meta["dtype"]``, ``meta["constant"]`` (the tensor, where it does not depend on the input),
    ``meta["plain"]`` (no tensor) and ``meta["value"]`` (its value, if batch does not matter). ``meta["source"]`` is
    the module of the model that it ran in, see :mod:`spikesim.converters.sources`.

    Args:
        traced: Graph over copied weights.
        example: Input of the model, ``[N, ...]``, or several; only the first rows are used.
        moved: Take the modules of ``traced``, which is not needed any more, and do not copy them.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.Linear(3, 2)), torch.zeros(1, 3))
        >>> [tuple(n.meta["shape"]) for n in bench.graph.nodes]
        [(3,), (2,), (2,)]
    """

    def __init__(self, traced: fx.GraphModule, example: Inputs, *, moved: bool = False) -> None:
        self.findings: dict[str, Finding] = {}
        self.source: str | None = None  # of the operation that is being rewritten
        self.graph = copy.deepcopy(traced.graph)
        self.root = fx.GraphModule(own_modules(traced, self.graph, moved=moved), self.graph)
        one = first(example, 1)
        self._few, self._more = each(lambda t: torch.cat([t] * 2), one), each(lambda t: torch.cat([t] * 3), one)
        self.measure()

    def measure(self) -> None:
        """Record the shape of every node by running two and three samples."""
        with torch.no_grad():
            few, more = _Recorder(self.root), _Recorder(self.root)
            few.run(self._few)
            more.run(self._more)
        for node in self.graph.nodes:
            one: Any = few.results.get(node)
            two: Any = more.results.get(node)
            fixed = node.op == "get_attr" or (
                node.op.startswith("call_") and all(k.meta["constant"] is not None for k in node.all_input_nodes)
            )
            tensors = isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor)
            batch, sizes = _layout(one, two) if tensors else (None, None)
            still = not fixed and tensors and node.op.startswith("call_")
            still = still and all(map(_knows_shapes, node.all_input_nodes))
            fixed |= still and batch is None and bool(torch.equal(one, two))
            node.meta["constant"] = one if fixed and tensors else None
            node.meta["shape"] = sizes if batch == 0 and not fixed else None
            node.meta["batch"], node.meta["sizes"] = (None, None) if fixed else (batch, sizes)
            node.meta["rows"] = _one_row(one, batch) if still and batch is not None else None
            node.meta["dtype"] = one.dtype if isinstance(one, torch.Tensor) else None
            node.meta["plain"] = _is_plain(one)
            node.meta["value"] = one if _is_plain(one) and one == two else None

    def module(self, node: fx.Node) -> nn.Module | None:
        """The module a node calls, or None."""
        return self.root.get_submodule(str(node.target)) if node.op == "call_module" else None

    def note(self, node: fx.Node, verdict: Verdict, detail: str) -> None:
        """Say what becomes of an operation; ``unsupported`` is never overruled."""
        origin = node.meta["origin"]
        if origin in self.findings and self.findings[origin].verdict is Verdict.UNSUPPORTED:
            return
        self.findings[origin] = Finding(verdict, detail)

    def become(self, node: fx.Node, *modules: nn.Module) -> fx.Node:
        """Make ``node`` call the first of ``modules`` on its first input, and the others after it."""
        source, target, shape = node.args[0], place_of(node.name), node.meta["shape"]
        self.root.add_module(target, modules[0])
        node.op, node.target, node.args, node.kwargs = "call_module", target, (source,), {}
        last = node
        for module in modules[1:]:
            last = self.after(last, module, f"{node.name}_{type(module).__name__.lower()}")
        last.meta["shape"] = shape
        return last

    def after(self, node: fx.Node, module: nn.Module, name: str) -> fx.Node:
        """Insert a module between ``node`` and all its users."""
        users = list(node.users)
        new = self.between(node, module, name, node.next)
        for user in users:
            user.replace_input_with(node, new)
        return new

    def between(self, source: fx.Node, module: nn.Module, name: str, before: fx.Node) -> fx.Node:
        """Insert a module that reads ``source`` just before the node ``before``; nobody reads it yet."""
        with self.graph.inserting_before(before):
            new = self.graph.create_node("call_module", name, (source,), {}, name=name)
        new.target = place_of(new.name)
        new.meta.update(source.meta)
        if self.source is not None:
            new.meta["source"] = self.source
        self.root.add_module(str(new.target), module)
        return new

    def meeting(self, sources: list[fx.Node], module: nn.Module, name: str, before: fx.Node) -> fx.Node:
        """Insert a module that reads several nodes just before the node ``before``; nobody reads it yet."""
        new = self.between(sources[0], module, name, before)
        new.args = tuple(sources)
        return new

    def remove(self, node: fx.Node) -> None:
        """Take out a node that hands its input through."""
        node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
        self.graph.erase_node(node)

    def sweep(self) -> None:
        """Drop what nothing reads."""
        for node in reversed(list(self.graph.nodes)):
            if node.op not in ("placeholder", "output") and not node.users:
                self.graph.erase_node(node)

    def finish(self, name: str = "Canonical") -> fx.GraphModule:
        """A clean graph module that holds only the modules in use."""
        self.sweep()
        targets = {str(n.target) for n in self.graph.nodes if n.op == "call_module"}
        root: dict[str, Any] = {name: self.root.get_submodule(name) for name in targets}
        for node in self.graph.nodes:
            if node.op == "get_attr":
                root[str(node.target)] = attribute(self.root, str(node.target))
        graph = fx.GraphModule(root, self.graph, class_name=name)
        return graph.eval()


def _layout(few: torch.Tensor, more: torch.Tensor) -> tuple[int | None, tuple[int, ...] | None]:
    """Which axis follows the batch of 2 and 3, and the shape without it; None where there is not exactly one."""
    if few.dim() != more.dim():
        return None, None
    differ = [axis for axis in range(few.dim()) if few.shape[axis] != more.shape[axis]]
    if len(differ) != 1 or (few.shape[differ[0]], more.shape[differ[0]]) != (2, 3):
        return None, None
    return differ[0], tuple(size for axis, size in enumerate(few.shape) if axis != differ[0])


def _knows_shapes(node: fx.Node) -> bool:
    """Whether a node follows from stored tensors and sizes alone."""
    return bool(node.meta["plain"]) or node.meta["constant"] is not None or node.meta["rows"] is not None


def _one_row(value: torch.Tensor, batch: int) -> torch.Tensor | None:
    """The row of a tensor whose rows along an axis are all equal, else None."""
    row = value.narrow(batch, 0, 1)
    return row if bool(torch.equal(value, row.expand_as(value))) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | float | str | slice | torch.dtype | torch.device)


class _Recorder(fx.Interpreter):
    """Keeps every node's result; names the node that fails."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.results: dict[fx.Node, Any] = {}
        self.extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        try:
            self.results[n] = super().run_node(n)
        except Exception as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            shapes = [tuple(r.shape) for r in map(self.results.get, n.all_input_nodes) if torch.is_tensor(r)]
            raise ConversionError(
                f"the example does not pass through the model: {n.op} '{n.name}' got shapes {shapes} and says: "
                f"{said}. Give an example of the shape [N, ...] that the model takes, and keep the batch axis free."
            ) from error
        return self.results[n]
