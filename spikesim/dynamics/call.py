"""What a Network tells its neurons for the length of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Call:
    """One call of a Network, as its neurons see it.

    Args:
        samples: N.
        constant: whether a neuron that receives N rows must repeat them over time.
        keep: whether final states are wanted.
        state: initial states by qualified module name, or None.
        mask: bool ``[T, N]``, or None.
        final: final states, filled in by the neurons.
        visited: qualified names of the neurons that have run.
        spikes: told of every tensor of binary spikes, or None.
    """

    samples: int
    constant: bool = False
    keep: bool = False
    state: Mapping[str, Mapping[str, Tensor]] | None = None
    mask: Tensor | None = None
    final: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    visited: list[str] = field(default_factory=list)
    spikes: Callable[[Tensor], None] | None = None
