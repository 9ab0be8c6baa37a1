"""Rules for operations that only look at values in another order: transpose, select, slice, split, concatenate.

What a view does is read off its strides: it is run on a tensor without memory whose strides tell its axes apart, so
that every spelling of it is understood. Samples may stand on any axis, as long as they stay apart; the canonical form
has them first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters.binding import call_name, known_value, refuse, source
from spikesim.converters.movements import Part, Permute, Reshape
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench

PARTS = {"chunk", "split", "split_with_sizes", "tensor_split", "unbind"}
"""What gives several views at once; each is taken from the whole."""
_ROWS = 2


def view(bench: Workbench, node: fx.Node) -> None:
    """permute, transpose, select, narrow, x[:, 0], a part of x.chunk(3), ...

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         first, _ = x.transpose(1, 2).chunk(2, dim=1)
        ...         return first[:, 0]
        ...
        >>> [row.verdict.value for row in audit(Net(), torch.zeros(1, 3, 4)).rows]
        ['exact', 'exact', 'exact', 'exact', 'exact']
    """
    name, chain = call_name(bench, node), [node]
    whole = source(node)
    if whole.meta.get("parts") is not None:
        return _taken(bench, node, whole)
    if call_name(bench, whole) in PARTS and whole.op.startswith("call_"):
        chain, whole = [whole, node], source(whole)
    if whole.meta["batch"] is None or node.meta["batch"] is None:
        return refuse(
            bench, node, name, f"'{name}' that mixes samples or takes one of them: leave the batch axis whole"
        )
    steps = _seen_through(chain, whole)
    if steps is None:
        return refuse(bench, node, name, f"'{name}' with indices that are no slice: take slices and join them")
    node.args = (whole,)
    bench.note(node, Verdict.EXACT, "the same values, in another order")
    # A view that only moves the batch is nothing in the canonical form, but later rules must see the user's axes.
    bench.become(node, *(steps or [Permute(range(len(node.meta["sizes"])))]))
    return None


def _taken(bench: Workbench, node: fx.Node, whole: fx.Node) -> None:
    """One of several results that a rule has made already."""
    found = whole.meta["parts"].get(node.args[1])
    if found is None:
        why = f"result {node.args[1]} of '{whole.name}' is not there in spikes: use the first (need_weights=False)"
        return refuse(bench, node, "getitem", why)
    bench.note(node, Verdict.EXACT, f"the result of '{whole.name}'")
    found.meta.update({key: value for key, value in node.meta.items() if key != "origin"})
    node.replace_all_uses_with(found)
    return bench.graph.erase_node(node)


def parts(bench: Workbench, node: fx.Node) -> None:
    """chunk, split, unbind: what is taken of them is read from the whole.

    Example:
        See :func:`view`.
    """
    bench.note(node, Verdict.EXACT, "parts of a tensor")


def attribute_of(bench: Workbench, node: fx.Node) -> None:
    """x.mT, x.T.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return x.mT
        ...
        >>> audit(Net(), torch.zeros(1, 3, 4)).rows[-1].verdict.value
        'exact'
    """
    if node.args[1] not in ("mT", "T", "mH", "H"):
        return refuse(bench, node, str(node.args[1]))
    return view(bench, node)


def _seen_through(chain: list[fx.Node], whole: fx.Node) -> list[nn.Module] | None:
    """The canonical modules that do what a chain of views does; None where it is no view."""
    sizes, batch = list(whole.meta["sizes"]), whole.meta["batch"]
    sizes.insert(batch, _ROWS)
    strides = [math.prod(size + 1 for size in sizes[axis + 1 :]) for axis in range(len(sizes))]
    probe = torch.empty_strided(sizes, strides, device="meta")
    seen: Any = probe
    for step in chain:
        seen = _run(step, seen)
    if not isinstance(seen, Tensor) or seen.untyped_storage()._cdata != probe.untyped_storage()._cdata:
        return None
    offset, starts = int(seen.storage_offset()), []
    for stride in strides:
        starts.append(offset // stride)
        offset %= stride
    lengths, jumps, order = [1] * len(sizes), [1] * len(sizes), []
    for size, stride in zip(seen.shape, seen.stride()):
        if size == 1:
            continue
        axis = next((a for a, s in enumerate(strides) if 0 < s <= stride), None)
        if axis is None or stride % strides[axis] or axis in order:
            return None
        lengths[axis], jumps[axis] = size, stride // strides[axis]
        order.append(axis)
    if (starts[batch], lengths[batch], jumps[batch]) != (0, _ROWS, 1):
        return None
    return _modules(sizes, batch, starts, lengths, jumps, order, tuple(chain[-1].meta["sizes"]))


def _modules(
    sizes: Sequence[int],
    batch: int,
    starts: Sequence[int],
    lengths: Sequence[int],
    jumps: Sequence[int],
    order: Sequence[int],
    result: tuple[int, ...],
) -> list[nn.Module]:
    made: list[nn.Module] = []
    axes = [axis for axis in range(len(sizes)) if axis != batch]
    for place, axis in enumerate(axes):
        if lengths[axis] != sizes[axis]:
            made.append(Part(place, starts[axis], lengths[axis], jumps[axis]))
    now = tuple(lengths[axis] for axis in axes)
    kept = [axes.index(axis) for axis in order if axis != batch]
    if kept != sorted(kept):
        turned = (*kept, *(place for place in range(len(axes)) if place not in kept))
        if len(result) == len(now):  # axes of size 1 stay where the result has them
            rest = iter(kept)
            ones = iter(place for place in range(len(axes)) if place not in kept)
            turned = tuple(next(rest) if size != 1 else next(ones) for size in result)
        made.append(Permute(turned))
        now = tuple(now[place] for place in turned)
    if now != result:
        made.append(Reshape(result))
    return made


def _run(node: fx.Node, given: Any) -> Any:
    """A view on another tensor than the graph gives it."""
    args, kwargs = list(node.args), dict(node.kwargs)
    if args:
        args[0] = given
    else:
        kwargs["input"] = given
    first, rest = args[:1], fx.map_arg((tuple(args[1:]), kwargs), known_value)
    if node.op == "call_method":
        return getattr(given, str(node.target))(*rest[0], **{k: v for k, v in rest[1].items() if k != "input"})
    return node.target(*first, *rest[0], **rest[1])  # type: ignore[operator]


def apart(node: fx.Node) -> bool:
    """Whether a reshape keeps samples apart: as many values before the batch axis as in what it reads.

    Example:
        >>> from torch import fx
        >>> from spikesim.converters.rules_views import apart
        >>> x = fx.Graph().placeholder("x")
        >>> y = x.graph.call_method("view", (x, 2, -1, 2))
        >>> x.meta["sizes"], x.meta["batch"], y.meta["sizes"], y.meta["batch"] = (4,), 0, (2, 2), 1
        >>> apart(y)
        False
    """
    found = []
    for one in (source(node), node):
        sizes, batch = one.meta["sizes"], one.meta["batch"]
        if batch is None:
            return False
        found.append((math.prod(sizes[:batch]), math.prod(sizes)))
    return found[0] == found[1]
