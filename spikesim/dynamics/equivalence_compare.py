"""One neuron twice, as it runs and in float64, and how far the two are apart."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikesim.dynamics.equivalence_reference import Trajectory, follow
from spikesim.dynamics.neuron import Neuron
from spikesim.dynamics.prepare import CLOCK
from spikesim.dynamics.reference import run_reference

DRIVE = (0.4, 1.0)  # mean and standard deviation of the input, unless the neuron's class states a `drive`
LOUDEST = 2.0**20  # so far a drive that makes nothing fire is turned up
LIVELY = 0.01  # share of steps with a spike that will do
ROUNDINGS = 3  # samples of what rounding does to a run

Rows = dict[str, Tensor]
Outcome = tuple[Rows, Rows]  # emissions and final states; gradients


@dataclass(frozen=True)
class Deviations:
    """Largest deviations, each relative to the largest value.

    Args:
        values: over emissions and states.
        gradients: over gradients to input and initial states.
        parameters: over gradients to parameters.
    """

    values: float
    gradients: float
    parameters: float

    @property
    def worst(self) -> float:
        """The largest of the three."""
        return largest([self.values, self.gradients, self.parameters])


class Comparison:
    """A neuron as it runs and in float64, with the same rounded constants.

    Args:
        neuron: what is compared; it is copied.
        dtype: of input and emissions.
        device: where the kernels run.
        seed: of everything random.
        gradients: whether gradients are wanted.
    """

    def __init__(self, neuron: Neuron, dtype: torch.dtype, device: torch.device, seed: int, gradients: bool) -> None:
        self.dtype, self.device, self.gradients = dtype, device, gradients
        self.compute = torch.float64 if dtype == torch.float64 else torch.float32
        self.fast = copy.deepcopy(neuron).to(device=device, dtype=self.compute)
        self.exact = copy.deepcopy(self.fast).to(device="cpu", dtype=torch.float64)
        self.learnt = [k for k in neuron.params if getattr(neuron, k).requires_grad] if gradients else []
        self.random = torch.Generator().manual_seed(seed)
        self.clock = torch.tensor([seed, 0])

    def noise(self, *shape: int) -> Tensor:
        """Standard normal numbers that the compared dtype holds exactly, in float64."""
        return torch.randn(shape, generator=self.random).to(self.dtype).double()

    def trajectory(self, steps: int, neurons: int) -> Trajectory:
        """The reference run, under a drive that makes the neuron fire."""
        mean, spread = getattr(self.exact, "drive", DRIVE)
        noise = self.noise(steps, neurons)
        gain = self._gain(mean + spread * noise)
        most = torch.finfo(self.dtype).max

        def driven(noise: Tensor) -> Tensor:
            return (gain * (mean + spread * noise)).clamp(-most, most).to(self.dtype).double()

        return follow(self.exact, driven(noise), self.clock, self.compute, fresh=lambda: driven(self.noise(neurons)))

    def _gain(self, x: Tensor) -> float:
        states = {k: getattr(self.exact, f"initial_{k}").expand(x.shape[1]) for k in self.exact.states}
        gain = 1.0
        while gain < LOUDEST:
            with torch.no_grad():
                emitted, _ = self._reference(gain * x, states, {})
            if (emitted != 0).double().mean() >= LIVELY:
                return gain
            gain *= 2.0
        return 1.0

    def single_steps(self, run: Trajectory) -> Deviations:
        """Compare every step on its own, from the reference's state: each is a sample of one call with T = 1."""
        x, states, sure = self._alone(run)
        return self._compared(x, states, sure)

    def _alone(self, run: Trajectory) -> tuple[Tensor, Rows, Tensor]:
        x = run.x.flatten().unsqueeze(0)
        states = {k: v.flatten().to(self.compute).double() for k, v in run.before.items()}
        # These steps draw other random numbers than those of the run, so other decisions are in doubt.
        return x, states, ~follow(self.exact, x, self.clock, self.compute, states=states).doubtful[0]

    def whole_run(self, run: Trajectory, sure: Tensor) -> Deviations:
        """Compare the run of the neurons that are ``sure``."""
        return self._compared(run.x, {k: v[0] for k, v in run.before.items()}, sure)

    def _compared(self, x: Tensor, states: Rows, sure: Tensor) -> Deviations:
        x, states, weights = self._calm(x, states, sure)
        return self._deviations(self._by_kernel(x, states, weights), self._by_equations(x, states, weights), sure)

    def single_rounding(self, run: Trajectory) -> Deviations:
        """What one rounding of every state makes of single steps."""
        return self._rounded(*self._alone(run))

    def rounding(self, run: Trajectory, sure: Tensor) -> Deviations:
        """What one rounding of every state in every step makes of the run."""
        return self._rounded(run.x, {k: v[0] for k, v in run.before.items()}, sure)

    def _rounded(self, x: Tensor, states: Rows, sure: Tensor) -> Deviations:
        x, states, weights = self._calm(x, states, sure)
        expected = self._by_equations(x, states, weights)
        eps = torch.finfo(self.compute).eps
        found = [
            self._deviations(self._stored(self._by_equations(x, states, weights, eps)), expected, sure)
            for _ in range(ROUNDINGS)
        ]
        return Deviations(
            largest(f.values for f in found),
            largest(f.gradients for f in found),
            largest(f.parameters for f in found),
        )

    def _stored(self, found: Outcome) -> Outcome:
        """What a kernel would keep of it: half precision ends earlier than an amplified rounding may reach."""
        rows, slopes = found
        if self.exact.emits.is_spike:
            rows = rows | {"out": rows["out"].to(self.dtype)}
        return rows, slopes | {k: v.to(self.dtype) for k, v in slopes.items() if k == "x"}

    def _calm(self, x: Tensor, states: Rows, sure: Tensor) -> tuple[Tensor, Rows, Rows]:
        """Inputs, states, and what a loss would hand to emissions and final states as their gradients.

        Whoever is not sure takes the place of one that is, at no weight: a zero alone does not silence a NaN.
        """
        stand_in = torch.where(sure, torch.arange(len(sure)), int(sure.int().argmax()))
        weights = {"out": self.noise(*x.shape) * sure} | {k: self.noise(x.shape[1]) * sure for k in states}
        return x[:, stand_in], {k: v[stand_in] for k, v in states.items()}, weights

    def _by_kernel(self, x: Tensor, states: Rows, weights: Rows) -> Outcome:
        rows = x.to(self.device, self.dtype).requires_grad_(self.gradients)
        start = {k: v.to(self.device, self.compute).clone().requires_grad_(self.gradients) for k, v in states.items()}
        learnt = {k: getattr(self.fast, k) for k in self.learnt}
        state = start | ({CLOCK: self.clock} if self.fast.draws else {})
        with torch.set_grad_enabled(self.gradients):
            out, final = self.fast.run_rows(rows.flatten(), len(x), state=state)
        return self._with_slopes({"out": out.view(x.shape), **final}, weights, {"x": rows, **start, **learnt})

    def _by_equations(self, x: Tensor, states: Rows, weights: Rows, jitter: float = 0.0) -> Outcome:
        rows = x.clone().requires_grad_(self.gradients)
        start = {k: v.clone().requires_grad_(self.gradients) for k, v in states.items()}
        # One leaf per neuron: a sum cannot tell how large its parts are.
        learnt = {k: getattr(self.exact, k).detach().expand(x.shape[1]).clone() for k in self.learnt}
        leaves = {"x": rows, **start, **{k: v.requires_grad_(self.gradients) for k, v in learnt.items()}}
        with torch.set_grad_enabled(self.gradients):
            out, final = self._reference(rows, start, learnt, jitter)
        return self._with_slopes({"out": out, **final}, weights, leaves)

    def _reference(self, x: Tensor, states: Rows, learnt: Rows, jitter: float = 0.0) -> tuple[Tensor, Rows]:
        step, params = self.exact.equations(), {k: getattr(self.exact, k) for k in self.exact.params} | learnt

        def jittered(row: Tensor, **values: Tensor) -> tuple[Any, Mapping[str, Any]]:
            moved = {k: values[k] * (1.0 + jitter * self.noise(*row.shape)) for k in states}
            return step(row, **values | moved)

        return run_reference(jittered if jitter else step, self.exact.program(), x, states, params, clock=self.clock)

    def _with_slopes(self, found: Rows, weights: Rows, leaves: Rows) -> Outcome:
        found = {k: found[k] for k in weights}
        if not self.gradients:
            return found, {}
        outputs = {k: v for k, v in found.items() if v.requires_grad}
        incoming = [weights[k].to(v.device, v.dtype) for k, v in outputs.items()]
        slopes = torch.autograd.grad(list(outputs.values()), list(leaves.values()), incoming, allow_unused=True)
        return found, {k: torch.zeros_like(leaf) if s is None else s for (k, leaf), s in zip(leaves.items(), slopes)}

    def _deviations(self, found: Outcome, expected: Outcome, sure: Tensor) -> Deviations:
        values = [deviation(v[..., sure], expected[0][k][..., sure]) for k, v in found[0].items()]
        slopes = {k: deviation(v, expected[1][k]) for k, v in found[1].items()}
        learnt = {k: slopes.pop(k) for k in self.learnt if k in slopes}
        return Deviations(largest(values), largest(slopes.values()), largest(learnt.values()))


