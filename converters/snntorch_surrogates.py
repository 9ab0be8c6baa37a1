"""Which surrogate of ours has the derivative of one of snnTorch's, found by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from spikesim.dynamics.surrogates import ATan, FastSigmoid, Sigmoid, StraightThrough, Surrogate
from spikesim.errors import ConfigError, ConversionError

_HOME = "snntorch.surrogate"
# Theirs are closures made by these functions; each captures at most one constant.
_EQUAL: dict[str, tuple[Callable[..., Surrogate], str | None]] = {
    "atan": (ATan, "alpha"),
    "fast_sigmoid": (FastSigmoid, "slope"),
    "sigmoid": (Sigmoid, "slope"),
    "straight_through_estimator": (StraightThrough, None),
}
_PROBE = (-1e3, -1.0, -1e-6, 0.0, 1e-6, 1.0, 1e3)


def surrogate_of(label: str, function: Any, given: Surrogate | None = None) -> Surrogate:
    """The surrogate that stands for ``spike_grad`` of a snnTorch neuron.

    Args:
        label: how errors call the neuron.
        function: its ``spike_grad``.
        given: what to take instead; ``function`` then has only to fire as ours do, on ``u > 0``.

    Raises:
        ConversionError: none is equal, or the function fires at another potential.

    >>> import snntorch
    >>> surrogate_of("1", snntorch.surrogate.fast_sigmoid(slope=10))
    FastSigmoid(slope=10.0)
    """
    name = _name(function)
    if given is not None:
        if not name.startswith(f"{_HOME}.") and not _fires_above_zero(function):
            raise ConversionError(
                f"{label}: spike_grad is {name}, which does not give 1 where the potential is above the threshold and "
                "0 elsewhere; such a spike has no neuron here"
            )
        return given
    found = _EQUAL.get(name.removeprefix(f"{_HOME}.")) if name.startswith(f"{_HOME}.") else None
    if found is None:
        raise ConversionError(
            f"{label}: spike_grad is {name}, whose derivative no surrogate here equals (those that do: "
            f"{', '.join(_EQUAL)}); choose one with from_snntorch(net, surrogate=ATan()), spikes stay the same"
        )
    kind, constant = found
    if constant is None:
        return kind()
    try:
        return kind(inspect.getclosurevars(function).nonlocals[constant])
    except ConfigError as error:
        raise ConversionError(
            f"{label}: spike_grad is {name}, but {error}; choose a surrogate with from_snntorch(net, surrogate=...)"
        ) from None


def _name(function: Any) -> str:
    whole = f"{getattr(function, '__module__', None)}.{getattr(function, '__qualname__', None)}"
    if whole.startswith(f"{_HOME}.") and whole.endswith(".<locals>.inner"):
        return whole.removesuffix(".<locals>.inner")
    return f"a {type(function).__name__}" if whole.endswith(".None") else f"'{whole}'"


def _fires_above_zero(function: Any) -> bool:
    u = torch.tensor(_PROBE)
    try:
        with torch.no_grad():
            return torch.equal(torch.as_tensor(function(u)).float(), (u > 0).float())
    except Exception:
        return False  # it is the user's own code: whatever it raises, it is no spike function
