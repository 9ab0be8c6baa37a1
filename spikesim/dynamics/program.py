"""A recorded step: a short list of primitive operations in the author's own order.

A program is plain text underneath, so a kernel call, an exported model and the file cache can all
carry it: everything that compiles from the same equations is the same kernel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

Operand = str | float


@dataclass(frozen=True)
class Instruction:
    """``name = primitive(*args)``; an argument is the name of an earlier value or a number."""

    name: str
    primitive: str
    args: tuple[Operand, ...]


@dataclass(frozen=True)
class Program:
    """One time step of a neuron.

    Args:
        states: names of the carried variables, in order.
        params: names of the constants, in order.
        body: the operations; the input is called ``x``.
        output: what is emitted.
        carried: the new value of each state, in the order of ``states``.
    """

    states: tuple[str, ...]
    params: tuple[str, ...]
    body: tuple[Instruction, ...]
    output: Operand
    carried: tuple[Operand, ...]

    def text(self) -> str:
        """Canonical text; equal equations give equal text."""
        return json.dumps(
            {
                "states": self.states,
                "params": self.params,
                "body": [[i.name, i.primitive, *i.args] for i in self.body],
                "output": self.output,
                "carried": self.carried,
            },
            separators=(",", ":"),
        )

    def __str__(self) -> str:
        lines = [f"{i.name} = {i.primitive}({', '.join(map(str, i.args))})" for i in self.body]
        lines += [f"emit {self.output}"]
        lines += [f"{name}' = {value}" for name, value in zip(self.states, self.carried)]
        return "\n".join(lines)


@lru_cache(maxsize=4096)
def parse(text: str) -> Program:
    """The program that ``text`` was made from."""
    raw = json.loads(text)
    return Program(
        states=tuple(raw["states"]),
        params=tuple(raw["params"]),
        body=tuple(Instruction(name, primitive, tuple(args)) for name, primitive, *args in raw["body"]),
        output=raw["output"],
        carried=tuple(raw["carried"]),
    )


def live(body: Sequence[Instruction], roots: Iterable[Operand]) -> tuple[Instruction, ...]:
    """The instructions that ``roots`` depend on, in order."""
    needed = {r for r in roots if isinstance(r, str)}
    kept: list[Instruction] = []
    for instruction in reversed(body):
        if instruction.name in needed:
            kept.append(instruction)
            needed.update(a for a in instruction.args if isinstance(a, str))
    return tuple(reversed(kept))


def forward_body(program: Program, also: Sequence[str] = ()) -> tuple[Instruction, ...]:
    """What must be computed to step forward and to keep the values ``also``: no surrogate derivative."""
    stripped = [
        # Second operand of all three: the surrogate derivative.
        Instruction(i.name, i.primitive, (i.args[0], 0.0, *i.args[2:]))
        if i.primitive in ("spike", "spike_strict", "smooth")
        else i
        for i in program.body
    ]
    return live(stripped, (program.output, *program.carried, *also))
