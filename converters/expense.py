"""Spikes and energy of a converted network at every step, counted while it answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, fx, nn

from spikesim.converters.policies import CONVERTED
from spikesim.converters.settling import SettlingNetwork
from spikesim.energy import EnergyReport, Ledger, Profile, load_profile, price, price_steps, relu_twin
from spikesim.energy.ledger import LayerCounts
from spikesim.nn import Network


class Expense(BaseModel):
    """What the answers cost, per sample; energies in joules.

    Args:
        profile: Hardware profile that priced the operations.
        spikes: Sent until the network is read after t = 1, ..., T steps, those of the wait included.
        energy: The same for the energy; analog layers are charged dense.
        settled_spikes: Until nothing moves, for an exact conversion.
        settled_energy: The same for the energy.
        ann: Energy of the ANN on the same samples; None where there is none.
        ann_zero_skipping: The same if it multiplies only activations that are not zero.
        unpriced: Operations that the figures leave out.

    Example:
        >>> from spikesim.converters.expense import Expense
        >>> Expense(profile="p", spikes=[1.0, 2.0], energy=[1e-9, 2e-9], ann=4e-9, ann_zero_skipping=2e-9).whole
        (2.0, 2e-09)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str
    spikes: list[float]
    energy: list[float]
    settled_spikes: float | None = None
    settled_energy: float | None = None
    ann: float | None = None
    ann_zero_skipping: float | None = None
    unpriced: list[str] = []

    @property
    def whole(self) -> tuple[float, float]:
        """Spikes and energy until the answer that the network gives, draining included."""
        if self.settled_spikes is not None and self.settled_energy is not None:
            return self.settled_spikes, self.settled_energy
        return self.spikes[-1], self.energy[-1]


class Tally:
    """Adds up the ledgers of several batches, which may have taken different numbers of steps.

    Args:
        profile: Energies of the operations.
        timesteps: T.
        wait: Steps before them.
        settles: Whether batches go on after the T-th step.

    Example:
        >>> from spikesim.converters.expense import Tally
        >>> from spikesim.energy import load_profile
        >>> Tally(load_profile("horowitz45-fp32"), timesteps=2).samples
        0
    """

    def __init__(self, profile: Profile, timesteps: int, wait: int = 0, settles: bool = False) -> None:
        self.profile, self.timesteps, self.wait, self.settles = profile, timesteps, wait, settles
        self.samples = 0
        self._sums = torch.zeros(2, timesteps, dtype=torch.float64)
        self._ends = torch.zeros(2, dtype=torch.float64)
        self._ann = torch.zeros(2, dtype=torch.float64)
        self._unpriced: dict[str, None] = {}

    def add(self, network: Ledger, ann: Ledger | None) -> None:
        """Count a batch of both."""
        count = network.samples
        steps = torch.stack([network.per_step("spikes_out").double(), price_steps(network, self.profile) * count])
        reached = steps.cumsum(1)
        self._sums += reached[:, self.wait : self.wait + self.timesteps]
        self._ends += reached[:, -1]
        if ann is not None:
            dense, sparse = (price(ann, self.profile, zero_skipping=skips).total for skips in (False, True))
            self._ann += torch.tensor([dense, sparse], dtype=torch.float64) * count
        self.samples += count
        for whose, ledger in (("", network), (" of the ANN", ann)):
            if ledger is not None:
                named = [f"{operation} in {layer}" for layer, operation in ledger.unpriced]
                self._unpriced |= dict.fromkeys(f"{name}{whose}" for name in named)
                self._unpriced |= dict.fromkeys(f"{c}{whose}" for c in price(ledger, self.profile).unpriced)

    def expense(self, with_ann: bool) -> Expense:
        """Means over the samples."""
        spikes, energy = (self._sums / self.samples).tolist()
        ends, ann = (self._ends / self.samples).tolist(), (self._ann / self.samples).tolist()
        return Expense(
            profile=self.profile.name,
            spikes=spikes,
            energy=energy,
            settled_spikes=ends[0] if self.settles else None,
            settled_energy=ends[1] if self.settles else None,
            ann=ann[0] if with_ann else None,
            ann_zero_skipping=ann[1] if with_ann else None,
            unpriced=list(self._unpriced),
        )


