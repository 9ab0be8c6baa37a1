"""Write recorded instructions as the lines of Python that a person would write.

A value that is used once and that the author did not name goes into the line that uses it, with the
parentheses that keep the author's order of operations; everything else is a line of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from spikesim.dynamics.primitives import ATOM, PRIMITIVES
from spikesim.dynamics.program import Instruction, Operand

_LONGEST = 90  # characters of an expression before it becomes a line of its own


class Writer:
    """Turns one list of instructions into lines, and its values into expressions.

    Args:
        body: the instructions, in order.
        results: values that leave the body.
        functions: names that the lines call, which no variable may hide.
        others: further names that stand beside the lines.
    """

    def __init__(
        self,
        body: Sequence[Instruction],
        results: Iterable[Operand],
        functions: Iterable[str],
        others: Iterable[str] = (),
    ) -> None:
        results = list(results)
        self._functions = set(functions)
        operands = [i.name for i in body] + [a for i in body for a in i.args] + [*results, *others]
        self._taken = {o for o in operands if isinstance(o, str)} | self._functions
        self._renamed: dict[str, str] = {}
        uses = Counter(a for i in body for a in i.args)
        leaving = set(results)
        self._inline: dict[str, tuple[str, int]] = {}
        self.lines: list[str] = []
        for i in body:
            text, level = self._expression(i)
            once = uses[i.name] == 1 and i.name not in leaving
            boolean = PRIMITIVES[i.primitive].boolean
            if once and len(text) < _LONGEST and (i.anonymous or boolean):
                self._inline[i.name] = (text, level)
            else:
                self.lines.append(f"{self.variable(i.name)} = {text}")

    def variable(self, name: str) -> str:
        """The name of a value in the source.

        >>> Writer([], [], ["exp"]).variable("exp")
        'exp_'
        """
        if name not in self._functions:
            return name
        if name not in self._renamed:
            free = f"{name}_"
            while free in self._taken:
                free += "_"
            self._taken.add(free)
            self._renamed[name] = free
        return self._renamed[name]

    def value(self, operand: Operand) -> str:
        """A value as it stands in an assignment."""
        return self._operand(operand)[0]

    def _operand(self, operand: Operand) -> tuple[str, int]:
        if isinstance(operand, float):
            return f"real({operand!r})", ATOM
        return self._inline.get(operand) or (self.variable(operand), ATOM)

    def _expression(self, instruction: Instruction) -> tuple[str, int]:
        primitive = PRIMITIVES[instruction.primitive]
        parts = []
        for k, arg in enumerate(instruction.args):
            text, level = self._operand(arg)
            # Rounding depends on the order: a + (b + c) keeps its parentheses.
            needs = primitive.level if k == 0 else primitive.level + 1
            bare = primitive.level == ATOM or level >= needs
            parts.append(text if bare else f"({text})")
        return primitive.source.format(*parts), primitive.level


def indent(lines: Iterable[str], depth: int) -> list[str]:
    """Lines moved to the right by ``depth`` levels.

    >>> indent(["a", "b"], 1)
    ['    a', '    b']
    """
    return ["    " * depth + line for line in lines]


def assignments(writer: Writer, targets: Mapping[str, Operand], form: str = "{target} = {value}") -> list[str]:
    """One line per target.

    >>> assignments(Writer([], [], []), {"a": "u"}, "{target}_row[_i] = {value}")
    ['a_row[_i] = u']
    """
    return [form.format(target=t, value=writer.value(v)) for t, v in targets.items()]
