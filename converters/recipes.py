"""Ways to convert, by name or as a line of settings."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from spikesim.converters.calibration import parse_stages
from spikesim.converters.policies import POLICIES, neuron_policy
from spikesim.converters.readouts import parse_readout
from spikesim.errors import ConfigError

METHODS: dict[str, dict[str, Any]] = {
    "percentile": {"threshold": "percentile", "granularity": "layer", "calibrate": ()},
    "mse": {"calibrate": ()},
    "mse + bias": {},
    **{f"{name} + bias": {"neuron": name} for name in POLICIES if name != "if"},
    "exact": {"exact": True},
}
"""Named settings of :func:`~spikesim.converters.convert` that are compared by default."""

_FIXED = ("model", "calibration", "timesteps", "evaluate", "profile", "samples", "allow_analog")
_OWN = {"early_exit"}  # of compare(), not of convert()


def recipe(text: str) -> dict[str, Any]:
    """Settings of ``convert`` from a line such as ``"neuron=burst(3), calibrate=weights,bias"``.

    Args:
        text: ``name=value`` pairs, with commas between; values as in JSON, anything else is a string.

    Raises:
        ConfigError: It holds no such pairs.

    Example:
        >>> from spikesim.converters.recipes import recipe
        >>> recipe("neuron=burst(3), calibrate=weights,bias, exact=true")
        {'neuron': 'burst(3)', 'calibrate': 'weights,bias', 'exact': True}
    """
    found: dict[str, Any] = {}
    last = ""
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name and not equals and isinstance(found.get(last), str):  # calibrate=weights,bias
            found[last] += f",{name}"
            continue
        last = name
        if not (equals and name.isidentifier() and value):
            raise ConfigError(f"a method is {text!r}; expected a name, or settings such as 'neuron=burst(3)'")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def chosen_methods(
    methods: str | Iterable[str] | Mapping[str, Mapping[str, Any]], convert: Callable[..., Any]
) -> dict[str, dict[str, Any]]:
    """Settings by name.

    Args:
        methods: Names out of :data:`METHODS` and lines for :func:`recipe`; or a name for each set of settings.
        convert: Takes the settings.

    Raises:
        ConfigError: A name is unknown, or ``convert`` takes no such setting.

    Example:
        >>> from spikesim.converters.convert import convert
        >>> from spikesim.converters.recipes import chosen_methods
        >>> chosen_methods(["exact", "neuron=group(2)"], convert)
        {'exact': {'exact': True}, 'neuron=group(2)': {'neuron': 'group(2)'}}
    """
    if isinstance(methods, Mapping):
        found = {str(name): dict(settings) for name, settings in methods.items()}
    else:
        found = {}
        for name in [methods] if isinstance(methods, str) else methods:
            if name not in METHODS and "=" not in name:
                raise ConfigError(
                    f"methods holds {name!r}; expected names out of {', '.join(METHODS)}, settings such as "
                    "'neuron=burst(3), threshold=lloyd', or a mapping"
                )
            found[name] = dict(METHODS[name]) if name in METHODS else recipe(name)
    takes = {name for name in inspect.signature(convert).parameters if name not in _FIXED} | _OWN
    for name, settings in found.items():
        wrong = [key for key in settings if key not in takes]
        if "neuron" in settings:
            neuron_policy(settings["neuron"])  # a misspelt name is no method that failed
        if "readout" in settings:
            parse_readout(settings["readout"])
        if "calibrate" in settings:
            parse_stages(settings["calibrate"])
        if wrong:
            raise ConfigError(f"method {name!r} sets {wrong[0]!r}; expected settings out of {', '.join(sorted(takes))}")
    return found
