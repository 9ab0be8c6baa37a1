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
        :class:`spikesim.nn.Network` counts as a plain ANN with one time step.

        Args:
            network: a ``Network``, or any module without neurons.
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

    def until(self, steps: int) -> Ledger:
        """The ledger of the first steps alone; what is unpriced stays, for it is not counted per step.

        Raises:
            LedgerError: there are not so many.
        """
        if not 1 <= steps <= self.timesteps:
            raise LedgerError(f"the ledger has {self.timesteps} steps, and its first {steps} are asked for")
        layers = {
            name: replace(
                layer,
                counts={column: values[:steps] for column, values in layer.counts.items()},
                tables={column: values[:steps] for column, values in layer.tables.items()},
            )
            for name, layer in self.layers.items()
        }
        return replace(self, timesteps=steps, active=self.active[:steps], layers=layers)

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

    def rows(self) -> Iterator[tuple[str, int, dict[str, int]]]:
        """Every (layer, time step) with the columns that are not zero."""
        for name, layer in self.layers.items():
            table = {column: steps.tolist() for column, steps in layer.counts.items()}
            for t in range(self.timesteps):
                yield name, t, {column: steps[t] for column, steps in table.items() if steps[t]}

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
            "layers": [
                {
                    "name": name,
                    "operations": sorted(layer.operations),
                    "input": layer.input_type,
                    "params": layer.params,
                    "weights": layer.weights,
                    "zero_weights": layer.zero_weights,
                    "state_bytes": layer.state_bytes,
                    "counts": {c: layer.counts[c].tolist() for c in COLUMNS if layer[c]},
                }
                for name, layer in self.layers.items()
            ],
            "unpriced": [
                {"layer": layer, "operation": operation, "results": count}
                for (layer, operation), count in self.unpriced.items()
            ],
        }
