"""The table of rules: what each aten operation costs and what type its result has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch.utils._pytree import tree_leaves

from spikesim.energy import rules_functions, rules_linear, rules_pointwise, rules_pool, rules_shape
from spikesim.energy.edges import Edge

if TYPE_CHECKING:
    from spikesim.energy.recorder import Op, Recorder

Rule = Callable[["Recorder", "Op"], list[Edge]]

# Results that hold no activation: sizes, new memory, random numbers.
CONSTANTS = frozenset({
    "new_empty", "new_empty_strided", "new_zeros", "new_ones", "new_full", "empty_like",
    "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "_local_scalar_dense",
    "is_same_size", "sym_size", "sym_stride", "sym_numel", "sym_storage_offset", "equal", "set",
    "resize",
})  # fmt: skip

# Operations that would be missed if their input were no activation.
WEIGHTED = frozenset(rules_linear.RULES)

_RULES: dict[str, Rule] = {
    **rules_shape.RULES,
    **rules_linear.RULES,
    **rules_pool.RULES,
    **rules_pointwise.RULES,
    **rules_functions.RULES,
}


def has_rule(name: str) -> bool:
    """Whether an operation (in-place or not) is known."""
    return name in _RULES or name.rstrip("_") in _RULES or name in CONSTANTS


def apply_rule(recorder: Recorder, op: Op) -> None:
    """Count an executed operation and tag its results.

    An operation without a rule is listed as unpriced, and what it returns is analog.
    """
    if op.name in CONSTANTS:
        return
    if op.name == "copy":
        rules_shape.copied(recorder, op)
        return
    outs = [t for t in tree_leaves(op.out) if isinstance(t, torch.Tensor)]
    edges = _RULES.get(op.name, _unknown)(recorder, op)
    for out, edge in zip(outs, edges * len(outs) if len(edges) == 1 else edges):
        recorder.edges.tag(out, edge)


def _unknown(recorder: Recorder, op: Op) -> list[Edge]:
    tensor, edge = rules_shape.first_activation(recorder, op)
    outs = [t for t in tree_leaves(op.out) if isinstance(t, torch.Tensor)]
    recorder.seen(edge, op.name)
    recorder.unknown(op.name, max([t.numel() for t in outs], default=0))
    return [edge.analog(rules_shape.viewed_axis(tensor.shape, edge.axis, t.shape)) for t in outs]
