"""One neuron as a NIR node, and what another reader of the node would see otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from spikesim.converters.nir_constants import FAMILIES, Array
from spikesim.converters.nir_modules import Drive
from spikesim.dynamics import Neuron
from spikesim.dynamics.prepare import along_channels
from spikesim.errors import ConversionError
from spikesim.neurons import SpikingNeuron

FLAGS = ("reset", "strict", "detach_reset")


def neuron_node(
    nir: Any, neuron: Neuron, shape: tuple[int, ...], dt: float, drive: Drive | None = None
) -> tuple[Any, list[str]]:
    """Say a neuron in NIR.

    Args:
        nir: The package.
        neuron: One of the families that NIR has.
        shape: Of one sample.
        dt: Seconds per step.
        drive: What its input passes before, which becomes part of the node.

    Returns:
        The node, and what of it only its metadata say.

    Raises:
        ConversionError: NIR cannot say it.

    Example:
        >>> from spikesim.converters.nir_write import neuron_node
        >>> from spikesim.neurons import LIF
        >>> neuron_node(None, LIF(refractory=3), (4,), 1e-3)
        Traceback (most recent call last):
        ...
        spikesim.errors.ConversionError: NIR has no refractory period: build it with refractory=0
    """
    family = FAMILIES.get(type(neuron).__name__)
    if family is None or type(neuron) is not family.neuron:
        known = ", ".join(FAMILIES)
        raise ConversionError(f"NIR has no node for {type(neuron).__name__}; it says {known}")
    _refuse_flags(neuron)
    flags = {name: getattr(neuron, name) for name in family.flags}
    names = [p for p in neuron.params if p != "width"]  # of the gradient alone
    values = {p: full(neuron.acting(p), shape) for p in names}
    gain = np.ones(shape) if drive is None else full(drive.scale, shape)
    offset = np.zeros(shape) if drive is None or drive.offset is None else full(drive.offset, shape)
    fields = family.write(values, flags, dt, gain, offset)
    exact = {p: _plain(neuron.acting(p)) for p in names}
    if drive is not None:
        exact["gain"] = _plain(drive.scale)
        exact |= {} if drive.offset is None else {"offset": _plain(drive.offset)}
    starts = {k: getattr(neuron, f"initial_{k}") for k in neuron.states}
    said: dict[str, Any] = {"neuron": type(neuron).__name__, "dt": dt, "spike_type": neuron.emits.kind, **flags}
    said |= {"exact": exact, "initial": {k: _plain(v) for k, v in starts.items()}}
    caveats = [f"starts at {k} = {_shown(v)} (NIR says no start)" for k, v in starts.items() if bool(v.any())]
    if isinstance(neuron, SpikingNeuron):
        fields["v_threshold"] = values["threshold"]
        fields["v_reset"] = np.full(shape, float(neuron.reset_value or 0.0))
        said |= {"reset": neuron.reset_rule, "strict": neuron.strict, "detach_reset": neuron.detach_reset}
        caveats = _reset_caveats(neuron, flags) + caveats
    node = getattr(nir, family.node)(**fields)
    node.metadata = {"spikesim": said}
    return node, caveats


def _refuse_flags(neuron: Neuron) -> None:
    if neuron.substeps != 1:
        raise ConversionError(f"NIR has no sub-steps: it takes {neuron.substeps} per step")
    if isinstance(neuron, SpikingNeuron):
        if neuron.refractory:
            raise ConversionError("NIR has no refractory period: build it with refractory=0")
        if neuron.reset_rule == "none":
            raise ConversionError("NIR's neurons reset when they fire: choose another reset than 'none'")


def _reset_caveats(neuron: SpikingNeuron, flags: dict[str, Any]) -> list[str]:
    found = []
    if neuron.reset_rule == "subtract":
        found.append("resets by subtraction (NIR: to v_reset)")
    if not neuron.strict:
        found.append("fires also at its threshold (NIR: only above)")
    if flags.get("leak_after_reset"):
        found.append("leaks after the reset (NIR leaves the order open)")
    if flags.get("delayed_reset"):
        found.append("resets in the next step (NIR: at once)")
    return found


def full(value: Tensor, shape: tuple[int, ...]) -> Array:
    """A parameter with one value for each neuron, in double precision.

    Args:
        value: One value, one per channel, or one per neuron.
        shape: Of one sample.

    Raises:
        ConversionError: It does not fit.

    Example:
        >>> import torch
        >>> from spikesim.converters.nir_write import full
        >>> full(torch.tensor([1.0, 2.0]), (2, 1, 2)).tolist()
        [[[1.0, 1.0]], [[2.0, 2.0]]]
    """
    value = value.detach().cpu().double()
    value = value.reshape(()) if value.numel() == 1 else along_channels(value, (1, *shape))
    try:
        return np.array(np.broadcast_to(value.numpy(), shape))
    except ValueError:
        raise ConversionError(
            f"a parameter has shape {tuple(value.shape)}, which does not fit a sample of shape {shape}"
        ) from None


def _plain(value: Tensor) -> Any:
    """As it is, in a form that HDF5 keeps: a number has no axes to compress."""
    return value.detach().cpu().numpy()[()]


def _shown(value: Tensor) -> str:
    return f"{value.item():g}" if value.numel() == 1 else "values of their own"
