"""The energy report: per-layer energies, honest baselines on the same input, and what was assumed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import spikesim
from spikesim.energy.columns import COLUMNS
from spikesim.energy.conventions import CONVENTIONS
from spikesim.energy.ledger import Ledger
from spikesim.energy.pricing import TERMS, Priced, price
from spikesim.energy.profile import Profile
from spikesim.viz import write_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

REPORT_SCHEMA = 1


@dataclass(frozen=True)
class EnergyReport:
    """Energy per inference of a network beside its baselines.

    Args:
        ledger: counts of the network.
        ann_ledger: counts of the baseline ANN on the same input.
        ann_name: which ANN that is.
        profile: the prices.
        source: where the input comes from, in words; energies hold for such inputs only.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> report = energy_report(torch.nn.Linear(100, 10, bias=False), torch.ones(2, 100), input="analog")
        >>> print(report.verdict)
        No spikes: 4.600 nJ per inference dense, 4.600 nJ zero-skipping (horowitz45-fp32).
        >>> report.to_dict()["layers"]
        [{'name': '(root)', 'energy': 4.6e-09, 'by_term': {'mac': 4.6e-09}}]
    """

    ledger: Ledger
    ann_ledger: Ledger
    ann_name: str
    profile: Profile
    source: str | None = None

    @property
    def priced(self) -> Priced:
        """The network: analog layers dense."""
        return price(self.ledger, self.profile)

    @property
    def energy(self) -> float:
        """Joules per inference of the network, analog layers dense."""
        return self.priced.total

    @property
    def energy_zero_skipping(self) -> float:
        """Joules per inference of the network where its analog layers skip zeros too."""
        return price(self.ledger, self.profile, zero_skipping=True).total

    @property
    def dense_ann(self) -> float:
        """Joules per inference of the dense ANN."""
        return price(self.ann_ledger, self.profile).total

    @property
    def zero_skipping_ann(self) -> float:
        """Joules per inference of the ANN that multiplies only non-zero activations."""
        return price(self.ann_ledger, self.profile, zero_skipping=True).total

    @property
    def ratio_dense(self) -> float:
        """Network over dense ANN; below 1 the network needs less."""
        return _ratio(self.energy, self.dense_ann)

    @property
    def ratio_zero_skipping(self) -> float:
        """Network over zero-skipping ANN, both skipping zeros of analog inputs; below 1 the network needs less."""
        return _ratio(self.energy_zero_skipping, self.zero_skipping_ann)

    @property
    def unpriced(self) -> list[dict[str, Any]]:
        """Operations and columns without a price, of the network and of the ANN."""
        listed: list[dict[str, Any]] = []
        for whose, ledger in (("network", self.ledger), ("ann", self.ann_ledger)):
            for (layer, operation), results in ledger.unpriced.items():
                listed.append({"of": whose, "layer": layer, "operation": operation, "results": results})
            for column, count in price(ledger, self.profile).unpriced.items():
                listed.append({"of": whose, "layer": "(all)", "operation": column, "results": count})
        return listed

    @property
    def verdict(self) -> str:
        """Does spiking win, against what, by how much; and what the figures leave out."""
        from spikesim.energy.verdict import verdict

        return verdict(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain values; energies in joules per inference."""
        priced = self.priced
        return {
            "schema": REPORT_SCHEMA,
            "package": "spikesim",
            "version": spikesim.__version__,
            "torch": torch.__version__,
            "profile": {
                "name": self.profile.name,
                "title": self.profile.title,
                "digest": self.profile.digest,
                "constants": {k: c.model_dump() for k, c in self.profile.constants.items()},
                "citation": self.profile.citation,
                "note": self.profile.note,
            },
            "timesteps": self.ledger.timesteps,
            "samples": self.ledger.samples,
            "input": {"kind": self.ledger.input, "source": self.source},
            "unit": "J",
            "energy": {
                "network": self.energy,
                "network_zero_skipping": self.energy_zero_skipping,
                "dense_ann": self.dense_ann,
                "zero_skipping_ann": self.zero_skipping_ann,
                "by_term": {term: priced.term(term) for term in TERMS},
            },
            "ratio": {
                # JSON has no infinity: against a baseline that costs nothing there is no ratio.
                "dense_ann": self.ratio_dense if self.dense_ann else None,
                "zero_skipping_ann": self.ratio_zero_skipping if self.zero_skipping_ann else None,
            },
            "verdict": self.verdict,
            "baseline": self.ann_name,
            "layers": [
                {"name": name, "energy": priced.layer(name), "by_term": dict(priced.layers[name])}
                for name in self.ledger.layers
            ],
            "conventions": CONVENTIONS,
            "columns": COLUMNS,
            "unpriced": self.unpriced,
            "ledger": self.ledger.to_dict(),
            "ann_ledger": self.ann_ledger.to_dict(),
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as JSON; the file appears whole or not at all.

        Raises:
            ConfigError: the folder cannot be written to.
        """
        return write_text(path, json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")

    def table(self) -> Table:
        """The per-layer table for a terminal."""
        from spikesim.energy.table import layer_table

        return layer_table(self)

    def show(self, console: Console | None = None) -> None:
        """Write table, baselines, verdict and unpriced operations to a terminal."""
        from spikesim.energy.table import show

        show(self, console)


def _ratio(energy: float, baseline: float) -> float:
    return energy / baseline if baseline else float("inf")
