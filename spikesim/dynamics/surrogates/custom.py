"""A surrogate of one's own in one line: from any function of ``u``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from spikesim.dynamics.ops import Value
from spikesim.dynamics.surrogates.base import Surrogate
from spikesim.errors import ConfigError

Curve = Callable[[Value], Value]


def surrogate(derivative: Curve, primitive: Curve | None = None) -> Surrogate:
    """Make a surrogate gradient of a function.

    Works as a decorator too. Two surrogates of the same functions are equal. One of named functions at the top of a
    module can be pickled; one of lambdas cannot, and says so.

    Args:
        derivative: surrogate of d spike / d u at ``u`` (potential minus threshold), written with arithmetic and the
            functions of :mod:`spikesim.dynamics.ops`.
        primitive: its integral, the smoothed step; only gradient checks need it.

    Raises:
        ConfigError: an argument is no function.

    >>> from spikesim.dynamics.ops import exp
    >>> from spikesim.neurons import LIF
    >>> bump = surrogate(lambda u: exp(-u * u))
    >>> LIF(surrogate=bump).surrogate.derivative(0.0)
    1.0
    """
    for name, curve in (("derivative", derivative), ("primitive", primitive)):
        if not callable(curve) and not (name == "primitive" and curve is None):
            raise ConfigError(
                f"surrogate: {name} is a {type(curve).__name__}, but it must be a function of u, "
                "e.g. surrogate(lambda u: 1.0 / (1.0 + u * u))"
            )
    return _Custom(derivative, primitive)


@dataclass(frozen=True, repr=False)
class _Custom(Surrogate):
    function: Curve
    integral: Curve | None = None

    def derivative(self, u: Value) -> Value:
        return self.function(u)

    def primitive(self, u: Value) -> Value:
        return super().primitive(u) if self.integral is None else self.integral(u)

    def __repr__(self) -> str:
        return f"surrogate({', '.join(_called(f) for f in (self.function, self.integral) if f is not None)})"

    def __copy__(self) -> _Custom:
        return self

    def __deepcopy__(self, memo: Any) -> _Custom:
        return self  # nothing in it changes, and lambdas need no pickling this way

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (_address(self.function), None if self.integral is None else _address(self.integral))


def _called(curve: Curve) -> str:
    return getattr(curve, "__qualname__", repr(curve))


def _address(curve: Curve) -> tuple[str, str]:
    """Where a function can be found again, in another process too."""
    module, name = getattr(curve, "__module__", None), getattr(curve, "__qualname__", None)
    if module is not None and name is not None:
        try:
            if _found(module, name) is curve:
                return module, name
        except (ImportError, AttributeError):
            pass  # a lambda, or a function inside another
    raise ConfigError(
        f"the surrogate {_called(curve)} cannot be pickled, since its function has no name that another process "
        "could look up; write it as `def` at the top of a module"
    )


def _found(module: str, name: str) -> Any:
    found = reduce(getattr, name.split("."), importlib.import_module(module))
    # Decorated, the name of the function leads to the surrogate.
    return found.function if isinstance(found, _Custom) else found


def _restored(derivative: tuple[str, str], primitive: tuple[str, str] | None) -> Surrogate:
    return _Custom(_found(*derivative), None if primitive is None else _found(*primitive))
