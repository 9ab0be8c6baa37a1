"""What is left of a potential if the reset of a spike, due in the next step, is brought forward into its own."""

from __future__ import annotations

from typing import Any

from spikesim.dynamics import detach
from spikesim.neurons.spiking import SpikingNeuron


def settled(neuron: SpikingNeuron, u: Any, s: Any, before: Any, threshold: Any) -> Any:
    """The potential at the end of a step, as snnTorch 1.0 has it with ``reset_delay=False``.

    A spike is reset at once, but not one that the reset at the start of the step has paid for; and if that reset has
    silenced the neuron, what it took is given back. The gradient passes ``s``, as there, also if resets are detached.

    Args:
        neuron: whose reset rule and whose ``detach_reset`` count.
        u: potential that ``s`` was decided on, after the reset for ``before``.
        s: spike of this step.
        before: spike that was reset at the start of this step.
        threshold: what a reset by subtraction takes.

    >>> from spikesim.neurons import IF
    >>> settled(IF(), 1.5, 1.0, 0.0, 1.0), settled(IF(reset="zero"), 1.5, 1.0, 0.0, 1.0)
    (0.5, 0.0)
    """
    if neuron.reset_rule == "none":
        return u
    due = s - (detach(before) if neuron.detach_reset else before)
    return u - due * (threshold if neuron.reset_rule == "subtract" else u)
