"""The same counts under other profiles: does the verdict hold, or does it hang on one set of constants?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from spikesim.energy.comparison import BASELINES, Setting
from spikesim.energy.included import check_included
from spikesim.energy.ledger import Ledger
from spikesim.energy.means import mean_counts
from spikesim.energy.prices import central_prices
from spikesim.energy.profile import Profile, load_profile, profile_names
from spikesim.errors import PricingError


@dataclass(frozen=True)
class Elsewhere:
    """What a network would cost under another profile.

    Args:
        profile: its name.
        energy: joules per inference of the network, None if the profile was refused.
        ratios: network over baseline; empty where the profile prices no ANN.
        refused: why the profile may not be applied, or None.
    """

    profile: str
    energy: float | None
    ratios: Mapping[str, float]
    refused: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def across_profiles(setting: Setting, ledger: Ledger, ann: Ledger) -> list[Elsewhere]:
    """Price the counts with the report's profile and every shipped one.

    Args:
        setting: the report's own; memory tiers and latency are kept where a profile knows them.
        ledger: counts of the network.
        ann: counts of the ANN.

    Returns:
        The report's own profile first.
    """
    others = [load_profile(name) for name in profile_names() if name != setting.profile.name]
    return [_priced(setting, profile, ledger, ann) for profile in (setting.profile, *others)]


def flips(found: Sequence[Elsewhere]) -> dict[str, bool]:
    """Baseline -> whether the network beats it under one profile and not under another.

    Example:
        >>> from spikesim.energy.across import Elsewhere, flips
        >>> flips([Elsewhere("a", 1.0, {"dense_ann": 0.5}), Elsewhere("b", 1.0, {"dense_ann": 2.0})])
        {'dense_ann': True, 'zero_skipping_ann': False, 'capacity_matched': False}
    """
    wins = {name: {one.ratios[name] < 1 for one in found if name in one.ratios} for name in BASELINES}
    return {name: len(seen) == 2 for name, seen in wins.items()}


def _priced(setting: Setting, profile: Profile, ledger: Ledger, ann: Ledger) -> Elsewhere:
    include = setting.include
    if profile.static is None and profile.operating_point is None:
        include = replace(include, latency=None, baseline_latency=None, clock_hz=None)
    there = replace(setting, profile=profile, include=include)
    means, prices = mean_counts(ledger), central_prices(profile)
    try:
        check_included(profile, include, means)
        energies = {**there.network(means, prices), **there.baselines(mean_counts(ann), prices)}
    except PricingError as error:
        return Elsewhere(profile.name, None, {}, str(error))
    ratios = {
        name: float(energies[compared] / energies[name])
        for name, (_, compared) in BASELINES.items()
        if energies[name] and ann is not ledger
    }
    return Elsewhere(profile.name, float(energies["network"]), ratios)
