"""The verdict of a report: a sentence or two that claim no more than what was priced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikesim.energy.caveats import caveats, remedies
from spikesim.energy.comparison import BASELINES
from spikesim.energy.units import format_count, format_energy

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

_NAMED = 4


def verdict(report: EnergyReport) -> str:
    """Does spiking win, against what, by how much; and what the figures leave out.

    Args:
        report: a network beside its baselines.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> from spikesim.energy.verdict import verdict
        >>> layers = torch.nn.Sequential(torch.nn.Linear(100, 10, bias=False), torch.nn.Softmax(-1))
        >>> print(verdict(energy_report(layers, torch.ones(2, 100), input="analog")))
        No spikes: 4.664 nJ per inference dense, 4.664 nJ zero-skipping (horowitz45-fp32). Lower bound: 20 operations \
not priced: _softmax.
    """
    profile = report.profile.name
    if not report.profile.has_baseline:
        return (
            f"No verdict: profile {profile} prices no MACs, and so no ANN to compare with; what it prices of the "
            f"network is {format_energy(report.energy)} per inference.{_left_out(report)}"
        )
    if report.ann_ledger is report.ledger:
        return (
            f"No spikes: {format_energy(report.dense_ann)} per inference dense, "
            f"{format_energy(report.zero_skipping_ann)} zero-skipping ({profile}).{_left_out(report)}"
        )
    if not report.ann_ledger.total()["mac_dense"]:
        return (
            f"No verdict: the baseline ({report.ann_name}) does no priced MACs; the network needs "
            f"{format_energy(report.energy)} per inference ({profile}).{_left_out(report)}"
        )
    against = [_clause(report, name) for name in BASELINES]
    wins = [report.ratio(name) < 1 for name in BASELINES]
    opening = "Spiking wins" if all(wins) else "Spiking wins only in part" if any(wins) else "Spiking loses"
    if report.unpriced:
        opening += ", as far as operations are priced"
    return (
        f"{opening}: {format_energy(report.energy)} per inference at T = {report.ledger.timesteps}, "
        f"{', '.join(against[:-1])} and {against[-1]} ({profile}; baseline: {report.ann_name})."
        f"{_where_it_loses(report)}{_less_fair(report)}{_left_out(report)}"
    )


def _where_it_loses(report: EnergyReport) -> str:
    """The layers that need more than in the zero-skipping ANN, the costliest excess first."""
    beside = [row for row in report.rows if row.network and row.zero_skipping_ann]
    lost = [row for row in beside if "zero_skipping_ann" in row.loses_to]
    if not lost:
        return ""
    lost.sort(key=lambda row: row.zero_skipping_ann - row.network_zero_skipping)
    named = [f"{row.layer} ({row.network_zero_skipping / row.zero_skipping_ann:.1f}x)" for row in lost[:_NAMED]]
    more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    return f" It loses to the zero-skipping ANN in {len(lost)} of {len(beside)} layers: {', '.join(named)}{more}."


def _less_fair(report: EnergyReport) -> str:
    """What makes the comparison less fair than it looks, and the remedy."""
    said = "; and that ".join(caveats(report))
    return " ".join(["", f"Mind that {said}.", *remedies(report)]) if said else ""


def _left_out(report: EnergyReport) -> str:
    """How many operations have no price, of which side."""
    unpriced = report.unpriced
    if not unpriced:
        return ""
    names = list(dict.fromkeys(u["operation"] for u in unpriced))
    named = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    sides: dict[str, int] = {}
    for u in unpriced:
        sides[u["of"]] = sides.get(u["of"], 0) + u["results"]
    if report.ann_ledger is report.ledger or not report.profile.has_baseline:
        return f" Lower bound: {format_count(sides['network'])} operations not priced: {named}."
    words = {"network": "the network", "ann": "the ANN"}
    counted = " and ".join(f"{format_count(count)} of {words[side]}" for side, count in sides.items())
    return f" Lower bounds: operations not priced, {counted}: {named}."


def _clause(report: EnergyReport, baseline: str) -> str:
    against, ratio = BASELINES[baseline][0], report.ratio(baseline)
    if baseline == "capacity_matched":
        against += f" of {report.matched.bits} bit{'s' if report.matched.bits != 1 else ''}"
    joules = format_energy(report.energies[baseline])
    if ratio < 1:
        return f"{1 / ratio if ratio else float('inf'):.2f}x less than {against} ({joules})"
    return f"{ratio:.2f}x {against} ({joules})"
