"""A network beside its three baselines, in whatever is known of counts and constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikesim.energy.charges import Side, bill
from spikesim.energy.included import Included
from spikesim.energy.means import Means, Quantity
from spikesim.energy.prices import with_bits
from spikesim.energy.pricing import total_of
from spikesim.energy.profile import Profile

# Baseline -> (its name in a sentence, what of the network it is compared with).
BASELINES: dict[str, tuple[str, str]] = {
    "dense_ann": ("the dense ANN", "network"),
    "zero_skipping_ann": ("the zero-skipping ANN", "network_zero_skipping"),
    "capacity_matched": ("the capacity-matched quantised ANN", "network_zero_skipping"),
}


@dataclass(frozen=True)
class Setting:
    """Everything but counts and prices.

    Args:
        profile: which constants exist.
        include: optional terms.
        matched: how the capacity-matched network computes.
    """

    profile: Profile
    include: Included
    matched: Side

    def network(self, means: Means, prices: Mapping[str, Quantity]) -> dict[str, Quantity]:
        """Joules per inference of the network, its analog layers dense or skipping zeros."""
        return {
            name: self._total(means, prices, side, self.include.latency)
            for name, side in (("network", Side()), ("network_zero_skipping", Side(zero_skipping=True)))
        }

    def baselines(self, means: Means, prices: Mapping[str, Quantity]) -> dict[str, Quantity]:
        """Joules per inference of the baselines; zero where the profile prices no ANN."""
        if not self.profile.has_baseline:
            return dict.fromkeys(BASELINES, 0.0)
        sides = {"dense_ann": Side(), "zero_skipping_ann": Side(zero_skipping=True), "capacity_matched": self.matched}
        seconds = self.include.seconds_of_baseline
        return {name: self._total(means, prices, side, seconds) for name, side in sides.items()}

    def used(self, network: Means, ann: Means) -> set[str]:
        """Constants of the profile that either side is charged with."""
        seconds = self.include.seconds_of_baseline
        made = [bill(network, self.profile, self.include, Side(), self.include.latency)]
        if self.profile.has_baseline:
            made.append(bill(ann, self.profile, self.include, Side(), seconds))
        return {charge.constant for one in made for charge in one.charges}

    def _total(
        self,
        means: Means,
        prices: Mapping[str, Quantity],
        side: Side,
        seconds: float | None,
    ) -> Quantity:
        known = prices if side.bits is None else with_bits(prices, side.bits)
        return total_of(bill(means, self.profile, self.include, side, seconds), known)
