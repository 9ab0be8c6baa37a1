"""Neurons of other packages: which they are, and for snnTorch's what one update of them costs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from spikesim.dynamics import Neuron, SpikeType
from spikesim.errors import LedgerError
from spikesim.neurons import Alpha, CubaLIF, Lapicque, Leaky

# Package -> the class from which all its neurons derive; asked by name, since none of them need be installed.
_FOREIGN = {"snntorch": "SpikingNeuron", "spikingjelly": "BaseNode", "sinabs": "StatefulLayer", "norse": "SNN"}
_RESETS: dict[int, Any] = {0: "subtract", 1: "zero", 2: "none"}


def package_of(module: nn.Module) -> str | None:
    """The package whose neuron a module is; None for anything else, neurons of spikesim too."""
    for kind in type(module).__mro__:
        package = kind.__module__.partition(".")[0]
        if kind.__name__.startswith(_FOREIGN.get(package, "\0")):
            return package
    return None


def foreign_neuron(root: nn.Module) -> tuple[str, str] | None:
    """Name and package of the first neuron of another package, None if there is none."""
    found = ((name or "(root)", package_of(module)) for name, module in root.named_modules())
    return next(((name, package) for name, package in found if package is not None), None)


def equal_neuron(name: str, theirs: Any) -> Neuron:
    """The neuron of spikesim that does in a step what one of snnTorch does: states, spikes and operations.

    Args:
        name: of the neuron, for messages.
        theirs: a neuron of snnTorch 1.0.

    Raises:
        LedgerError: there is none, so that its cost is not known.

    Example:
        >>> import snntorch
        >>> from spikesim.energy.foreign import equal_neuron
        >>> from spikesim.energy import update_mix
        >>> dict(update_mix(equal_neuron("lif", snntorch.Leaky(0.9))).per_update)
        {'cmp': 2, 'mul': 1, 'add': 1}
    """
    kind, gain = type(theirs).__name__, torch.as_tensor(theirs.graded_spikes_factor)
    whole = type(theirs).__module__.startswith("snntorch.") and kind in ("Leaky", "Synaptic", "Alpha", "Lapicque")
    extra = [flag for flag in ("inhibition", "state_quant") if getattr(theirs, flag, False)]
    if not whole or extra or bool((gain != gain.flatten()[0]).any()):
        why = f" with {' and '.join(extra)}" if extra else "" if not whole else " with a gain for each neuron"
        raise LedgerError(
            f"{name!r} is a {kind} of snnTorch{why}, and what one update of it costs is not known; use Leaky, "
            "Synaptic, Alpha or Lapicque without inhibition and quantised states, or neurons of spikesim.neurons"
        )
    # The values decide nothing but the scale of a spike; equations and flags decide the operations.
    flags: dict[str, Any] = {"reset": _RESETS[int(theirs.reset_mechanism_val)]}
    made: Neuron
    if kind == "Leaky":
        made = Leaky(settle=not theirs.reset_delay, **flags)
    elif kind == "Synaptic":
        made = CubaLIF(delayed_reset=True, settle=not theirs.reset_delay, **flags)
    else:
        made = (Alpha if kind == "Alpha" else Lapicque)(**flags)
    made.emits = SpikeType("binary", scale=float(gain.flatten()[0]))
    return made
