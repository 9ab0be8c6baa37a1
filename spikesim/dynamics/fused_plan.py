"""What a fused layer kernel is: a batch-norm's affine map, a neuron's step and a 2x2 pool, in one walk over memory.

The forward keeps nothing but its input, the output of a convolution. The backward runs the steps of a tile
forward again into a scratch that stays in cache, then backward.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from spikesim.dynamics.plan import Kernel, Plan, plan_of

Pool = Literal["none", "max", "average"]
FusedMode = Literal["forward", "backward"]


@dataclass(frozen=True)
class FusedKernel:
    """Everything that distinguishes one compiled fused kernel from another.

    Args:
        program: canonical text of the neuron's recorded step.
        mode: forward, or the backward that runs it again.
        pool: what follows the neuron.
        dtype: "float32" or "float64": states, parameters and all arithmetic.
        storage: dtype of the input, the output and their gradients in memory.
        uniform: per parameter, one value for all neurons (else one per channel).
        wrt: parameters whose gradient is wanted.
    """

    program: str
    mode: FusedMode
    pool: Pool
    dtype: str
    storage: str
    uniform: tuple[bool, ...]
    wrt: tuple[str, ...] = ()

    @property
    def step(self) -> Kernel:
        """The neuron's own kernel, whose step this one calls; rows in cache are of the dtype of the arithmetic."""
        mode: Literal["infer", "backward"] = "infer" if self.mode == "forward" else "backward"
        return Kernel(self.program, mode, self.dtype, self.uniform, self.wrt, recompute=mode == "backward")


@dataclass(frozen=True)
class FusedPlan:
    """The steps of a fused kernel.

    Args:
        step: the neuron's step, forward or backward.
        again: for the backward: the forward step that is run again, or None if nothing of it is needed.
    """

    step: Plan
    again: Plan | None = None


@lru_cache(maxsize=4096)
def fused_plan(kernel: FusedKernel) -> FusedPlan:
    """The plan of a fused kernel.

    >>> from spikesim.neurons import LIF
    >>> kernel = FusedKernel(LIF().program_text(), "backward", "max", "float32", "float32", (True, True))
    >>> fused_plan(kernel).again.writes
    ('output', 'saved_u')
    """
    plan = plan_of(kernel.step)
    if kernel.mode == "forward":
        return FusedPlan(plan)
    # Where the largest of a window decides who gets the gradient, what was emitted is needed again, too.
    again = plan.again
    if kernel.pool == "max":
        again = plan_of(Kernel(kernel.program, "train", kernel.dtype, kernel.uniform, kernel.wrt))
    return FusedPlan(plan, again if again is not None and again.writes else None)


@lru_cache(maxsize=4096)
def fused_arrays(kernel: FusedKernel) -> tuple[str, ...]:
    """The arrays that a fused kernel is called with, in order.

    >>> from spikesim.neurons import LIF
    >>> fused_arrays(FusedKernel(LIF().program_text(), "forward", "max", "float32", "float32", (True, True)))
    ('x', 'output', '_scale', '_shift', 'v', 'tau', 'threshold')
    """
    plan = fused_plan(kernel).step
    if kernel.mode == "forward":
        return ("x", "output", "_scale", "_shift", *plan.carried, *plan.params)
    rows = ("x", "grad_out", "grad_x", "_scale", "_shift", "_centre", "_gain", "_partial")
    return (*rows, *plan.carried, *plan.starts, *plan.params)
