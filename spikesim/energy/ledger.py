"""The ledger: integer counts per layer and time step, from which energies are computed later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import nn

from spikesim.dynamics import SpikeType
from spikesim.energy.columns import COLUMNS
from spikesim.energy.layer_counts import LayerCounts, known
from spikesim.errors import LedgerError

InputKind = Literal["analog", "analog_once", "analog_each_step", "events"] | SpikeType
Connections = Literal["all", "nonzero"]


@dataclass(frozen=True)
class Ledger:
    """Exact operation counts of a network on a set of samples.

    Ledgers of different batches add up: ``Ledger.record(net, a, ...) + Ledger.record(net, b, ...)`` equals the
    ledger of both batches together.

    Args:
        timesteps: T.
        samples: samples that were counted.
        active: samples whose step t is real (not masked), int64 ``[T]``.
        input: how the network input was declared.
        layers: counts by qualified module name, in the order of execution.
        unpriced: (layer, operation) to number of results, for operations that no column counts.
        connections: "all", or "nonzero" where weights that are zero were no connections.
        counted: the steps from the first to before the second are what the readout takes into account; None for all.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.energy import Ledger
        >>> ledger = Ledger.record(nn.Linear(3, 5), torch.tensor([[1.0, 0.0, 2.0]]), input="analog")
        >>> ledger.total()["mac_dense"], ledger.total()["mac_effective"], ledger.total()["bias_adds"]
        (15, 10, 5)
    """

    timesteps: int
    samples: int
    active: torch.Tensor
    input: str
    layers: Mapping[str, LayerCounts]
    unpriced: Mapping[tuple[str, str], int] = field(default_factory=dict)
    connections: Connections = "all"
    counted: tuple[int, int] | None = None

    @classmethod
    def record(
        cls,
        network: nn.Module,
        x: Any,
        *,
        input: InputKind,
        mask: torch.Tensor | None = None,
        strict: bool = False,
        connections: Connections = "all",
    ) -> Ledger:
        """Run a network once and count what it does.

        The network runs in evaluation mode, without gradients, and is left as it was. A module that is no
        :class:`spikesim.nn.Network` counts as a plain ANN with one time step, unless it holds neurons: bare layers of
        spikesim count as the Network of them, and where the forward of a module steps through neurons of snnTorch, a
        call of a neuron is a time step.

        Args:
            network: a ``Network``, or another module.
            x: its input: ``[T, N, ...]``, or ``[N, ...]`` for a network with an encoder and for a plain module. A
                tree of tensors is taken where the module takes one. Integers are cast to the dtype of the weights.
            input: what the values of ``x`` (after the encoder) are. "analog": numbers; the first layers are charged as
                often as the network runs them. "analog_once": numbers that do not change over time, charged at the
                first step only. "analog_each_step": charged at every step even where the network computes them once.
                "events": whole counts of which each unit is one event. Or the ``SpikeType`` that an encoder emits.
            mask: bool ``[T, N]``, True where a step is real; masked steps count nothing.
            strict: refuse networks with operations that no column counts, instead of listing them.
            connections: "all" weights, or only those that are not zero ("nonzero", for hardware that stores a pruned
                network sparsely).

        Returns:
            Integer counts per layer, time step and sample.

        Raises:
            LedgerError: no samples, a value that breaks its declared type, an unpriced operation under
                ``strict``, or rows that cannot be attributed to time steps.
        """
        from spikesim.energy.record import record

        return record(network, x, input, mask, strict, connections)[0]

    def __getitem__(self, layer: str) -> LayerCounts:
        """Counts of one layer.

        Raises:
            LedgerError: no operation ran under that name.
        """
        if layer not in self.layers:
            raise LedgerError(f"no layer {layer!r} in the ledger; it holds {', '.join(self.layers) or 'none'}")
        return self.layers[layer]

    def total(self) -> dict[str, int]:
        """Every column summed over layers, time steps and samples."""
        return {column: sum(layer[column] for layer in self.layers.values()) for column in COLUMNS}

    def per_step(self, column: str) -> torch.Tensor:
        """A column summed over layers and samples, int64 ``[T]``."""
        known(column)
        total = torch.zeros(self.timesteps, dtype=torch.int64)
        for layer in self.layers.values():
            total += layer.counts.get(column, 0)
        return total

    def per_sample(self, column: str) -> torch.Tensor:
        """A column summed over layers and time steps, int64 ``[samples]``, in the order of the samples.

        Raises:
            LedgerError: a layer's counts were not attributed to samples.

        Example:
            >>> import torch
            >>> from spikesim.energy import Ledger
            >>> x = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
            >>> Ledger.record(torch.nn.Linear(3, 5), x, input="analog").per_sample("mac_effective")
            tensor([10,  5])
        """
        known(column)
        total = torch.zeros(self.samples, dtype=torch.int64)
        for name, layer in self.layers.items():
            if column in layer.counts:
                try:
                    total += layer.per_sample(column)
                except LedgerError as error:
                    raise LedgerError(f"layer {name!r}: {error}") from None
        return total

    @property
    def counted_steps(self) -> int:
        """Steps that the readout takes into account and that are real for any sample, at least 1.

        Steps of a wait before the readout begins, and those in which an exact network settles, cost energy and tell no
        more values apart.
        """
        start, stop = self.counted or (0, self.timesteps)
        return max(1, int((self.active[start:stop] > 0).sum()))

    @property
    def levels(self) -> int:
        """Values above zero that the neuron of the widest spikes can tell apart: counted steps times largest spike.

        Example:
            >>> import torch
            >>> from spikesim.energy import Ledger
            >>> from spikesim.neurons import IF
            >>> from spikesim.nn import DelayedMean, Network
            >>> Ledger.record(Network(IF(), readout=DelayedMean(3)), torch.ones(8, 1, 2), input="events").levels
            5
        """
        return self.counted_steps * max((layer.largest_spike for layer in self.layers.values()), default=1)

    def rows(self) -> Iterator[tuple[str, int, dict[str, int]]]:
        """Every (layer, time step) with the columns that are not zero."""
        for name, layer in self.layers.items():
            table = {column: steps.tolist() for column, steps in layer.counts.items()}
            for t in range(self.timesteps):
                yield name, t, {column: steps[t] for column, steps in table.items() if steps[t]}

    def until(self, step: int) -> Ledger:
        """The counts of the first steps alone; what ran once for all steps counts at the first.

        ``unpriced`` stays that of all steps: operations that no column counts are not kept per step.

        Args:
            step: how many, 1 to T.

        Raises:
            LedgerError: the network did not run for so many.

        Example:
            >>> import torch
            >>> from spikesim.energy import Ledger
            >>> from spikesim.neurons import IF
            >>> from spikesim.nn import Network
            >>> ledger = Ledger.record(Network(IF()), torch.ones(5, 2, 3), input="events")
            >>> ledger.until(2).total()["neuron_updates"], ledger.total()["neuron_updates"]
            (12, 30)
        """
        if not 1 <= step <= self.timesteps:
            raise LedgerError(f"step is {step}, but the ledger has steps 1 to {self.timesteps}")
        layers = {name: layer.until(step) for name, layer in self.layers.items()}
        counted = None if self.counted is None else (min(self.counted[0], step), min(self.counted[1], step))
        return replace(self, timesteps=step, active=self.active[:step], layers=layers, counted=counted)

    def __add__(self, other: Ledger) -> Ledger:
        """The ledger of both sets of samples.

        Raises:
            LedgerError: different numbers of time steps, or differently declared inputs or connections.
        """
        from spikesim.energy.merge import merged

        return merged([self, other])

    def as_neurobench(self) -> dict[str, float]:
        """NeuroBench's metrics; see :func:`spikesim.energy.as_neurobench`."""
        from spikesim.energy.compat import as_neurobench

        return as_neurobench(self)

    def as_syops(self) -> dict[str, float]:
        """ACs and MACs as syops counts them; see :func:`spikesim.energy.as_syops`."""
        from spikesim.energy.compat import as_syops

        return as_syops(self)

    def as_lemaire(self) -> dict[str, dict[str, float]]:
        """Operations and accesses by Lemaire's formulas; see :func:`spikesim.energy.as_lemaire`."""
        from spikesim.energy.compat import as_lemaire

        return as_lemaire(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON."""
        return {
            "timesteps": self.timesteps,
            "samples": self.samples,
            "active": self.active.tolist(),
            "input": self.input,
            "connections": self.connections,
            "counted": list(self.counted or (0, self.timesteps)),
            "layers": [
                {
                    "name": name,
                    "operations": sorted(layer.operations),
                    "input": layer.input_type,
                    "once": layer.once,
                    "params": layer.params,
                    "weights": layer.weights,
                    "zero_weights": layer.zero_weights,
                    "state_bytes": layer.state_bytes,
                    "largest_spike": layer.largest_spike,
                    "counts": {c: layer.counts[c].tolist() for c in COLUMNS if layer[c]},
                }
                for name, layer in self.layers.items()
            ],
            "unpriced": [
                {"layer": layer, "operation": operation, "results": count}
                for (layer, operation), count in self.unpriced.items()
            ],
        }
