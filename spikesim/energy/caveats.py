"""What makes a comparison less fair than it looks, in words that stand beside its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikesim.energy.ledger import Ledger

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

_NAMED = 2
NORMS = frozenset(
    {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit_no_training"}
)


def caveats(report: EnergyReport) -> list[str]:
    """One clause each, without a full stop: batch-norms of the ANN alone, a third baseline that is no exact match.

    Args:
        report: a network beside its baselines; without baselines there is nothing to say.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> from spikesim.energy.caveats import caveats
        >>> caveats(energy_report(torch.nn.Linear(10, 5), torch.ones(1, 10), input="analog"))
        []
    """
    if report.ann_ledger is report.ledger or not report.profile.has_baseline:
        return []
    found = []
    norms = unfolded_norms(report.ledger, report.ann_ledger)
    if norms:
        found.append(f"the ANN is charged for batch-norms that the network does not have ({_some(norms, ', ')})")
    if report.departures and report.energies["capacity_matched"]:
        found.append(f"the capacity-matched ANN is an approximation here ({_some(report.departures, '; ')})")
    return found


def unfolded_norms(network: Ledger, ann: Ledger) -> list[str]:
    """Layers of the ANN that ran a batch-norm, where it ran more of them than the network did.

    Args:
        network: counts of the spiking network.
        ann: counts of the ANN.
    """
    ours, theirs = ([n for n, layer in one.layers.items() if layer.operations & NORMS] for one in (network, ann))
    return theirs if len(theirs) > len(ours) else []


def remedies(report: EnergyReport) -> list[str]:
    """What to do about the caveats that can be helped, one sentence each.

    Args:
        report: a network beside its baselines.
    """
    if report.ann_ledger is report.ledger or not unfolded_norms(report.ledger, report.ann_ledger):
        return []
    return ["Fold them for a fair ratio: ann=spikesim.converters.fold_batchnorm(model, x)."]


def _some(names: list[str], between: str) -> str:
    more = f"{between}{len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return between.join(names[:_NAMED]) + more
