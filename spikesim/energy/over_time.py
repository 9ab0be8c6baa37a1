"""What each further time step costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikesim.energy.charges import Side
from spikesim.energy.pricing import itemise

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport


def energy_over_time(report: EnergyReport) -> list[float]:
    """Joules per inference if the network stopped after 1, 2, ... T steps.

    A static power is taken for its share of the time.

    Args:
        report: a network beside its baselines.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> from spikesim.energy.over_time import energy_over_time
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> report = energy_report(Network(IF()), torch.zeros(3, 1, 10), input="events")
        >>> [round(joules * 1e12) for joules in energy_over_time(report)]
        [18, 36, 54]
    """
    whole = report.ledger.timesteps
    found = []
    for step in range(1, whole + 1):
        seconds = report.include.latency and report.include.latency * step / whole
        ledger = report.ledger if step == whole else report.ledger.until(step)
        found.append(itemise(ledger, report.profile, Side(), report.include, seconds).total)
    return found