def counted_run(network: nn.Module, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Ledger]:
    """The outputs of a run before the readout, and the ledger of the same run.

    Args:
        network: A converted network, or an ANN.
        x: Inputs ``[N, ...]``.
        mask: bool ``[steps, N]``, False where a sample is done and costs nothing more; not for exact networks.

    Returns:
        ``[steps, N, ...]`` of a network, ``[N, ...]`` of an ANN; and the counts. An exact network runs twice: the first
        time tells how many steps it takes.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> from spikesim.converters.expense import counted_run
        >>> x = torch.rand(4, 3)
        >>> network, _ = convert(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), x, timesteps=5)
        >>> outputs, ledger = counted_run(network, x)
        >>> torch.equal(outputs, network.unread(x)), ledger.timesteps
        (True, 5)
    """
    given: list[Tensor] = []

    def keep(_: nn.Module, __: Any, out: Tensor) -> None:
        given.append(out)

    if not isinstance(network, Network):
        handle = network.register_forward_hook(keep)
        try:
            ledger = Ledger.record(network, x, input="analog")
        finally:
            handle.remove()
        return given[0], ledger
    counted, inputs = network, x
    if isinstance(network, SettlingNetwork):
        network.unread(x)
        shown, silent = x.expand(network.timesteps, *x.shape), torch.zeros_like(x).expand(network.drained, *x.shape)
        counted, inputs = Network(network.module, readout=network.readout).eval(), torch.cat([shown, silent])
    handle = counted.module.register_forward_hook(keep)
    try:
        ledger = Ledger.record(counted, inputs, input="analog", mask=mask)
    finally:
        handle.remove()
    outputs = given[0].reshape(ledger.timesteps, len(x), *given[0].shape[1:])
    return outputs, _once(ledger, network) if isinstance(network, SettlingNetwork) else ledger


@torch.no_grad()
def settled_report(network: SettlingNetwork, x: Tensor, profile: str | Path | Profile, source: str) -> EnergyReport:
    """The energy report of an exact network, which has no fixed number of steps.

    Args:
        network: An exact network.
        x: Inputs ``[N, ...]``.
        profile: See :func:`spikesim.energy.load_profile`.
        source: Where the inputs come from, in words.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> from spikesim.converters.expense import settled_report
        >>> x = torch.rand(4, 3)
        >>> network, _ = convert(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), x, timesteps=5, exact=True)
        >>> settled_report(network, x, "horowitz45-fp32", "noise").ledger.timesteps
        5
    """
    prices = profile if isinstance(profile, Profile) else load_profile(profile)
    ann = Ledger.record(relu_twin(network), x, input="analog")
    name = "ReLU twin of the network (not trained as an ANN)"
    return EnergyReport(counted_run(network, x)[1], ann, name, prices, source)


def _once(ledger: Ledger, network: Network) -> Ledger:
    """Charge layers that only constant values reach for one step: their current is the same in all T, then off."""
    graph: Any = network.module
    layers = dict(ledger.layers)
    for name in constant_layers(graph):
        found = layers.get(name)
        if found is not None:
            first = {column: _first(steps) for column, steps in found.counts.items()}
            layers[name] = LayerCounts(found.operations, found.inputs, True, first)
    return replace(ledger, layers=layers)


def _first(steps: Tensor) -> Tensor:
    kept = torch.zeros_like(steps)
    kept[0] = steps[0]
    return kept


def constant_layers(graph: fx.GraphModule) -> list[str]:
    """Modules of a spiking graph that no spike reaches, by name, neurons excepted.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> from spikesim.converters.expense import constant_layers
        >>> layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> constant_layers(convert(layers, torch.rand(4, 3), timesteps=1).network.module)
        ['linear_0']
    """
    moving: dict[fx.Node, bool] = {}
    found = []
    for node in graph.graph.nodes:
        module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        moving[node] = isinstance(module, CONVERTED) or any(moving[source] for source in node.all_input_nodes)
        if module is not None and not moving[node]:
            found.append(str(node.target))
    return found
