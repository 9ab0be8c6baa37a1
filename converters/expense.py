"""Spikes and energy of a converted network at every step, counted while it answers."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from spikesim.converters.inputs import Inputs, count, each
from spikesim.energy import Ledger, Profile, price, price_steps
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
        samples = network.samples
        spikes = network.per_step("spikes_out").double().cumsum(0)
        reached = torch.stack([spikes, price_steps(network, self.profile) * samples])
        self._sums += reached[:, self.wait : self.wait + self.timesteps]
        self._ends += reached[:, -1]
        if ann is not None:
            dense, sparse = (price(ann, self.profile, zero_skipping=skips).total for skips in (False, True))
            self._ann += torch.tensor([dense, sparse], dtype=torch.float64) * samples
        self.samples += samples
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


def counted_run(network: nn.Module, x: Inputs, mask: Tensor | None = None) -> tuple[Any, Ledger]:
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
    given: list[Any] = []
    watched = network.module if isinstance(network, Network) else network
    handle = watched.register_forward_hook(lambda _, __, out: given.append(out))
    try:
        ledger = Ledger.record(network, x, input="analog", mask=mask)
    finally:
        handle.remove()
    if not isinstance(network, Network):
        return given[-1], ledger
    return each(lambda out: out.reshape(ledger.timesteps, count(x), *out.shape[1:]), given[-1]), ledger
