"""Analog operations as plain JSON and back: only functions that conversion knows by name, never stored code."""

from __future__ import annotations

import inspect
import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikesim.converters.analog import Kept, Slot
from spikesim.converters.verdicts import HINTS
from spikesim.converters.vocabulary import CALLS, MODULES
from spikesim.errors import ConversionError

_HOMES: dict[str, Any] = {"torch": torch, "functional": F, "operator": operator}
_PLAIN = (bool, int, float, str)


def describe_kept(kept: Kept, name: str) -> dict[str, Any]:
    """Everything about an analog operation but its weights.

    Args:
        kept: The operation.
        name: Of its node, for the error.

    Raises:
        ConversionError: The operation cannot be written: it is no function of torch that conversion knows by name, or
            an argument is no plain value.

    Example:
        >>> import torch
        >>> from spikesim.converters.analog import Kept, Slot
        >>> from spikesim.converters.allowed_file import build_kept, describe_kept
        >>> told = describe_kept(Kept(torch.softmax, (Slot(0), 1)), "softmax")
        >>> told["home"], told["operation"]
        ('torch', 'softmax')
        >>> build_kept(told)(torch.zeros(1, 2)).tolist()
        [[0.5, 0.5]]
    """
    operation, settings = kept.operation, {}
    what = f"'{name}' ({kept.label}) stays analog and cannot be saved"
    if isinstance(operation, nn.Module):
        home, called = "nn", type(operation).__name__
        asked = inspect.signature(type(operation).__init__).parameters
        settings = {key: getattr(operation, key) for key in getattr(operation, "__constants__", ()) if key in asked}
        settings |= {"bias": getattr(operation, "bias", None) is not None} if "bias" in asked else {}
        own = getattr(nn, called, None) is type(operation)
    elif isinstance(operation, str):
        home, called, own = "method", operation, hasattr(Tensor, operation)
    else:
        called = operation.__name__
        home = next((h for h, place in _HOMES.items() if getattr(place, called, None) is operation), "")
        own = bool(home)
    if not own or not _known(called):
        raise ConversionError(f"{what}: it is none of the functions that are known by name")
    told = {
        "home": home,
        "operation": called,
        "settings": _written(settings, name),
        "arguments": _written(list(kept.arguments), name),
        "constants": [list(getattr(kept, f"constant_{place}").shape) for place in range(kept.constants)],
        "writes": kept.writes,
    }
    fresh, now = build_kept(told).state_dict(), kept.state_dict()
    if {k: v.shape for k, v in fresh.items()} != {k: v.shape for k, v in now.items()}:
        raise ConversionError(f"{what}: its weights cannot be rebuilt from its settings")
    return told


def build_kept(told: dict[str, Any]) -> Kept:
    """The inverse of :func:`describe_kept`; weights are still to be loaded.

    Raises:
        ValueError: The operation is none that is known.
    """
    called, home = str(told["operation"]), told["home"]
    if not _known(called):
        raise ValueError(f"unknown operation {called!r}")
    operation: Any = called
    if home == "nn":
        kind = getattr(nn, called)
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise ValueError(f"unknown module {called!r}")
        operation = kind(**_read(told["settings"])).eval()
    elif home != "method":
        operation = getattr(_HOMES[home], called)
    args, kwargs = _read(told["arguments"])
    constants = [torch.zeros(shape) for shape in told["constants"]]
    return Kept(operation, args, kwargs, constants, bool(told["writes"]))


def _known(called: str) -> bool:
    """Whether the vocabulary of conversion, or of its refusals, has the name."""
    key = called.lower().replace("_", "")
    modules = {kind.__name__.lower() for kinds, _ in MODULES for kind in kinds}
    return key in HINTS or key in modules or called.strip("_") in CALLS


def _written(value: Any, name: str) -> Any:
    if value is None or (isinstance(value, _PLAIN) and value == value and value not in (float("inf"), -float("inf"))):
        return value
    if isinstance(value, Slot):
        return {"slot": value.place}
    if isinstance(value, list):
        return [_written(part, name) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [_written(part, name) for part in value]}
    if isinstance(value, dict):
        return {"dict": {key: _written(part, name) for key, part in value.items()}}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    raise ConversionError(f"'{name}' stays analog and cannot be saved: its argument {value!r} is no plain value")


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(part) for part in value]
    if not isinstance(value, dict):
        return value
    [(kind, inner)] = value.items()
    if kind == "dict":
        return {key: _read(part) for key, part in inner.items()}
    if kind == "tuple":
        return tuple(_read(part) for part in inner)
    return Slot(int(inner)) if kind == "slot" else slice(*{"slice": inner}[kind])