def deviation(found: Tensor, expected: Tensor) -> float:
    """Largest distance, relative to the largest value, beyond one unit in the last place of half precision.

    Args:
        found: in any dtype; one value is compared with the sum of all that are expected, relative to the root of the
            sum of their squares if that is larger: what a sum of such parts comes to unless they happen to cancel.
        expected: in float64.

    >>> round(deviation(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0], dtype=torch.float64)), 6)
    0.25
    """
    if expected.numel() == 0:
        return 0.0
    found, expected, limits = found.detach().cpu(), expected.detach(), torch.finfo(found.dtype)
    typical = 1e-30
    if found.numel() == 1 < expected.numel():
        typical, expected = max(typical, float(expected.norm())), expected.sum()
    expected = expected.clamp(limits.min, limits.max)  # what overflows half precision may be infinite
    distance = (found.double().clamp(limits.min, limits.max) - expected).abs()
    if limits.bits == 16:
        unit = limits.eps * expected.abs().clamp(min=limits.smallest_normal)
        distance = (distance - unit).clamp(min=0.0)
    return float(distance.max()) / max(float(expected.abs().max()), typical)


def largest(found: Iterable[float]) -> float:
    """The largest of some deviations, or NaN if one of them is; 0 of none.

    >>> largest([1e-7, float("nan"), 1e-6])
    nan
    """
    return float(torch.tensor([0.0, *found], dtype=torch.float64).max())
