"""Count batch after batch, while the network is evaluated."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from spikesim.energy.fanout import FanOuts
from spikesim.energy.ledger import Connections, InputKind, Ledger
from spikesim.energy.merge import merged
from spikesim.energy.record import record
from spikesim.errors import LedgerError


class Meter:
    """A ledger that grows with every batch; only counts are kept, no activations.

    Each call runs the network once, in evaluation mode and without gradients, and gives what it returned: accuracy and
    energy come from one pass over a test set.

    Args:
        network: a ``Network``, or another module; see :meth:`spikesim.energy.Ledger.record`.
        input: see :meth:`spikesim.energy.Ledger.record`, as are the others.
        strict: refuse operations that no column counts.
        connections: "all" weights, or those that are not zero.

    Example:
        >>> import torch
        >>> from spikesim.energy import Meter
        >>> meter = Meter(torch.nn.Linear(4, 3), input="analog")
        >>> outputs = [meter(x) for x in torch.rand(10, 4).split(5)]
        >>> meter.ledger.samples, meter.ledger.total()["mac_dense"], outputs[0].shape
        (10, 120, torch.Size([5, 3]))
    """

    def __init__(
        self, network: nn.Module, *, input: InputKind, strict: bool = False, connections: Connections = "all"
    ) -> None:
        self.network = network
        self.input = input
        self.strict = strict
        self.connections = connections
        self._fans = FanOuts()
        self._ledgers: list[Ledger] = []

    def __call__(self, x: Any, mask: torch.Tensor | None = None) -> Any:
        """Count a batch.

        Args:
            x: input of the network.
            mask: bool ``[T, N]``, True where a step is real.

        Returns:
            What the network returns.

        Raises:
            LedgerError: see :meth:`spikesim.energy.Ledger.record`; a batch that raises is not counted.
        """
        ledger, output = record(self.network, x, self.input, mask, self.strict, self.connections, self._fans)
        self._ledgers.append(ledger)
        return output

    @property
    def ledger(self) -> Ledger:
        """Counts of all batches so far, samples in their order.

        Raises:
            LedgerError: no batch was counted, or batches differ in their number of steps.
        """
        if not self._ledgers:
            raise LedgerError("no batch was counted; call the meter with one first")
        self._ledgers = [merged(self._ledgers)]
        return self._ledgers[0]
