"""What a paper would say of a report: figures, how sure they are, what they rest on and what they leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import spikesim
from spikesim.energy.caveats import caveats
from spikesim.energy.comparison import BASELINES
from spikesim.energy.conventions import conventions
from spikesim.energy.units import format_energy

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

DIGITS = 16  # of a digest; enough to tell reports apart


def sentence(report: EnergyReport) -> str:
    """A few sentences ready for a paper, with the digest by which the report can be found again.

    Args:
        report: a network beside its baselines.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> from spikesim.energy.sentence import sentence
        >>> print(sentence(energy_report(torch.nn.Linear(10, 5), torch.ones(1, 10), input="analog"))[:67])
        The network needs an estimated 234.5 pJ per inference, which is the
    """
    ledger, profile, ann = report.ledger, report.profile, report.ann_ledger
    steps = f" of {ledger.timesteps} time steps" if ledger.timesteps > 1 else ""
    source = f" ({report.source})" if report.source else ""
    opening = (
        f"The network needs an estimated {format_energy(report.energy)} per inference{steps}, which is the mean over "
        f"{ledger.samples} input{'s' if ledger.samples > 1 else ''}{source}{_sure(report)}"
    )
    beside = f"; {_beside(report)}" if profile.has_baseline and ann is not ledger else ""
    lower = " Operations without a price make these figures lower bounds." if report.unpriced else ""
    said = "".join(f" {one[0].upper()}{one[1:]}." for one in caveats(report))
    left_out = conventions(report.include, profile, ledger.connections)["left out"]
    return (
        f"{opening}{beside}.{said}{lower} Operations were counted exactly and priced with the profile {profile.name} "
        f"({profile.citation}; SHA-256 {profile.digest[:DIGITS]}); left out: {left_out} "
        f"(spikesim {spikesim.__version__}, report {report.digest[:DIGITS]})."
    )


def _sure(report: EnergyReport) -> str:
    found = report.uncertainty
    parts = [
        f"{format_energy(spreads['network'].low)} to {format_energy(spreads['network'].high)} at {words}"
        for spreads, words in ((found.counts, "95 % over inputs"), (found.constants, "90 % over the constants"))
        if spreads
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _beside(report: EnergyReport) -> str:
    clauses = []
    for name, (words, _) in BASELINES.items():
        if report.energies[name]:
            few = report.matched.bits
            bits = f" of {few} bit{'s' if few != 1 else ''}" if name == "capacity_matched" else ""
            clauses.append(f"{report.ratio(name):.3g} times {words}{bits} ({format_energy(report.energies[name])})")
    if not clauses:
        return "the baseline has no price"
    *first, last = clauses
    return f"that is {', '.join(first)}{' and ' if first else ''}{last}, on the same inputs ({report.ann_name})"
