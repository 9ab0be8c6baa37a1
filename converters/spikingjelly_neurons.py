"""One neuron of SpikingJelly 2.0 as a neuron of the engine with equal equations, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikesim.dynamics.surrogates import (
    S2NN,
    ATan,
    Box,
    Erf,
    Exponential,
    FastSigmoid,
    LeakyReLU,
    PiecewiseLeakyReLU,
    PiecewiseQuadratic,
    Sigmoid,
    StraightThrough,
    Surrogate,
)
from spikesim.errors import ConfigError, ConversionError
from spikesim.neurons import IF, LIF, PLIF, SpikingNeuron

HOME = "spikingjelly.activation_based"
NEURONS = ("IFNode", "LIFNode", "ParametricLIFNode")
_SURROGATES: dict[str, Callable[[Any], Surrogate]] = {
    "ATan": lambda g: ATan(g.alpha),
    "DeterministicPass": lambda g: StraightThrough(),
    "Erf": lambda g: Erf(g.alpha),
    "PiecewiseExp": lambda g: Exponential(g.alpha),
    "PiecewiseLeakyReLU": lambda g: PiecewiseLeakyReLU(2 * g.w, g.c),
    "PiecewiseQuadratic": lambda g: PiecewiseQuadratic(g.alpha),
    "Rect": lambda g: Box(1 / g.alpha),
    "S2NN": lambda g: S2NN(g.alpha, g.beta),
    "Sigmoid": lambda g: Sigmoid(g.alpha),
    "SoftSign": lambda g: FastSigmoid(g.alpha).scaled(g.alpha / 2),
    "SuperSpike": lambda g: FastSigmoid(1.0).scaled(g.alpha),
    "LeakyKReLU": lambda g: LeakyReLU(g.leak) if g.k == 1 else _no_slope(g.k),
}
"""By class name; each row of docs/surrogates.md is one."""


def is_of(module: Any, part: str = "") -> bool:
    """Whether the class of an object is SpikingJelly's own, in the named part of it."""
    return type(module).__module__.startswith(f"{HOME}.{part}".rstrip("."))


def neuron_of(label: str, theirs: Any, surrogate: Surrogate | None) -> SpikingNeuron:
    """The neuron that fires when ``theirs`` does.

    Args:
        label: how errors call it.
        theirs: a neuron of SpikingJelly.
        surrogate: instead of its own.

    Raises:
        ConversionError: it has no equal.
    """
    kind = type(theirs).__name__
    if not is_of(theirs, "neuron") or kind not in NEURONS:
        what = "has no equal here" if is_of(theirs) else "is a class of your own, whose equations may differ"
        raise ConversionError(f"{label}: {kind} {what}; those that have one are {', '.join(NEURONS)}")
    if getattr(theirs, "_neuron_precision", None) is not None:
        raise ConversionError(
            f"{label}: {kind} computes in a precision of its own, which no kernel here has; build it without"
        )
    rest = theirs.v_reset
    flags: dict[str, Any] = {"detach_reset": theirs.detach_reset, "reset": "subtract" if rest is None else "zero"}
    flags["surrogate"] = _surrogate(label, theirs.surrogate_function, surrogate)
    # Potentials counted from the one after a spike, to which a leak leads as well: the same spikes, a reset to zero.
    flags["threshold"] = theirs.v_threshold - (rest or 0.0)
    try:
        if kind == "IFNode":
            return IF(**flags)
        if kind == "LIFNode":
            return LIF(theirs.tau, scale_input=theirs.decay_input, **flags)
        neuron = PLIF(scale_input=theirs.decay_input, **flags)
    except ConfigError as error:
        raise ConversionError(f"{label}: {error}") from None
    # What is learnt is the very number that their checkpoints hold.
    neuron.w = nn.Parameter(theirs.w.detach().clone().reshape(neuron.w.shape), theirs.w.requires_grad)
    return neuron


def _surrogate(label: str, function: Any, given: Surrogate | None) -> Surrogate:
    name = type(function).__name__
    own = is_of(function, "surrogate")
    if own and not function.spiking:
        raise ConversionError(
            f"{label}: its surrogate_function has spiking=False, so that it emits a smoothed step and no spikes; build "
            "it with spiking=True"
        )
    if given is not None:
        if not own and not _fires_at_zero(function):
            raise ConversionError(
                f"{label}: its surrogate_function is '{name}', which does not give 1 from the threshold on and 0 below"
            )
        return given
    if not own or name not in _SURROGATES:
        raise ConversionError(
            f"{label}: no surrogate here has the derivative of '{name}' (those that do: {', '.join(_SURROGATES)}); "
            "choose one with from_spikingjelly(net, surrogate=ATan()), spikes stay the same"
        )
    try:
        return _SURROGATES[name](function)
    except ConfigError as error:
        raise ConversionError(
            f"{label}: its surrogate_function is {name}, but {error}; choose one with from_spikingjelly(net, "
            "surrogate=...)"
        ) from None


def _no_slope(k: float) -> Surrogate:
    raise ConfigError(f"LeakyKReLU has an equal only with k=1, not k={k:g}")


def _fires_at_zero(function: Any) -> bool:
    u = torch.tensor([-1e3, -1.0, -1e-6, 0.0, 1e-6, 1.0, 1e3])
    try:
        with torch.no_grad():
            found: Tensor = function(u)
            return torch.equal(torch.as_tensor(found).float(), (u >= 0).float())
    except Exception:
        return False  # it is the user's own code: whatever it raises, it is no spike function
