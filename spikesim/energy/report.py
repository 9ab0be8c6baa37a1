"""The energy report: per-layer energies, honest baselines on the same input, and how sure the figures are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.energy.across import Elsewhere, across_profiles, flips
from spikesim.energy.breakeven import BreakEven, break_even
from spikesim.energy.charges import Side
from spikesim.energy.comparison import BASELINES, Setting
from spikesim.energy.included import Included
from spikesim.energy.ledger import Ledger
from spikesim.energy.means import mean_counts
from spikesim.energy.over_time import price_steps
from spikesim.energy.pairing import Pair, Sources, paired, partners
from spikesim.energy.prices import Distribution, central_prices
from spikesim.energy.pricing import Priced, itemise, price
from spikesim.energy.profile import Profile
from spikesim.energy.quantised import departures, matched_side
from spikesim.energy.rows import EnergyRow, energy_rows
from spikesim.energy.uncertainty import Uncertainty, spread_of
from spikesim.viz import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console
    from rich.table import Table

DRAWS = 2000


@dataclass(frozen=True)
class EnergyReport:
    """Energy per inference of a network beside its baselines.

    Args:
        ledger: counts of the network.
        ann_ledger: counts of the baseline ANN on the same input.
        ann_name: which ANN that is.
        profile: the prices.
        source: where the input comes from, in words; energies hold for such inputs only.
        include: memory traffic and static power, where the user said how.
        seed: of the resamplings and draws.
        sources: which layers were made from which, where that is known.

    Raises:
        PricingError: the profile may not be applied to these counts.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> report = energy_report(torch.nn.Linear(100, 10, bias=False), torch.ones(2, 100), input="analog")
        >>> print(report.verdict)
        No spikes: 4.600 nJ per inference dense, 4.600 nJ zero-skipping (horowitz45-fp32).
        >>> report.priced.layers["(root)"]
        {'mac': 4.6e-09}
    """

    ledger: Ledger
    ann_ledger: Ledger
    ann_name: str
    profile: Profile
    source: str | None = None
    include: Included = field(default_factory=Included)
    seed: int = 0
    sources: Sources = field(default_factory=Sources)

    def __post_init__(self) -> None:
        _ = self.priced  # refuse here rather than at the first question

    @cached_property
    def priced(self) -> Priced:
        """The network: analog layers dense."""
        return price(self.ledger, self.profile, include=self.include)

    @cached_property
    def matched(self) -> Side:
        """How the capacity-matched quantised network computes."""
        return matched_side(self.ledger, self.ann_ledger)

    @cached_property
    def setting(self) -> Setting:
        """Everything but counts and prices."""
        return Setting(self.profile, self.include, self.matched)

    @cached_property
    def energies(self) -> dict[str, float]:
        """Joules per inference of the network and the baselines; a baseline without a price is 0."""
        prices = central_prices(self.profile)
        found = {
            **self.setting.network(mean_counts(self.ledger), prices),
            **self.setting.baselines(mean_counts(self.ann_ledger), prices),
        }
        return {name: float(joules) for name, joules in found.items()}

    @property
    def energy(self) -> float:
        """Joules per inference of the network, analog layers dense."""
        return self.priced.total

    @property
    def energy_zero_skipping(self) -> float:
        """Joules per inference of the network where its analog layers skip zeros too."""
        return self.energies["network_zero_skipping"]

    @property
    def dense_ann(self) -> float:
        """Joules per inference of the dense ANN."""
        return self.energies["dense_ann"]

    @property
    def zero_skipping_ann(self) -> float:
        """Joules per inference of the ANN that multiplies only non-zero activations."""
        return self.energies["zero_skipping_ann"]

    @property
    def capacity_matched(self) -> float:
        """Joules per inference of the ANN with as many activation levels as the network, skipping zeros."""
        return self.energies["capacity_matched"]

    def ratio(self, baseline: str) -> float:
        """Network over baseline, both dense or both skipping zeros of analog inputs; below 1 the network needs less.

        Args:
            baseline: "dense_ann", "zero_skipping_ann" or "capacity_matched".
        """
        against = self.energies[baseline]
        return self.compared(baseline) / against if against else float("inf")

    def compared(self, baseline: str) -> float:
        """Joules per inference of the network as it is set beside a baseline.

        Args:
            baseline: "dense_ann", "zero_skipping_ann" or "capacity_matched".
        """
        return self.energies[BASELINES[baseline][1]]

    @property
    def ratio_dense(self) -> float:
        """Network over dense ANN."""
        return self.ratio("dense_ann")

    @property
    def ratio_zero_skipping(self) -> float:
        """Network over zero-skipping ANN, both skipping zeros of analog inputs."""
        return self.ratio("zero_skipping_ann")

    @cached_property
    def pairs(self) -> list[Pair]:
        """Layers of the network and of the baseline that do the same work, each in exactly one pair."""
        return paired(self.ledger, self.ann_ledger, self.sources)

    @cached_property
    def rows(self) -> list[EnergyRow]:
        """Every layer beside its counterparts, with the baselines that it loses to."""
        return energy_rows(self)

    def spread(
        self, draws: int = DRAWS, seed: int | None = None, distribution: Distribution = "triangular"
    ) -> Uncertainty:
        """Resample the samples and draw the constants.

        Args:
            draws: resamplings and draws.
            seed: by default the report's.
            distribution: of a constant between low and high: "triangular" with its peak at the value, or "log-uniform".

        Raises:
            ConfigError: fewer than 2 draws, or another distribution.
        """
        chosen = self.seed if seed is None else seed
        return spread_of(self.setting, self.ledger, self.ann_ledger, draws, chosen, distribution)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """How sure the figures are, with the defaults of :meth:`spread`."""
        return self.spread()

    @cached_property
    def break_even(self) -> BreakEven:
        """Activity of the network, and the activity at which it would cost as much as its baselines."""
        return break_even(self.setting, self.ledger, self.ann_ledger)

    @cached_property
    def elsewhere(self) -> list[Elsewhere]:
        """The same counts under every other profile."""
        return across_profiles(self.setting, self.ledger, self.ann_ledger)

    @property
    def flips(self) -> dict[str, bool]:
        """Baseline -> whether the network beats it under one profile and not under another."""
        return flips(self.elsewhere)

    @cached_property
    def departures(self) -> list[str]:
        """Where the capacity-matched baseline does not match this network, in words."""
        partner = partners(self.ledger, self.ann_ledger, self.pairs)
        return departures(self.ledger, partner, self.ann_ledger)

    @cached_property
    def unpriced(self) -> list[dict[str, Any]]:
        """Operations and columns without a price, of the network and, where the profile prices one, of the ANN."""
        listed: list[dict[str, Any]] = []
        sides = [("network", self.ledger, self.priced)]
        if self.profile.has_baseline:
            ann = itemise(self.ann_ledger, self.profile, Side(), self.include, None)
            sides.append(("ann", self.ann_ledger, ann))
        for whose, ledger, priced in sides:
            for (layer, operation), results in ledger.unpriced.items():
                listed.append({"of": whose, "layer": layer, "operation": operation, "results": results})
            for column, count in priced.unpriced.items():
                listed.append({"of": whose, "layer": "(all)", "operation": column, "results": count})
        return listed

    @property
    def verdict(self) -> str:
        """Does spiking win, against what, by how much; and what the figures leave out."""
        from spikesim.energy.verdict import verdict

        return verdict(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that the figures follow from: counts, shapes, prices, options, seed and version."""
        from spikesim.energy.digest import report_digest

        return report_digest(self)

    @property
    def sentence(self) -> str:
        """The figures in words for a paper, with what they rest on and the digest."""
        from spikesim.energy.sentence import sentence

        return sentence(self)

    def over_time(self) -> list[float]:
        """Joules per inference if the network stopped after 1, 2, ... T steps.

        A static power is taken for its share of the time. With the accuracy after every step (which evaluation and
        conversion give), it shows what each further step buys.
        """
        return price_steps(self.ledger, self.profile, self.include)

    def bars(self) -> Figure:
        """A bar for every layer, of the network and of each baseline that has a price."""
        from spikesim.energy.table import BASELINE_NAMES
        from spikesim.viz import energy_bars

        beside = BASELINE_NAMES if self.profile.has_baseline and self.ann_ledger is not self.ledger else {}
        series = {"network": [row.network for row in self.rows]}
        for name, title in beside.items():
            series[title.format(bits=self.matched.bits)] = [getattr(row, name) for row in self.rows]
        return energy_bars([row.layer for row in self.rows], series)

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain values; energies in joules per inference."""
        from spikesim.energy.document import document

        return document(self)

    def to_html(self, accuracies: Sequence[float] | None = None) -> str:
        """One page that needs nothing else: figures, charts, every profile, conventions, citations.

        Args:
            accuracies: accuracy after every time step, as fractions of 1, ``[T]``.

        Raises:
            ConfigError: another number of accuracies than steps, or one outside 0 to 1.
        """
        from spikesim.energy.html import html

        return html(self, accuracies)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report; the ending of the path says as what, and the file appears whole or not at all.

        Args:
            path: ``.json`` (everything), ``.html`` (one page), ``.csv`` (layers), ``.tex`` or ``.md`` (tables).

        Raises:
            ConfigError: another ending, or the folder cannot be written to.
        """
        from spikesim.energy.formats import text_of

        return write_text(path, text_of(self, path))

    def table(self) -> Table:
        """The per-layer table for a terminal."""
        from spikesim.energy.table import layer_table

        return layer_table(self)

    def show(self, console: Console | None = None) -> None:
        """Write table, baselines, verdict and unpriced operations to a terminal."""
        from spikesim.energy.table import show

        show(self, console)
