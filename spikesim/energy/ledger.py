"""The ledger: integer counts per layer and time step, from which energies are computed later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from spikesim.dynamics import SpikeType
from spikesim.energy.columns import COLUMNS
from spikesim.errors import LedgerError

InputKind = Literal["analog", "events"] | SpikeType


@dataclass(frozen=True)
class LayerCounts:
    """Counts of one layer, summed over samples.

    Args:
        operations: names of the operations that ran in it.
        inputs: kinds of its inputs: "analog", "binary", "signed", "graded".
        once: whether it ran once for all time steps on a constant input; its counts stand at step 0.
        counts: int64 ``[T]`` per column of :data:`spikesim.energy.COLUMNS`; a column that is absent is 0.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> net = Network(torch.nn.Sequential(torch.nn.Linear(2, 3), IF()))
        >>> layer = Ledger.record(net, torch.ones(4, 1, 2), input="events")["0"]
        >>> layer.input_type, layer["synops_graded"], layer.counts["synops_graded"].tolist()
        ('graded', 24, [6, 6, 6, 6])
    """

    operations: frozenset[str]
    inputs: frozenset[str]
    once: bool
    counts: Mapping[str, torch.Tensor]

    def __getitem__(self, column: str) -> int:
        """Total of a column over the time steps."""
        _known(column)
        return int(self.counts[column].sum()) if column in self.counts else 0

    @property
    def input_type(self) -> str:
        """One word for the inputs; "analog_once" where a constant input is computed once."""
        kinds = "+".join(sorted(self.inputs)) or "none"
        return "analog_once" if self.once and kinds == "analog" else kinds

    def __add__(self, other: LayerCounts) -> LayerCounts:
        counts = dict(self.counts)
        for column, steps in other.counts.items():
            counts[column] = counts[column] + steps if column in counts else steps
        return LayerCounts(
            self.operations | other.operations, self.inputs | other.inputs, self.once or other.once, counts
        )


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

    @classmethod
    def record(
        cls,
        network: nn.Module,
        x: Any,
        *,
        input: InputKind,
        mask: torch.Tensor | None = None,
        strict: bool = False,
    ) -> Ledger:
        """Run a network once and count what it does.

        The network runs in evaluation mode, without gradients, and is left as it was. A module that is no
        :class:`spikesim.nn.Network` counts as a plain ANN with one time step.

        Args:
            network: a ``Network``, or any module without neurons.
            x: its input: ``[T, N, ...]``, or ``[N, ...]`` for a network with an encoder and for a plain module. A
                tree of tensors is taken where the module takes one. Integers are cast to the dtype of the weights.
            input: what the values of ``x`` (after the encoder) are: "analog"; "events", whole counts of which each
                unit is one event; or the ``SpikeType`` that an encoder emits.
            mask: bool ``[T, N]``, True where a step is real; masked steps count nothing.
            strict: refuse networks with operations that no column counts, instead of listing them.

        Returns:
            Integer counts per layer and time step, summed over samples.

        Raises:
            LedgerError: no samples, a value that breaks its declared type, an unpriced operation under
                ``strict``, or rows that cannot be attributed to time steps.
        """
        from spikesim.energy.record import record

        return record(network, x, input, mask, strict)

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
        _known(column)
        total = torch.zeros(self.timesteps, dtype=torch.int64)
        for layer in self.layers.values():
            total += layer.counts.get(column, 0)
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
            LedgerError: different numbers of time steps, or differently declared inputs.
        """
        if (self.timesteps, self.input) != (other.timesteps, other.input):
            raise LedgerError(
                f"ledgers of T = {self.timesteps}, input {self.input!r} and T = {other.timesteps}, input "
                f"{other.input!r} do not add up; record both in the same way"
            )
        layers = dict(self.layers)
        for name, layer in other.layers.items():
            layers[name] = layers[name] + layer if name in layers else layer
        unpriced = dict(self.unpriced)
        for key, count in other.unpriced.items():
            unpriced[key] = unpriced.get(key, 0) + count
        return Ledger(
            self.timesteps, self.samples + other.samples, self.active + other.active, self.input, layers, unpriced
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON."""
        return {
            "timesteps": self.timesteps,
            "samples": self.samples,
            "active": self.active.tolist(),
            "input": self.input,
            "layers": [
                {
                    "name": name,
                    "operations": sorted(layer.operations),
                    "input": layer.input_type,
                    "counts": {c: layer.counts[c].tolist() for c in COLUMNS if layer[c]},
                }
                for name, layer in self.layers.items()
            ],
            "unpriced": [
                {"layer": layer, "operation": operation, "results": count}
                for (layer, operation), count in self.unpriced.items()
            ],
        }


def _known(column: str) -> None:
    if column not in COLUMNS:
        raise LedgerError(f"no column {column!r} in the ledger; it has {', '.join(COLUMNS)}")
