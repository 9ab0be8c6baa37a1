"""A recorded step: a short list of primitive operations in the author's own order.

A program is plain text underneath, so a kernel call, an exported model and the file cache can all
carry it: everything that compiles from the same equations is the same kernel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

Operand = str | float
Merge = Literal["last", "sum"]  # what a step emits of its sub-steps: the last value, or the sum of the spikes


@dataclass(frozen=True)
class Instruction:
    """``name = primitive(*args)``; an argument is the name of an earlier value or a number."""

    name: str
    primitive: str
    args: tuple[Operand, ...]

    @property
    def anonymous(self) -> bool:
        """Whether the author gave the value no name of its own.

        >>> Instruction("mul_2", "mul", ("v", 2.0)).anonymous, Instruction("u", "mul", ("v", 2.0)).anonymous
        (True, False)
        """
        rest = self.name.removeprefix(self.primitive)
        return rest != self.name and (not rest or (rest[0] == "_" and rest[1:].isdigit()))


@dataclass(frozen=True)
class Program:
    """One time step of a neuron.

    Args:
        states: names of the carried variables, in order.
        params: names of the constants, in order.
        body: the operations; the input is called ``x``.
        output: what is emitted.
        carried: the new value of each state, in the order of ``states``.
        draws: names of the uniform random numbers that the step receives.
        substeps: how often the step runs per time step, with the same input.
        merge: what of the sub-steps' emissions is emitted.
    """

    states: tuple[str, ...]
    params: tuple[str, ...]
    body: tuple[Instruction, ...]
    output: Operand
    carried: tuple[Operand, ...]
    draws: tuple[str, ...] = ()
    substeps: int = 1
    merge: Merge = "last"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every name that the body may use without computing it."""
        return ("x", *self.states, *self.params, *self.draws)

    def text(self) -> str:
        """Canonical text; equal equations give equal text."""
        fields = asdict(self) | {"body": [[i.name, i.primitive, *i.args] for i in self.body]}
        return json.dumps(fields, separators=(",", ":"))

    def __str__(self) -> str:
        lines = [f"{i.name} = {i.primitive}({', '.join(map(str, i.args))})" for i in self.body]
        lines += [f"emit {self.output}"]
        lines += [f"{name}' = {value}" for name, value in zip(self.states, self.carried)]
        return "\n".join(lines)


@lru_cache(maxsize=4096)
def parse(text: str) -> Program:
    """The program that ``text`` was made from."""
    raw: dict[str, Any] = json.loads(text)
    raw["body"] = tuple(Instruction(name, primitive, tuple(args)) for name, primitive, *args in raw["body"])
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    return Program(**fields)


def live(body: Sequence[Instruction], roots: Iterable[Operand]) -> tuple[Instruction, ...]:
    """The instructions that ``roots`` depend on, in order."""
    needed = {r for r in roots if isinstance(r, str)}
    kept: list[Instruction] = []
    for instruction in reversed(body):
        if instruction.name in needed:
            kept.append(instruction)
            needed.update(a for a in instruction.args if isinstance(a, str))
    return tuple(reversed(kept))


def forward_body(program: Program, roots: Iterable[Operand]) -> tuple[Instruction, ...]:
    """What must be computed for ``roots``, going forward only: no surrogate derivative."""
    stripped = [
        # Second operand of all three: the surrogate derivative.
        Instruction(i.name, i.primitive, (i.args[0], 0.0, *i.args[2:]))
        if i.primitive in ("spike", "spike_strict", "smooth")
        else i
        for i in program.body
    ]
    return live(stripped, roots)
