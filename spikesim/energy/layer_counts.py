"""Counts of one layer, per time step and per sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from spikesim.energy.columns import COLUMNS
from spikesim.energy.geometry import Geometry
from spikesim.errors import LedgerError


@dataclass(frozen=True)
class LayerCounts:
    """Counts of one layer.

    Args:
        operations: names of the operations that ran in it.
        inputs: kinds of its inputs: "analog", "binary", "signed", "graded", "multibit".
        once: whether it ran once for all time steps on a constant input; its counts stand at step 0.
        counts: int64 ``[T]`` per column of :data:`spikesim.energy.COLUMNS`, summed over samples; a column that is
            absent is 0.
        tables: the same per sample, int64 ``[T, N]``; a column that is in ``counts`` alone could not be attributed to
            samples.
        params: numbers that the layer itself owns and trains.
        weights: those of them that connect two neurons: biases and norms left out.
        zero_weights: weights that are zero.
        state_bytes: bytes of the states of its neurons, for one sample.
        geometry: sizes of a convolution or linear layer that ran in it, if any did.
        largest_spike: units of the largest spike that its neurons can send in one step, 1 for a binary one, and
            where no neuron runs in it.
        event: what one event is worth among the values that reach its weights; None where that is no single number.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> net = Network(torch.nn.Sequential(torch.nn.Linear(2, 3), IF()))
        >>> ledger = Ledger.record(net, torch.ones(4, 1, 2), input="events")
        >>> layer = ledger["0"]
        >>> layer.input_type, layer["synops_graded"], layer.counts["synops_graded"].tolist()
        ('graded', 24, [6, 6, 6, 6])
        >>> layer.per_sample("synops_graded").tolist(), layer.params, ledger["1"].state_bytes
        ([24], 9, 12)
    """

    operations: frozenset[str]
    inputs: frozenset[str]
    once: bool
    counts: Mapping[str, torch.Tensor]
    tables: Mapping[str, torch.Tensor] = field(default_factory=dict)
    params: int = 0
    weights: int = 0
    zero_weights: int = 0
    state_bytes: int = 0
    geometry: Geometry | None = None
    largest_spike: int = 1
    event: float | None = None

    def __getitem__(self, column: str) -> int:
        """Total of a column over the time steps."""
        known(column)
        return int(self.counts[column].sum()) if column in self.counts else 0

    @property
    def input_type(self) -> str:
        """One word for the inputs; "analog_once" where a constant input is computed once."""
        kinds = "+".join(sorted(self.inputs)) or "none"
        return "analog_once" if self.once and kinds == "analog" else kinds

    def computed_once(self) -> LayerCounts:
        """The counts of the first step alone, for a layer whose input stays the same."""

        def first(steps: torch.Tensor) -> torch.Tensor:
            return torch.cat([steps[:1], torch.zeros_like(steps[1:])])

        counts = {column: first(steps) for column, steps in self.counts.items()}
        tables = {column: first(steps) for column, steps in self.tables.items()}
        return replace(self, once=True, counts=counts, tables=tables)

    def until(self, step: int) -> LayerCounts:
        """The counts of the first steps alone."""
        counts = {column: steps[:step] for column, steps in self.counts.items()}
        return replace(self, counts=counts, tables={column: table[:step] for column, table in self.tables.items()})

    def per_sample(self, column: str) -> torch.Tensor:
        """A column summed over the time steps, int64 ``[samples]``.

        Raises:
            LedgerError: it was not attributed to samples.
        """
        return self.per_step_and_sample(column).sum(0)

    def per_step_and_sample(self, column: str) -> torch.Tensor:
        """A column, int64 ``[T, samples]``.

        Raises:
            LedgerError: it was not attributed to samples.
        """
        known(column)
        if column in self.tables:
            return self.tables[column]
        if column not in self.counts and self.tables:
            return torch.zeros_like(next(iter(self.tables.values())))
        raise LedgerError(
            f"{column} was not attributed to samples: the operation mixes the axis of the samples with another; keep "
            "it apart, or record one sample at a time"
        )


def known(column: str) -> None:
    """Raise LedgerError unless the ledger has such a column."""
    if column not in COLUMNS:
        raise LedgerError(f"no column {column!r} in the ledger; it has {', '.join(COLUMNS)}")
