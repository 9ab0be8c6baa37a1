"""The verdict of a report: one sentence that claims no more than what was priced."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    if "mac" not in report.profile.constants:
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
    against = [
        _clause(report.ratio_dense, "the dense ANN", report.dense_ann),
        _clause(report.ratio_zero_skipping, "the zero-skipping ANN", report.zero_skipping_ann),
    ]
    wins = [ratio < 1 for ratio in (report.ratio_dense, report.ratio_zero_skipping)]
    opening = "Spiking wins" if all(wins) else "Spiking wins only in part" if any(wins) else "Spiking loses"
    if report.unpriced:
        opening += ", as far as operations are priced"
    return (
        f"{opening}: {format_energy(report.energy)} per inference at T = {report.ledger.timesteps}, "
        f"{' and '.join(against)} ({profile}; baseline: {report.ann_name}).{_left_out(report)}"
    )


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
    if report.ann_ledger is report.ledger:
        return f" Lower bound: {format_count(sides['network'])} operations not priced: {named}."
    words = {"network": "the network", "ann": "the ANN"}
    counted = " and ".join(f"{format_count(count)} of {words[side]}" for side, count in sides.items())
    return f" Lower bounds: operations not priced, {counted}: {named}."


def _clause(ratio: float, against: str, baseline: float) -> str:
    if ratio < 1:
        return f"{1 / ratio if ratio else float('inf'):.2f}x less than {against} ({format_energy(baseline)})"
    return f"{ratio:.2f}x {against} ({format_energy(baseline)})"
