r"""Which neuron stands for a ReLU, and how many levels its tally has.

In T steps with an even current :math:`z` a neuron whose spikes are worth :math:`u` each sends

.. math:: n = \mathrm{clip}\left(\left\lfloor \frac{T z}{u} + \frac12 \right\rfloor, 0, L\right),

so that :math:`u n / T` is the ReLU quantised to L levels between 0 and the range :math:`r = u L / T`. A policy says
how many levels there are; a threshold rule finds the best range for so many; the spike is worth what follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor, nn

from spikesim.converters.offset import OffsetIF
from spikesim.converters.parallel import ParallelIF
from spikesim.converters.residual import ResidualIF
from spikesim.errors import ConfigError
from spikesim.neurons import IF, STBIF, BurstIF, DifferentialIF, TallyIF

UNBOUNDED = 2.0**24
"""A tally that is never reached: whole numbers in float32 end here."""

CONVERTED = (IF, STBIF, BurstIF, TallyIF, DifferentialIF, ParallelIF, ResidualIF, OffsetIF)
"""Neurons that a converted network may hold."""


def _none(timesteps: int) -> int:
    return 0


@dataclass(frozen=True)
class NeuronPolicy:
    """A neuron for every ReLU of a network.

    Args:
        name: as in :func:`neuron_policy`.
        about: one line for tables, with its source.
        build: makes the neuron, whose threshold is 1, for T steps.
        levels: L in T steps.
        most: spikes in a step.
        message: what a spike is worth: "level", so that the levels end at the range, or "range", so that one spike in
            every step is the range and bursts go beyond.
        settles: whether it takes spikes back until its tally is right, as ``exact=True`` needs.
        wait: steps before the T that count.
        signed: makes a neuron that sends as many levels of either sign, where there is one.
        even: whether its tally follows from the mean of its input, whenever that comes.
        starts: whether it has a potential before the first step that may be set.
        coding: what spikes say: "rate", or "change", of a rate that their reader holds.
        delay: steps for which every layer but the first holds back its input, in T steps.

    Example:
        >>> import torch
        >>> from spikesim.converters import neuron_policy
        >>> policy = neuron_policy("group(4)")
        >>> policy.levels(2), policy.worth(torch.tensor([8.0]), 2)
        (8, tensor([2.]))
    """

    name: str
    about: str
    build: Callable[[int], nn.Module]
    levels: Callable[[int], int]
    most: int = 1
    message: Literal["range", "level"] = "level"
    settles: bool = False
    wait: int = 0
    signed: Callable[[int], nn.Module] | None = None
    even: bool = False
    starts: bool = True
    coding: Literal["rate", "change"] = "rate"
    delay: Callable[[int], int] = _none

    def tally(self, timesteps: int) -> int:
        """The most that a neuron can send in T steps, less what it takes back."""
        return self.levels(timesteps) if self.message == "level" else self.most * timesteps

    def worth(self, reach: Tensor, timesteps: int, cap: float | None = None) -> Tensor:
        """What a spike is worth in the ANN's scale.

        Args:
            reach: The range, ``[C]``.
            timesteps: T.
            cap: Largest value of the activation (ReLU6: 6), which bursts must not pass either.
        """
        if self.message == "level":
            return reach * (timesteps / self.levels(timesteps))
        return reach if cap is None else reach.clamp(max=cap / self.most)


def _binary(timesteps: int) -> int:
    return timesteps


def _if() -> NeuronPolicy:
    return NeuronPolicy(
        "if", "binary spikes, half a threshold at the start (Bu et al., AAAI 2022)", half_threshold_if, _binary
    )


def half_threshold_if(timesteps: int = 1) -> nn.Module:
    """IF with threshold 1 that starts at half of it, whatever T is.

    Example:
        >>> from spikesim.converters.policies import half_threshold_if
        >>> half_threshold_if().initial_v.item()
        0.5
    """
    return IF(threshold=1.0, initial={"v": 0.5})


def _signed() -> NeuronPolicy:
    about = "takes spikes back, never more than it has sent (Hu et al., TPAMI 2023)"
    return NeuronPolicy("signed_if", about, lambda t: STBIF(high=UNBOUNDED), _binary)


def _st_bif(levels: int = 0) -> NeuronPolicy:
    about = "takes spikes back, within the levels of a quantised ReLU (SpikeZIP-TF, ICML 2024)"

    def count(timesteps: int) -> int:
        return levels or timesteps

    def either(timesteps: int) -> nn.Module:
        return TallyIF(burst=1, high=float(count(timesteps)), low=-float(count(timesteps)))

    name = f"st_bif({levels})" if levels else "st_bif"
    return NeuronPolicy(name, about, lambda t: STBIF(high=float(count(t))), count, settles=True, signed=either)


def _burst(burst: int = 5) -> NeuronPolicy:
    about = f"up to {burst} spikes in a step, each worth the whole threshold (Li & Zeng, IJCAI 2022)"

    def build(timesteps: int) -> nn.Module:
        return BurstIF(burst=burst, initial={"v": 0.5})

    return NeuronPolicy(f"burst({burst})", about, build, _binary, burst, "range")


def _group(members: int = 4) -> NeuronPolicy:
    about = f"{members} thresholds, 1/{members} apart, send a sum (Lv et al., 2024)"

    def build(timesteps: int) -> nn.Module:
        return BurstIF(burst=members, initial={"v": 0.5})

    return NeuronPolicy(f"group({members})", about, build, lambda t: members * t, members)


def _several(bits: int = 4) -> NeuronPolicy:
    about = f"{bits} thresholds in powers of two send all bits of a whole number of either sign (H-MT, AAAI 2026)"
    most = 2**bits - 1

    def build(timesteps: int) -> nn.Module:
        return TallyIF(burst=most, high=float(most * timesteps))

    def either(timesteps: int) -> nn.Module:
        return TallyIF(burst=most, high=float(most * timesteps), low=-float(most * timesteps))

    name = f"multi_threshold({bits})"
    return NeuronPolicy(name, about, build, lambda t: most * t, most, settles=True, signed=either)


def _parallel() -> NeuronPolicy:
    about = "waits for all steps, then sends as many spikes as the sum holds, last (Hao et al., ICML 2025)"
    return NeuronPolicy("parallel", about, ParallelIF, _binary, even=True, starts=False, delay=_binary)


def _srp(wait: int = 4) -> NeuronPolicy:
    about = f"listens for {wait} steps, then those that overdid it are silent (SRP, Hao et al., AAAI 2023)"
    name = f"srp({wait})"
    return NeuronPolicy(name, about, lambda t: ResidualIF(wait=wait), _binary, wait=wait, starts=False)


def _cos(steps: int = 4) -> NeuronPolicy:
    about = f"goes through its first {steps} steps twice, to take back or add a spike (COS, Hao et al., ICLR 2023)"
    return NeuronPolicy(
        f"cos({steps})", about, lambda t: OffsetIF(steps), _binary, starts=False, delay=lambda t: min(steps, t)
    )


def _differential(rungs: int = 4) -> NeuronPolicy:
    about = f"{rungs} thresholds in powers of two, whose spikes change a rate that is held (DCGS, Huang et al., 2025)"
    most = 2 ** (rungs - 1)
    name = f"differential({rungs})"
    return NeuronPolicy(
        name,
        about,
        lambda t: DifferentialIF(rungs=rungs),
        lambda t: most * t,
        most,
        starts=False,
        coding="change",
        signed=lambda t: DifferentialIF(rungs=rungs, signed=True),
    )


_POLICIES: dict[str, Callable[..., NeuronPolicy]] = {
    "if": _if,
    "signed_if": _signed,
    "st_bif": _st_bif,
    "burst": _burst,
    "group": _group,
    "multi_threshold": _several,
    "parallel": _parallel,
    "srp": _srp,
    "cos": _cos,
    "differential": _differential,
}


def signed_policy(policy: NeuronPolicy | None) -> NeuronPolicy:
    """The policy for places where both signs are sent: the given one if it can, else ``"multi_threshold(4)"``.

    Args:
        policy: That of the ReLUs, or None if nobody chose one.

    Example:
        >>> from spikesim.converters.policies import neuron_policy, signed_policy
        >>> signed_policy(neuron_policy("st_bif(8)")).name, signed_policy(neuron_policy("burst")).name
        ('signed st_bif(8)', 'signed multi_threshold(4)')
    """
    chosen = policy if policy is not None and policy.signed is not None else _several()
    make: Any = chosen.signed
    return replace(chosen, name=f"signed {chosen.name}", build=make)


_LARGEST = {"multi_threshold": 10, "differential": 10}
POLICIES = tuple(_POLICIES)
"""Names of the policies."""


def neuron_policy(spec: str | NeuronPolicy) -> NeuronPolicy:
    """Find a policy by name.

    Args:
        spec: ``"if"``, ``"signed_if"``, ``"st_bif"`` (as many levels as steps) or ``"st_bif(8)"``, ``"burst(5)"``,
            ``"group(4)"``, ``"multi_threshold(4)"``, ``"parallel"``, ``"srp(4)"``, ``"cos(4)"``,
            ``"differential(4)"``; a number may be left out. Or a policy.

    Raises:
        ConfigError: there is no such policy, or the number makes no sense.

    Example:
        >>> from spikesim.converters import neuron_policy
        >>> neuron_policy("burst").name
        'burst(5)'
    """
    if isinstance(spec, NeuronPolicy):
        return spec
    match = re.fullmatch(r"([a-z_]+)(?:\((\d+)\))?", str(spec))
    make = _POLICIES.get(match[1]) if match else None
    if match is None or make is None:
        raise ConfigError(
            f"neuron is {spec!r}; expected one of {', '.join(POLICIES)}, with a number as in 'burst(5)' where it has "
            "one. A leaky neuron forgets what a rate is made of: train such a network in place of converting one"
        )
    if match[2] is None:
        return make()
    number, takes = int(match[2]), make.__code__.co_argcount > 0
    if not takes or not 1 <= number <= _LARGEST.get(match[1], 2**16):
        most = _LARGEST.get(match[1], 2**16)
        expected = f"a whole number from 1 to {most}" if takes else f"no number: {match[1]!r} has none"
        raise ConfigError(f"neuron is {spec!r}; expected {expected}")
    return make(number)
