"""What a figure includes besides arithmetic: memory traffic and static power, where the user says how."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from spikesim.energy.means import SYNOPS, Means
from spikesim.energy.profile import Profile
from spikesim.errors import ConfigError, PricingError


@dataclass(frozen=True)
class Included:
    """Optional terms of an energy; nothing of it is guessed.

    Args:
        weights: memory tier of the profile that weights are read from, None to leave that traffic out.
        potentials: memory tier of the profile that neuron states are read from and written to.
        latency: seconds per inference, for static power.
        baseline_latency: seconds per inference of the ANN; the same as ``latency`` if None.
        clock_hz: clock of the chip, where the profile's power grows with it; else the profile's own.
        chips: chips that are switched on.

    Raises:
        ConfigError: a time, clock or number of chips that is not positive.

    Example:
        >>> from spikesim.energy import Included
        >>> Included(weights="dram", potentials="sram-8k").left_out()
        'communication, control and static power'
    """

    weights: str | None = None
    potentials: str | None = None
    latency: float | None = None
    baseline_latency: float | None = None
    clock_hz: float | None = None
    chips: int = 1

    def __post_init__(self) -> None:
        for name in ("latency", "baseline_latency", "clock_hz", "chips"):
            given = getattr(self, name)
            if given is not None and not (given > 0 and math.isfinite(given)):
                raise ConfigError(f"{name} is {given}, but it must be positive and finite")

    @property
    def seconds_of_baseline(self) -> float | None:
        """Latency of the ANN."""
        return self.latency if self.baseline_latency is None else self.baseline_latency

    def left_out(self) -> str:
        """The terms that are not included, in words."""
        missing = ["weight traffic"] if self.weights is None else []
        missing += ["potential traffic"] if self.potentials is None else []
        missing += ["communication", "control"]
        missing += ["static power"] if self.latency is None else []
        return f"{', '.join(missing[:-1])} and {missing[-1]}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def check_included(profile: Profile, include: Included, means: Means) -> None:
    """Refuse what a profile cannot mean.

    Args:
        profile: the prices.
        include: the optional terms.
        means: counts of the network.

    Raises:
        PricingError: a memory tier or static power that the profile does not have, traffic that was not counted, an
            affine profile without a latency, or an all-in figure away from its operating point.
    """
    for name in ("weights", "potentials"):
        tier = getattr(include, name)
        if tier is not None and tier not in profile.memory:
            offered = ", ".join(profile.memory) or "none"
            raise PricingError(f"{name}={tier!r}: profile {profile.name} has no such memory; it has {offered}")
    for tier, work, traffic in (
        (include.weights, ("mac_dense", *SYNOPS), ("weight_fetches",)),
        (include.potentials, ("neuron_updates",), ("state_reads_bits", "state_writes_bits")),
    ):
        if tier is not None and means.has(*work) and not means.has(*traffic):
            raise PricingError(
                f"traffic with {tier} cannot be charged: the ledger holds no {' or '.join(traffic)}; record it again"
            )
    if profile.scope == "affine" and include.latency is None:
        raise PricingError(
            f"profile {profile.name} is a static power and an energy per event: without the first, the second says "
            "little; give the latency of an inference: Included(latency=seconds)"
        )
    point = profile.operating_point
    if profile.static is None and point is None and include.latency is not None:
        raise PricingError(f"latency={include.latency}: profile {profile.name} has no static power; leave it out")
    if point is None:
        return
    where = f"profile {profile.name} holds at {point.synops_per_second:.3g} synaptic operations per second and chip"
    if include.latency is None:
        raise PricingError(
            f"{where}, and without a latency nobody knows whether this network runs there; give "
            f"Included(latency=seconds, chips=...) ({point.reason})"
        )
    rate = float(means.total(*SYNOPS)) / include.latency / include.chips
    if abs(rate / point.synops_per_second - 1) > point.tolerance:
        raise PricingError(f"{where}, but this network runs {rate:.3g} ({point.reason}); take an affine profile")
