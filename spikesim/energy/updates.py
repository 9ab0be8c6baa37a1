"""What one neuron update costs, derived from the neuron's own equations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from spikesim.dynamics import Neuron
from spikesim.dynamics.program import Operand, Program, forward_body

_PRICE = {
    "add": ("add",),
    "sub": ("add",),
    "mul": ("mul",),
    "div": ("mul",),  # by constants: hardware multiplies by the reciprocal
    "spike": ("cmp",),
    "spike_strict": ("cmp",),
    "gt": ("cmp",),
    "ge": ("cmp",),
    "lt": ("cmp",),
    "le": ("cmp",),
    "eq": ("cmp",),
    "minimum": ("cmp",),
    "maximum": ("cmp",),
    "clip": ("cmp", "cmp"),
    "round": ("add",),  # adds one half and drops bits
    # Selections, signs, dropped bits and copies are no arithmetic.
    "floor": (),
    "where": (),
    "neg": (),
    "abs": (),
    "sign": (),
    "detach": (),
}


@dataclass(frozen=True)
class UpdateMix:
    """Operations of one neuron update.

    Args:
        per_update: operations of every update, by "add", "mul", "cmp".
        per_spike: operations that happen only when the neuron fires (a reset by subtraction).
        unpriced: primitives that no profile prices (exponentials and the like).

    Example:
        >>> from spikesim.energy import update_mix
        >>> from spikesim.neurons import LIF
        >>> dict(update_mix(LIF(reset="zero")).per_update)
        {'add': 2, 'mul': 1, 'cmp': 1}
    """

    per_update: Mapping[str, int]
    per_spike: Mapping[str, int]
    unpriced: Mapping[str, int]


def update_mix(neuron: Neuron) -> UpdateMix:
    """Count the operations of one update of a neuron.

    Constants (parameters and numbers) are folded before they are counted, a comparison with the threshold
    is one comparison, and a product with a spike is a selection.

    Args:
        neuron: any spikesim neuron.

    Example:
        >>> from spikesim.energy import update_mix
        >>> from spikesim.neurons import IF
        >>> mix = update_mix(IF())
        >>> dict(mix.per_update), dict(mix.per_spike)
        ({'add': 1, 'cmp': 1}, {'add': 1})
    """
    return program_mix(neuron.program())


@lru_cache(maxsize=256)
def program_mix(program: Program) -> UpdateMix:
    """Count the operations of a recorded step; see :func:`update_mix`."""
    body = forward_body(program, (program.output, *program.carried))
    uses = Counter(a for i in body for a in i.args if isinstance(a, str))
    uses.update(v for v in (program.output, *program.carried) if isinstance(v, str))
    feeds_spike = {i.args[0] for i in body if i.primitive.startswith("spike")}
    constants: set[Operand] = set(program.params)
    spikes: set[Operand] = set()
    silences: set[Operand] = set()  # 1 - spike
    gated: set[Operand] = set()  # zero unless the neuron fires
    per_update: Counter[str] = Counter()
    per_spike: Counter[str] = Counter()
    unpriced: Counter[str] = Counter()
    for i in body:
        fires = i.primitive.startswith("spike")
        args = i.args[:1] if fires else i.args
        if all(isinstance(a, float) or a in constants for a in args):
            constants.add(i.name)
        elif i.primitive == "detach":
            for group in (spikes, silences, gated):
                if args[0] in group:
                    group.add(i.name)
        elif i.primitive == "sub" and args[0] == 1.0 and args[1] in spikes:
            silences.add(i.name)
        elif i.primitive == "mul" and not spikes.isdisjoint(args):
            gated.add(i.name)
        elif i.primitive == "mul" and not silences.isdisjoint(args):
            pass  # keeps the value unless the neuron fires: a selection
        elif i.primitive == "sub" and i.name in feeds_spike and uses[i.name] == 1:
            pass  # one comparison with the threshold, counted at the spike
        elif i.primitive in ("add", "sub") and not (gated | spikes).isdisjoint(args):
            per_spike["add"] += 1
        elif i.primitive in _PRICE:
            per_update.update(_PRICE[i.primitive])
        else:
            unpriced[i.primitive] += 1
        if fires:
            spikes.add(i.name)
    return UpdateMix(dict(per_update), dict(per_spike), dict(unpriced))
