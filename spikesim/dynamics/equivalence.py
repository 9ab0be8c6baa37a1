"""Check that a compiled neuron equals its equations in float64, on the machine at hand.

Thresholds make neurons chaotic: two roundings of one equation part for good after the first potential
that lies within rounding of the threshold. So nothing is compared where that can happen, by two means. Each
step is compared from the reference's own state (teacher-forced), value and gradient, so that no error of an
earlier step comes in. And a whole run is compared on inputs that leave no decision in doubt
(:mod:`spikesim.dynamics.equivalence_reference`): kernel and reference then spike alike, and gradients differ by
their own errors alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from spikesim.dynamics.equivalence_compare import Comparison, Deviations, largest
from spikesim.dynamics.neuron import Neuron
from spikesim.dynamics.rows import has_kernel
from spikesim.errors import CheckFailed, ConfigError

AMPLIFIED = 4.0  # what is compared may deviate by so many times what single roundings of the states grow to
GRADIENTS = 5.0  # a gradient by so many times what a value may: 1e-4 in float32
_ORDINARY = 100.0  # roundings: what deviates by less needs no such excuse
_NONE = Deviations(0.0, 0.0, 0.0)
_NAMES = {"values": "values", "gradients": "gradients", "parameters": "gradients to parameters"}


@dataclass(frozen=True)
class Equivalence:
    """Largest deviations of a compiled neuron from its float64 reference, relative to the largest value.

    Values that lie in memory in half precision are forgiven one unit in their last place (per sub-step, where those
    add up).

    Args:
        single: over single steps, each from the reference's state.
        run: over the whole run, of the neurons that ``compared`` counts.
        single_rounding: what single steps make of one rounding of every state per (sub-)step, in the reference
            itself: a stiff neuron amplifies errors, whoever makes them. Zero where they deviate by next to nothing.
        rounding: the same over the whole run.
        compared: neurons whose run was compared: none of their decisions was in doubt.
        neurons: neurons that ran.
        steps: steps that the run was compared over; fewer than it had where most neurons are in doubt later, as those
            are that run away.
        fired: share of all steps that emitted something.
    """

    single: Deviations
    run: Deviations
    single_rounding: Deviations
    rounding: Deviations
    compared: int
    neurons: int
    steps: int
    fired: float

    @property
    def teacher_forced(self) -> float:
        """Values of single steps from the reference's state."""
        return self.single.values

    @property
    def free_running(self) -> float:
        """Values of the whole run."""
        return self.run.values

    @property
    def gradient(self) -> float:
        """All gradients, of single steps and of the whole run."""
        found = [self.single.gradients, self.single.parameters, self.run.gradients, self.run.parameters]
        return largest(found)

    def problem(self, tolerance: float) -> str | None:
        """Why the kernel does not pass, or None if it does.

        Args:
            tolerance: for values; a gradient may deviate by five times as much, and either by four times what single
                roundings grow to.
        """
        lengths = (("single steps", self.single, self.single_rounding), ("whole runs", self.run, self.rounding))
        for length, found, rounded in lengths:
            for name, what in _NAMES.items():
                deviates = getattr(found, name)
                least = tolerance if name == "values" else GRADIENTS * tolerance
                allowed = max(least, AMPLIFIED * getattr(rounded, name))
                if not (deviates <= allowed and math.isfinite(allowed)):
                    return f"{what} of {length} deviate by {deviates:.1e}, but at most {allowed:.1e} was allowed"
        if self.compared < self.neurons / 8:
            return (
                f"only {self.compared} of {self.neurons} runs could be compared: decisions were in doubt in the others"
            )
        return None

    def require(self, tolerance: float) -> None:
        """Raise ``CheckFailed`` if a deviation exceeds ``tolerance`` or too little could be compared."""
        if problem := self.problem(tolerance):
            raise CheckFailed(f"kernel and equations differ: {problem} ({self})")


def check_neuron(
    neuron: Neuron,
    *,
    dtype: torch.dtype = torch.float32,
    steps: int = 24,
    neurons: int = 192,
    seed: int = 0,
    gradients: bool = True,
    device: str | torch.device = "cpu",
) -> Equivalence:
    """Compare the kernels of ``neuron`` with its equations.

    The input is normal noise of mean 0.4 and standard deviation 1. A class whose input has another unit states the
    drive that suits it, as a class attribute ``drive = (mean, standard deviation)``. A drive under which hardly
    anything fires within so few steps is doubled until something does.

    Args:
        neuron: any neuron, with its flags, surrogate, learnable parameters and ``memory``.
        dtype: of input and emissions: float32, float64, bfloat16 or float16.
        steps: T of the run.
        neurons: independent neurons, each with an input of its own.
        seed: of the random input.
        gradients: compare the backward too; without it the kernels are those of inference.
        device: where the kernels run.

    Raises:
        ConfigError: no kernel serves the device, or kernels are switched off.

    >>> from spikesim.neurons import LIF
    >>> check_neuron(LIF()).single.values < 1e-6
    True
    """
    if not has_kernel(torch.empty(0, device=device)):
        raise ConfigError(
            f"check_neuron: no kernel runs on '{device}' (or SPIKESIM_DISABLE_JIT=1), so there is nothing to compare"
        )
    comparison = Comparison(neuron, dtype, torch.device(device), seed, gradients)
    trajectory = comparison.trajectory(steps, neurons)
    single = comparison.single_steps(trajectory)
    cut = trajectory.undisputed()
    sure = ~cut.doubtful.any(0)
    run = comparison.whole_run(cut, sure)

    def amplifies(found: Deviations) -> bool:
        return not found.worst <= _ORDINARY * torch.finfo(comparison.compute).eps

    return Equivalence(
        single=single,
        run=run,
        single_rounding=comparison.single_rounding(trajectory) if amplifies(single) else _NONE,
        rounding=comparison.rounding(cut, sure) if amplifies(run) else _NONE,
        compared=int(sure.sum()),
        neurons=neurons,
        steps=len(cut.x),
        fired=float((trajectory.emitted != 0).double().mean()),
    )
