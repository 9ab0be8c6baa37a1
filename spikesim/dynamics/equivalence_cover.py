"""Which combinations of neuron, surrogate, reset, dtype, direction and backend to compare.

The product of all of them is a matter of hours, since nearly each has a kernel of its own to be compiled. A
pairwise cover lets every pair of levels of two factors occur at least once: most defects of a program that depends on
its settings show up with one or two of them (Kuhn et al., IEEE Trans. Softw. Eng. 30:418, 2004).

A surrogate gradient is one expression in the backward of a neuron. So the cover puts several into one
kernel, as a weighted sum, which is a surrogate too; and each by itself into LIF.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from spikesim.dynamics.equivalence import Equivalence, check_neuron
from spikesim.dynamics.neuron import Neuron
from spikesim.dynamics.ops import Value
from spikesim.dynamics.pairwise import pairwise
from spikesim.dynamics.surrogates import CATALOGUE, Surrogate
from spikesim.errors import ConfigError

DTYPES = ("float32", "float64", "bfloat16", "float16")
# Half precision is storage: states and arithmetic are float32.
TOLERANCE = {"float32": 2e-5, "float64": 1e-10, "bfloat16": 2e-5, "float16": 2e-5}
ALONE = "LIF"  # the neuron that is compared with each surrogate by itself
BLENDS = 2  # kernels over which the cover spreads the surrogates, per neuron

NONE = "-"
_VALUE = 0.25  # potential after a spike, where the reset is to a value
_COST = {"forward": 1.0, "keep": 2.1, "recompute": 2.6}  # compile times, relative


@dataclass(frozen=True, order=True)
class Case:
    """One combination, in plain words.

    Args:
        neuron: name of the class.
        reset: name of the reset; "-" for a neuron without.
        dtype: of input and emissions.
        direction: "forward" (inference) or "backward" (training: the forward that comes before it too).
        device: "cpu" or "cuda".
        memory: "keep" or "recompute" for a backward, "-" else.
        surrogates: names, joined by "+", of what a backward is taken with; "-" else.
    """

    neuron: str
    reset: str
    dtype: str
    direction: str
    device: str
    memory: str
    surrogates: str

    @property
    def cost(self) -> float:
        """How long its kernels take to compile, relative to others."""
        blend = 1.0 + 0.15 * self.surrogates.count("+")
        return _COST["forward"] if self.direction == "forward" else _COST[self.memory] * blend


@dataclass(frozen=True)
class Subject:
    """A class of neurons and what it can be combined with.

    Args:
        kind: the class.
        arguments: what it needs to be built.
        resets: names of its resets; ("-",) if it has none.
        surrogate: whether its gradient has a surrogate.
    """

    kind: type[Neuron]
    arguments: Mapping[str, Any]
    resets: tuple[str, ...]
    surrogate: bool


@dataclass(frozen=True)
class Blend(Surrogate):
    """A weighted sum of surrogates.

    >>> from spikesim.dynamics import Box, StraightThrough
    >>> Blend((Box(), StraightThrough())).derivative(0.0)
    2.125
    """

    parts: tuple[Surrogate, ...]

    def derivative(self, u: Value) -> Value:
        """The sum, weighted 1, 1 1/8, 1 1/4, ... so that no two can be exchanged."""
        return sum((1.0 + k / 8.0) * part.derivative(u) for k, part in enumerate(self.parts))


def subject(kind: type[Neuron], arguments: Mapping[str, Any] | None = None) -> Subject:
    """What a class of neurons can be combined with, by trying.

    Raises:
        ConfigError: it cannot be built from these arguments.

    >>> from spikesim.neurons import ILIF
    >>> subject(ILIF).resets, subject(ILIF).surrogate
    (('subtract', 'none'), False)
    """
    arguments = dict(arguments or {})
    try:
        kind(**arguments)
    except TypeError as error:
        raise ConfigError(f"{kind.__name__} cannot be built from {arguments}: {error}") from error
    resets = tuple(getattr(kind, "resets", ())) or (NONE,)
    try:
        kind(**{"surrogate": CATALOGUE["Box"](), **arguments})
    except (ConfigError, TypeError):
        return Subject(kind, arguments, resets, False)
    return Subject(kind, arguments, resets, True)


def build(subject: Subject, case: Case) -> Neuron:
    """The neuron of a case; everything that it can learn is learnt."""
    flags: dict[str, Any] = dict(subject.arguments)
    if case.reset != NONE:
        flags["reset"] = case.reset
    if case.reset == "value" and getattr(subject.kind, "resets_to", None) is None:
        flags["reset_value"] = _VALUE
    if case.surrogates != NONE:
        parts = tuple(CATALOGUE[name]() for name in case.surrogates.split("+"))
        flags["surrogate"] = parts[0] if len(parts) == 1 else Blend(parts)
    if case.direction == "backward":
        flags["learnable"] = _learnable(subject.kind, flags)
    neuron = subject.kind(**{k: v for k, v in flags.items() if v != ()})
    if case.memory == "recompute":
        neuron.memory = "recompute"
    elif case.memory == "keep":
        neuron.memory = "keep"
    return neuron


def _learnable(kind: type[Neuron], flags: Mapping[str, Any]) -> tuple[str, ...]:
    names = tuple(kind(**flags).params)
    return names if _builds(kind, flags, names) else tuple(n for n in names if _builds(kind, flags, (n,)))


def _builds(kind: type[Neuron], flags: Mapping[str, Any], learnable: tuple[str, ...]) -> bool:
    try:
        kind(**flags, learnable=learnable)
    except ConfigError:
        return False
    return True


def check(subject: Subject, case: Case) -> Equivalence:
    """Compare the kernels of one case with its equations."""
    neuron = build(subject, case)
    # Sub-steps are steps to the reference, which walks through them one by one.
    steps = 16 if neuron.substeps == 1 else 6
    dtype = getattr(torch, case.dtype)
    backward = case.direction == "backward"
    return check_neuron(neuron, dtype=dtype, steps=steps, neurons=64, gradients=backward, device=case.device)


def product(
    subjects: Mapping[str, Subject], devices: Sequence[str] = ("cpu",), dtypes: Sequence[str] = DTYPES
) -> list[Case]:
    """Every combination, each surrogate by itself."""
    return sorted(_combinations(subjects, devices, dtypes, tuple(CATALOGUE)))


def cover(
    subjects: Mapping[str, Subject], devices: Sequence[str] = ("cpu",), dtypes: Sequence[str] = DTYPES
) -> list[Case]:
    """A pairwise cover, and every surrogate by itself in a LIF, if there is one."""
    names = tuple(CATALOGUE)
    blends = ["+".join(names[k::BLENDS]) for k in range(BLENDS)]
    cases = pairwise(list(_combinations(subjects, devices, dtypes, blends)), _levels, lambda case: case.cost)
    if ALONE in subjects:
        resets, memories = itertools.cycle(subjects[ALONE].resets), itertools.cycle(("keep", "keep", "recompute"))
        cases += [Case(ALONE, next(resets), dtypes[0], "backward", devices[0], next(memories), name) for name in names]
    return sorted(dict.fromkeys(cases))


def _levels(case: Case) -> tuple[tuple[str, str], ...]:
    """Level of each factor; memory belongs to the device, as the two make up the backend."""
    backend = case.device if case.memory == NONE else f"{case.device}, {case.memory}"
    levels = {
        "neuron": case.neuron,
        "reset": case.reset,
        "dtype": case.dtype,
        "direction": case.direction,
        "backend": backend,
        "surrogates": case.surrogates,
    }
    return tuple(levels.items())


def _combinations(
    subjects: Mapping[str, Subject], devices: Sequence[str], dtypes: Sequence[str], surrogates: Sequence[str]
) -> Iterator[Case]:
    for (name, found), dtype, device in itertools.product(subjects.items(), dtypes, devices):
        for reset in found.resets:
            yield Case(name, reset, dtype, "forward", device, NONE, NONE)
            for memory, used in itertools.product(("keep", "recompute"), surrogates if found.surrogate else (NONE,)):
                yield Case(name, reset, dtype, "backward", device, memory, used)
