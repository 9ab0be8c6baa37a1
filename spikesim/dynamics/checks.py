"""What a neuron declares and what it is given: refused here where it does not fit, with the remedy."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from spikesim.dynamics.declarations import Param, SpikeType, State
from spikesim.dynamics.prepare import CLOCK
from spikesim.dynamics.reserved import is_reserved
from spikesim.errors import ConfigError, DeviceError, ShapeError, StateError


def check_declared(name: str, states: Any, params: Any, draws: Any, emits: Any) -> None:
    """Raise ``ConfigError`` unless a neuron's class attributes are what they must be.

    >>> check_declared("Mine", {"v": 0.0}, {}, (), SpikeType("binary"))
    Traceback (most recent call last):
    ...
    spikesim.errors.ConfigError: Mine: states['v'] is 0.0, but it must be a State, e.g. State(init=0.0)
    """
    for kind, declared, example in ((State, states, "State(init=0.0)"), (Param, params, "Param(2.0, min=1.0)")):
        what = "states" if kind is State else "params"
        if not isinstance(declared, Mapping):
            raise ConfigError(f"{name}: {what} is {declared!r}, but it must be a dict of names and {kind.__name__}s")
        for key, value in declared.items():
            if not isinstance(value, kind):
                raise ConfigError(
                    f"{name}: {what}[{key!r}] is {value!r}, but it must be a {kind.__name__}, e.g. {example}"
                )
    if not isinstance(draws, tuple) or not all(isinstance(d, str) for d in draws):
        raise ConfigError(f"{name}: draws is {draws!r}, but it must be a tuple of names, e.g. ('u',)")
    if not isinstance(emits, SpikeType):
        raise ConfigError(f"{name}: emits is {emits!r}, but it must be a SpikeType, e.g. SpikeType('binary')")
    if taken := sorted(filter(is_reserved, (*states, *params, *draws))):
        raise ConfigError(f"{name}: the kernels use the name {', '.join(taken)} themselves; choose another")


def check_switches(kind: type, given: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` if a flag that is on or off is given anything but True or False.

    >>> from spikesim.neurons import LIF
    >>> LIF(strict="no")
    Traceback (most recent call last):
    ...
    spikesim.errors.ConfigError: LIF: strict is 'no', but it must be True or False
    """
    for flag in given.keys() & _switches(kind):
        if not isinstance(given[flag], bool):
            raise ConfigError(f"{kind.__name__}: {flag} is {given[flag]!r}, but it must be True or False")


@cache
def _switches(kind: type) -> frozenset[str]:
    """Arguments of a class or of its bases that are on or off by default; bases receive them as ``**flags``."""
    methods = [b.__dict__["__init__"] for b in kind.__mro__[:-1] if inspect.isfunction(b.__dict__.get("__init__"))]
    arguments = [p for m in methods for p in inspect.signature(m).parameters.values()]
    return frozenset(p.name for p in arguments if isinstance(p.default, bool))


def check_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ``ConfigError`` if a name is given that is not known."""
    unknown = sorted(map(str, set(given) - set(known)))
    if unknown:
        raise ConfigError(f"{what}: {', '.join(unknown)} unknown; known are {', '.join(sorted(known)) or 'none'}")


def names_of(what: str, given: Any) -> set[str]:
    """One name, or several, as a set."""
    if isinstance(given, str):
        return {given}
    if not isinstance(given, Iterable):
        raise ConfigError(f"{what} is {given!r}, but it must be a name or several, e.g. ('tau', 'threshold')")
    return set(given)


def check_input(label: str, x: Any, dims: int, form: str) -> None:
    """Raise ``ShapeError`` unless ``x`` is a dense floating-point tensor of enough dimensions."""
    if not isinstance(x, Tensor):
        raise ShapeError(f"{label} received a {type(x).__name__}, but it takes a tensor {form}")
    if x.is_nested or x.layout != torch.strided:
        what = "nested" if x.is_nested else str(x.layout)
        remedy = "torch.nested.to_padded_tensor(x, 0.0) and a mask" if x.is_nested else "x.to_dense()"
        raise ShapeError(f"{label} received a {what} tensor; give a dense one, {remedy}")
    if not x.is_floating_point():
        remedy = "give its real part, x.real" if x.is_complex() else "call x.float()"
        remedy = "call x.dequantize()" if x.is_quantized else remedy
        raise ShapeError(f"{label} received {x.dtype}, but neurons need a floating dtype; {remedy}")
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        raise ConfigError(f"{label}: torch.jit.trace cannot record compiled kernels; use torch.export.export")
    if x.dim() < dims:
        raise ShapeError(f"{label} received shape {tuple(x.shape)}, but it takes {form}")


def check_mask(label: str, mask: Any, timesteps: int, samples: int, device: torch.device) -> None:
    """Raise unless a mask is bool ``[T, N]`` on the device of the input."""
    if not isinstance(mask, Tensor):
        raise ShapeError(f"{label}: mask is a {type(mask).__name__}, but it must be a tensor; torch.as_tensor(mask)")
    if mask.dtype != torch.bool or tuple(mask.shape) != (timesteps, samples):
        raise ShapeError(
            f"{label}: mask is {mask.dtype} {tuple(mask.shape)}, but it must be torch.bool "
            f"[T, N] = {(timesteps, samples)}"
        )
    if mask.device != device:
        raise DeviceError(
            f"{label}: mask is on {mask.device}, but the input on {device}; call mask.to({str(device)!r})"
        )


def check_state(label: str, state: Any, names: Iterable[str]) -> None:
    """Raise ``StateError`` unless ``state`` maps names of states to tensors."""
    if not isinstance(state, Mapping):
        raise StateError(
            f"{label}: the given state is a {type(state).__name__}, but it must be a dict of tensors by name, "
            f"of {', '.join(names)}"
        )
    # A clock is carried by whoever draws; of no use to others, and no sign of a mistake.
    if unknown := sorted(map(str, set(state) - {*names, CLOCK})):
        raise StateError(f"{label}: the given state holds {', '.join(unknown)}, but the neuron has {', '.join(names)}")
