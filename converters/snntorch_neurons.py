"""One neuron of snnTorch 1.0 as a neuron of the engine with equal equations, or the reason why there is none."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from spikesim.converters.snntorch_surrogates import surrogate_of
from spikesim.dynamics.surrogates import Surrogate
from spikesim.errors import ConfigError, ConversionError
from spikesim.neurons import Alpha, CubaLIF, Lapicque, Leaky, RLeaky, RSynaptic, SpikingNeuron

_RULES = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
_FACTORS = ("alpha", "beta")  # which snnTorch clamps to 0..1 in every step
# What the neurons return beside their spikes with output=True, by the names that our states have.
RETURNED = {
    "Leaky": ("v",),
    "Lapicque": ("v",),
    "RLeaky": ("v",),
    "Synaptic": ("i", "v"),
    "RSynaptic": ("i", "v"),
    "Alpha": ("exc", "inh", "v"),
}


def is_snntorch(module: nn.Module) -> bool:
    """Whether a module is a neuron of snnTorch, or made from one."""
    return any(k.__module__.split(".")[0] == "snntorch" for k in type(module).__mro__)


def neuron_of(
    label: str, theirs: Any, surrogate: Surrogate | None, dtype: torch.dtype | None, memo: dict[int, Any]
) -> SpikingNeuron:
    """The neuron that fires when ``theirs`` does, with its values, learnable where they are.

    Args:
        label: how errors call it.
        theirs: the snnTorch neuron.
        surrogate: instead of its own.
        dtype: of the weights around it, if there are any.
        memo: what was copied so far, as for ``copy.deepcopy``: a parameter that neurons share stays shared.

    Raises:
        ConversionError: it has no equal.
    """
    _refuse_unequal(label, theirs, surrogate)
    rule = _RULES[theirs.state_function.__name__]
    flags: dict[str, Any] = {"reset": rule, "detach_reset": True, "strict": True}
    flags["surrogate"] = surrogate_of(label, theirs.spike_grad, surrogate)
    values: dict[str, Tensor] = {"threshold": theirs.threshold}
    kind: type[SpikingNeuron]
    match type(theirs).__name__:
        case "Leaky":
            kind, flags["settle"], values["beta"] = Leaky, not theirs.reset_delay, theirs.beta
        case "RLeaky":
            kind, flags["settle"], values["beta"] = RLeaky, not theirs.reset_delay, theirs.beta
            values["feedback"] = theirs.recurrent.V
        case "Synaptic":
            kind, flags["delayed_reset"], flags["settle"] = CubaLIF, True, not theirs.reset_delay
            values |= {"alpha": theirs.alpha, "beta": theirs.beta}
        case "RSynaptic":
            kind = RSynaptic
            values |= {"alpha": theirs.alpha, "beta": theirs.beta, "feedback": theirs.recurrent.V}
        case "Alpha":
            kind, values = Alpha, values | {"alpha": theirs.alpha, "beta": theirs.beta}
        case _:
            kind, flags["dt"] = Lapicque, float(theirs.time_step)
            values |= {"resistance": theirs.R, "capacitance": theirs.C}
    for key, value in values.items():
        if dtype is not None and value.dim() > 0 and value.is_floating_point() and value.dtype != dtype:
            raise ConversionError(
                f"{label}: {key} is {value.dtype}, but the weights around it are {dtype}, so that snnTorch computes in "
                f"two precisions; call net.to({dtype}) first"
            )
    return _built(label, kind, values, flags, memo)


def _built(
    label: str, kind: type[SpikingNeuron], values: dict[str, Tensor], flags: dict[str, Any], memo: dict[int, Any]
) -> SpikingNeuron:
    learnt = [key for key, value in values.items() if isinstance(value, nn.Parameter)]
    given: dict[str, Any] = {k: _acting(k, v) for k, v in values.items()}
    try:
        neuron = kind(learnable=learnt, **given, **flags)
    except ConfigError as error:
        raise ConversionError(f"{label}: {error}") from None
    neuron.to(values["threshold"].device)
    for key, value in values.items():
        if key not in learnt:
            setattr(neuron, key, _acting(key, value))  # in its own dtype
            continue
        # As it is: what training left beyond its bound acts as the bound, there and here.
        own = copy.deepcopy(value, memo)
        shaped = _trailing(own.detach())
        setattr(neuron, key, own if shaped.dim() == own.dim() else nn.Parameter(shaped, value.requires_grad))
    return neuron


def _acting(key: str, value: Tensor) -> Tensor:
    value = value.detach().clone()
    return _trailing(value.clamp(0, 1) if key in _FACTORS else value)


def _trailing(value: Tensor) -> Tensor:
    """One value per place of the last axis, as torch broadcasts it; here a bare list is one per channel."""
    return value.reshape(1, 1, 1, 1, -1) if value.dim() == 1 and value.numel() > 1 else value


def _refuse_unequal(label: str, theirs: Any, surrogate: Surrogate | None) -> None:
    kind = type(theirs).__name__
    own = type(theirs).__module__.startswith("snntorch.")
    if not own or kind not in RETURNED:
        what = "is a class of your own, whose equations may differ" if not own else "has no equal here"
        raise ConversionError(f"{label}: {kind} {what}; those that have one are {', '.join(RETURNED)}")
    recurrent = kind in ("RLeaky", "RSynaptic")
    gain = theirs.graded_spikes_factor
    mechanism = int(theirs.reset_mechanism_val)
    reasons = {
        "init_hidden is False, so that it needs its state from outside; build it with init_hidden=True": (
            not theirs.init_hidden
        ),
        "inhibition=True lets only one neuron of a layer fire, but a fused kernel runs each on its own; leave it out": (
            bool(theirs.inhibition)
        ),
        "state_quant is a function of your own inside the loop over time, which no kernel can hold; leave it out": (
            bool(theirs.state_quant)
        ),
        "surrogate_disable=True leaves no gradient; choose one with from_snntorch(net, surrogate=ATan()), or build it "
        "with surrogate_disable=False": bool(theirs.surrogate_disable) and surrogate is None,
        "its reset_mechanism was changed after it was built, which snnTorch follows in part; build it with the one you "
        "want": list(_RULES)[mechanism] != theirs.state_function.__name__,
        "all_to_all=True puts a layer inside the loop over time, but a fused kernel runs each neuron on its own; use "
        "all_to_all=False, a weight of each neuron to itself": recurrent
        and type(theirs.recurrent).__name__ != "RecurrentOneToOne",
        "graded_spikes_factor of a recurrent neuron also scales what comes back; fold it into V and the next layer": (
            recurrent and (isinstance(gain, nn.Parameter) or not bool((gain == 1).all()))
        ),
        "reset_delay=False fails in snnTorch 1.0 itself; build it with reset_delay=True": (
            kind == "RSynaptic" and not theirs.reset_delay
        ),
        "learn_beta=True trains nothing in snnTorch, which works C out of beta once; build it with learn_beta=False": (
            kind == "Lapicque" and isinstance(theirs.beta, nn.Parameter)
        ),
        "it has forward hooks, which the converted neuron would not call; remove them": bool(
            theirs._forward_hooks or theirs._forward_pre_hooks
        ),
    }
    for reason, applies in reasons.items():
        if applies:
            raise ConversionError(f"{label}: {kind}: {reason}")
