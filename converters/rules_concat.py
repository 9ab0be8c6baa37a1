"""The rule for concatenation along any axis, also with tensors that are the same for every sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from spikesim.converters import rules_joins as joins
from spikesim.converters.binding import bind, refuse
from spikesim.converters.movements import Extend, Permute
from spikesim.converters.rules_tokens import stored
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench


def concat(bench: Workbench, node: fx.Node) -> None:
    """torch.cat of branches and of stored tensors, as a class token before patches.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.token = nn.Parameter(torch.ones(1, 1, 3))
        ...
        ...     def forward(self, x):
        ...         return torch.cat([self.token.expand(x.size(0), -1, -1), x], dim=1)
        ...
        >>> audit(Net(), torch.zeros(1, 2, 3)).rows[-1].verdict.value
        'exact'
    """
    listed: list[fx.Node] = list(node.args[0] if node.args else node.kwargs["tensors"])  # type: ignore[arg-type]
    found = bind(node, "dim", "axis")
    batch, sizes = node.meta["batch"], node.meta["sizes"]
    live = [at for at, part in enumerate(listed) if part.meta["sizes"] is not None and part.meta["rows"] is None]
    axis = found.get("dim", found.get("axis", 0)) % (len(sizes or ()) + 1)
    if batch is None or axis == batch or not live or any(listed[at].meta["batch"] != batch for at in live):
        return refuse(bench, node, "cat", "concatenation of samples, or with the batch on different axes")
    if axis == 1 and batch == 0 and len(live) == len(listed):
        return joins.concat(bench, node)
    place, first, last = axis - (batch < axis), live[0], live[-1]
    values = {at: _fitting(part, node, place) for at, part in enumerate(listed) if at not in live}
    if any(value is None for value in values.values()) or any(first < at < last for at in values):
        return refuse(bench, node, "cat", "a stored tensor that differs between samples, or one between two branches")
    whole = listed[first] if first == last else _joined(bench, node, [listed[at] for at in live], place)
    for at in (*(at for at in reversed(values) if at < first), *(at for at in values if at > last)):
        value: Any = values[at]
        whole = bench.between(whole, Extend(value, place, at < first), f"{node.name}_{at}", node)
    whole.meta.update(node.meta)
    bench.note(node, Verdict.EXACT, "concatenation, with what is the same for every sample as a constant")
    node.replace_all_uses_with(whole)
    return bench.graph.erase_node(node)


def _fitting(part: fx.Node, node: fx.Node, place: int) -> Tensor | None:
    """The value of a stored part, if it has the sizes of the result on all other axes."""
    value, sizes = stored(part, node), node.meta["sizes"]
    fits = value is not None and all(size == sizes[axis] for axis, size in enumerate(value.shape) if axis != place)
    return value if fits else None


def _joined(bench: Workbench, node: fx.Node, branches: list[fx.Node], place: int) -> fx.Node:
    """Branches joined along one axis of a sample, which takes the place of the channels meanwhile."""
    axes = len(node.meta["sizes"])
    there = (place, *(axis for axis in range(axes) if axis != place))
    back = tuple(there.index(axis) for axis in range(axes))
    if place:
        turned = [bench.between(b, Permute(there), f"{node.name}_{k}", node) for k, b in enumerate(branches)]
    else:
        turned = branches
    with bench.graph.inserting_before(node):
        whole = bench.graph.call_function(torch.cat, (turned, 1))
    whole.meta.update(node.meta)
    return bench.between(whole, Permute(back), f"{node.name}_back", node) if place else whole
