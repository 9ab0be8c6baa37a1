"""One NIR neuron as ours: what its metadata say if spikesim wrote it, and NIR's own rules if not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikesim.converters.nir_constants import FAMILIES, Array, Family, Steps, Values
from spikesim.converters.nir_modules import Drive
from spikesim.dynamics import Neuron
from spikesim.errors import ConfigError, ConversionError
from spikesim.neurons import SpikingNeuron

_CLOSE = 1e-5  # an edited field differs by more from what the metadata say, a rounded one by less


def read_neuron(node: Any, dt: float, dtype: torch.dtype) -> tuple[Drive | None, Neuron]:
    """Build the neuron of a NIR node.

    Args:
        node: A neuron of the package ``nir``.
        dt: Seconds per step.
        dtype: Of its parameters.

    Returns:
        What its input passes before, if anything, and the neuron.

    Raises:
        ConversionError: Its time constant is below dt, or spikesim has no such neuron.

    Example:
        >>> from types import SimpleNamespace
        >>> import numpy as np, torch
        >>> from spikesim.converters.nir_read import read_neuron
        >>> one = np.ones(3)
        >>> LI = type("LI", (SimpleNamespace,), {})
        >>> drive, neuron = read_neuron(LI(tau=4e-3 * one, r=one, v_leak=0 * one, metadata={}), 1e-3, torch.float32)
        >>> drive, neuron
        (None, LI(tau=4))
    """
    said = said_by(node)
    family = _family(node, said)
    fields = _fields(node)
    flags = {name: bool(said.get(name, False)) for name in family.flags}
    if "scale_input" in flags:
        flags["scale_input"] = bool(said["scale_input"]) if "scale_input" in said else not _counts_in_full(fields, dt)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = family.read(fields, flags, dt)
    exact = said.get("exact", {})
    values = {name: _kept(exact.get(name), value) for name, value in steps.values.items()}
    options: dict[str, Any] = dict(flags)
    if issubclass(family.neuron, SpikingNeuron):
        values["threshold"] = fields["v_threshold"]
        options |= _reset(fields["v_reset"], said)
    try:
        neuron = family.neuron(**options).to(dtype)
        for name, value in values.items():
            _assign(neuron, name, collapsed(value, dtype))
        for name, value in said.get("initial", {}).items():
            if name in neuron.states:
                setattr(neuron, f"initial_{name}", torch.as_tensor(value, dtype=dtype))
    except ConfigError as error:
        raise ConversionError(f"{error}, in steps of dt = {dt:g} s: its time constant needs a shorter dt") from error
    return _drive(steps, exact, dtype), neuron


def said_by(node: Any) -> Mapping[str, Any]:
    """What spikesim wrote into the metadata of a node; nothing if another did.

    Example:
        >>> from types import SimpleNamespace
        >>> from spikesim.converters.nir_read import said_by
        >>> said_by(SimpleNamespace(metadata={"spikesim": {"dt": 1e-3}})), said_by(SimpleNamespace())
        ({'dt': 0.001}, {})
    """
    metadata = getattr(node, "metadata", None)
    said = metadata.get("spikesim") if isinstance(metadata, Mapping) else None
    return said if isinstance(said, Mapping) else {}


def collapsed(value: Array, dtype: torch.dtype) -> Tensor:
    """One number if all are equal, one per channel if that says it, else one per neuron.

    Example:
        >>> import numpy as np, torch
        >>> from spikesim.converters.nir_read import collapsed
        >>> collapsed(np.ones((2, 3)), torch.float32), collapsed(np.array([[1.0, 1.0], [2.0, 2.0]]), torch.float32)
        (tensor(1.), tensor([1., 2.]))
    """
    value = np.asarray(value)
    first = value.reshape(len(value), -1)[:, :1] if value.ndim and value.size else value
    if value.size and (value == value.flat[0]).all():
        value = value.flat[0]
    elif value.ndim > 1 and (value.reshape(len(value), -1) == first).all():
        value = first[:, 0]
    return torch.as_tensor(np.array(value), dtype=dtype)


def _family(node: Any, said: Mapping[str, Any]) -> Family:
    kind = type(node).__name__
    named = FAMILIES.get(str(said.get("neuron")))
    if named is not None and named.node == kind:
        return named
    return next(family for family in FAMILIES.values() if family.node == kind)


def _fields(node: Any) -> Values:
    names = ("tau", "tau_syn", "tau_mem", "r", "v_leak", "w_in", "v_threshold", "v_reset")
    fields = {n: np.asarray(getattr(node, n), dtype=np.float64) for n in names if hasattr(node, n)}
    shape = np.broadcast_shapes(*(value.shape for value in fields.values()))
    if not all(np.isfinite(value).all() for value in fields.values()):
        raise ConversionError("a parameter is infinite or NaN")
    return {n: np.broadcast_to(value, shape) for n, value in fields.items()}


def _counts_in_full(fields: Values, dt: float) -> bool:
    """Whether an input of 1 adds 1 to the potential, as snnTorch's neurons have it."""
    return bool(np.allclose(fields["r"], fields["tau"] / dt, rtol=_CLOSE) and not (fields["r"] == 1).all())


def _reset(to: Array, said: Mapping[str, Any]) -> dict[str, Any]:
    options = {"strict": bool(said.get("strict", True)), "detach_reset": bool(said.get("detach_reset", False))}
    rule = str(said.get("reset", "zero"))
    if not (to == to.flat[0]).all():
        raise ConversionError("its v_reset differs from neuron to neuron; spikesim resets a layer to one value")
    if to.any() or rule == "value":
        return {**options, "reset": "value", "reset_value": float(to.flat[0])}
    return {**options, "reset": rule if rule in ("zero", "subtract") else "zero"}


def _kept(said: Any, derived: Array) -> Array:
    """The value before it was turned into seconds, unless the node was edited or dt is another."""
    if said is None:
        return derived
    given = np.asarray(said)
    if given.ndim == 1 and derived.ndim > 1:
        given = given.reshape(-1, *[1] * (derived.ndim - 1))
    given = given.reshape(()) if given.size == 1 else given
    try:
        given = np.broadcast_to(given, derived.shape)
    except ValueError:
        return derived
    return given if np.allclose(given, derived, rtol=_CLOSE, atol=1e-6) else derived


def _assign(neuron: Neuron, name: str, value: Tensor) -> None:
    setattr(neuron, name, nn.Parameter(value) if name in neuron._parameters else value)


def _drive(steps: Steps, exact: Mapping[str, Any], dtype: torch.dtype) -> Drive | None:
    gain, offset = _kept(exact.get("gain"), steps.gain), _kept(exact.get("offset"), steps.offset)
    if np.allclose(gain, 1.0, rtol=1e-9, atol=0.0) and not offset.any():
        return None
    return Drive(_elementwise(gain, dtype), _elementwise(offset, dtype) if offset.any() else None)


def _elementwise(value: Array, dtype: torch.dtype) -> Tensor:
    one = bool((value == value.flat[0]).all())
    return torch.as_tensor(np.array(value.flat[0] if one else value), dtype=dtype)
