"""One call: count a network and its baselines on the same samples, and price both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from spikesim.dynamics import Neuron, Stateful
from spikesim.energy.baselines import relu_twin, time_mean
from spikesim.energy.included import Included
from spikesim.energy.ledger import Connections, InputKind, Ledger
from spikesim.energy.own_time import as_network, loops, samples_axis
from spikesim.energy.pairing import Sources
from spikesim.energy.profile import Profile, load_profile
from spikesim.energy.record import cast_integers, record
from spikesim.energy.report import EnergyReport
from spikesim.errors import LedgerError
from spikesim.nn import Network

_TWIN = "ReLU twin of the network (not trained as an ANN)"


def energy_report(
    network: nn.Module,
    x: Any,
    *,
    input: InputKind,
    profile: str | Path | Profile = "horowitz45-fp32",
    ann: nn.Module | None = None,
    ann_input: Any = None,
    ann_name: str | None = None,
    mask: torch.Tensor | None = None,
    strict: bool = False,
    source: str | None = None,
    include: Included | None = None,
    seed: int = 0,
    connections: Connections = "all",
) -> EnergyReport:
    """Count and price a network and its baselines on the same samples.

    Args:
        network: a :class:`spikesim.nn.Network`; bare layers and neurons of spikesim; a module whose forward steps
            through neurons of snnTorch; or a plain ANN (which is then its own baseline).
        x: its input: ``[T, N, ...]``, or ``[N, ...]`` with an encoder and for a plain ANN, or as its loop takes it.
        input: what ``x`` holds: "analog", "events" (whole counts) or the ``SpikeType`` that an encoder emits.
        profile: name, path or loaded profile.
        ann: baseline ANN, for a converted network its source, without spiking neurons; by default
            the network with ReLUs for neurons.
        ann_input: input of the ANN, ``[N, ...]``, analog; by default ``x`` itself for a network with an encoder, else
            the mean of ``x`` over time.
        ann_name: what the report calls the ANN; by default the name of its class.
        mask: bool ``[T, N]``, True where a step is real.
        strict: refuse operations without a price.
        source: where ``x`` comes from, in words, for the report.
        include: memory traffic and static power; by default neither.
        seed: of the resamplings and draws behind the intervals.
        connections: of both sides: "all" weights, or only those that are not zero ("nonzero").

    Returns:
        The report; ``show()`` prints it, ``save(path)`` writes JSON.

    Raises:
        LedgerError: see :meth:`spikesim.energy.Ledger.record`; ``ann`` holds spiking neurons; under
            ``strict`` also a count that the profile does not price.
        PricingError: the profile may not be applied: see :class:`spikesim.energy.Included`.
        ConfigError: a profile that is missing or broken.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.energy import energy_report
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Constant, Mean, Network
        >>> net = Network(nn.Sequential(nn.Linear(4, 8), IF(), nn.Linear(8, 2)), encoder=Constant(4), readout=Mean())
        >>> report = energy_report(net, torch.rand(3, 4), input="analog")
        >>> report.ledger["0"]["mac_dense"], report.ledger["0"].input_type, round(report.dense_ann * 1e12)
        (96, 'analog_once', 237)
    """
    priced_by = profile if isinstance(profile, Profile) else load_profile(profile)
    if mask is not None and mask.dtype == torch.bool and mask.numel() and not bool(mask.any(0).all()):
        raise LedgerError(
            "mask leaves some samples without a real step: they would cost the network nothing and the ANN as much as "
            "any other; leave those samples out"
        )
    ledger = Ledger.record(network, x, input=input, mask=mask, strict=strict, connections=connections)
    options: dict[str, Any] = {"include": include or Included(), "seed": seed}
    looped = loops(network)
    network = network if looped else as_network(network, cast_integers(network, x))
    if looped and ann is None:
        ann_ledger = record(network, x, "analog", None, strict, connections, twin=True)[0]
        return _checked(EnergyReport(ledger, ann_ledger, _TWIN, priced_by, source, **options), strict)
    if looped and ann_input is None:
        ann_input = time_mean(x) if samples_axis(x, ledger.timesteps, ledger.samples) else x
    if not looped and not isinstance(network, Network):
        if ann is not None:
            raise LedgerError("a plain ANN is its own baseline; leave ann out, or give a spikesim.nn.Network")
        itself = EnergyReport(ledger, ledger, "the network itself", priced_by, source, **options)
        return _checked(itself, strict)
    if ann_input is None and isinstance(network, Network):
        # A network that makes a sequence of its input by itself takes samples, as one with an encoder does.
        ann_input = x if type(network).over_time is not Network.over_time else _static(network, x, mask)
    if ann is not None:
        _require_ann(ann)
        baseline, name = ann, ann_name or f"source ANN {type(ann).__name__}"
    else:
        baseline, name = relu_twin(cast(Network, network)), _TWIN
    if isinstance(baseline, Network) and baseline.encoder is None:
        ann_input = ann_input.unsqueeze(0)
    ann_ledger = Ledger.record(baseline, ann_input, input="analog", strict=strict, connections=connections)
    if ann_ledger.samples != ledger.samples:
        raise LedgerError(
            f"the ANN ran on {ann_ledger.samples} samples and the network on {ledger.samples}; give both the same"
        )
    # A twin has the layers of the network itself.
    sources = Sources() if ann is None else Sources(getattr(network, "sources", {}), getattr(ann, "sources", {}))
    report = EnergyReport(ledger, ann_ledger, name, priced_by, source, sources=sources, **options)
    return _checked(report, strict)


def _static(network: Network, x: Any, mask: torch.Tensor | None) -> Any:
    if network.encoder is not None:
        return x
    if not isinstance(x, torch.Tensor):
        raise LedgerError("the network takes a tree of tensors; pass ann_input for the baseline")
    return time_mean(x, mask)


def _require_ann(ann: nn.Module) -> None:
    for name, part in ann.named_modules():
        spiking = isinstance(part, Neuron) and part.emits.is_spike
        if spiking or (isinstance(part, Stateful) and not isinstance(part, Neuron) and not part.static):
            raise LedgerError(
                f"ann holds {type(part).__name__} at {name or '(root)'!r}, so that it is a spiking network and no "
                "baseline without spikes; give the ANN that the network was converted from, or leave ann out for its "
                "ReLU twin. Two spiking networks are compared by energy_diff(report_a, report_b)"
            )


def _checked(report: EnergyReport, strict: bool) -> EnergyReport:
    if strict and report.unpriced:
        named = ", ".join(f"{u['operation']} in {u['layer']}" for u in report.unpriced)
        raise LedgerError(f"profile {report.profile.name} has no price for {named}; pass strict=False to list them")
    return report
