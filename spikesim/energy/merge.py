"""Ledgers of batches, and of processes, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.ledger import Ledger
from spikesim.errors import LedgerError


def merged(ledgers: Sequence[Ledger]) -> Ledger:
    """The ledger of all samples, in the order of the ledgers.

    Args:
        ledgers: at least one; of the same network, number of steps and conventions.

    Raises:
        LedgerError: there is none, or they were recorded in different ways.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, merged
        >>> layer, x = torch.nn.Linear(3, 5), torch.rand(4, 3)
        >>> parts = [Ledger.record(layer, part, input="analog") for part in x.split(1)]
        >>> merged(parts).total() == Ledger.record(layer, x, input="analog").total()
        True
    """
    if not ledgers:
        raise LedgerError("there is no ledger to merge; record at least one batch")
    first = ledgers[0]
    for other in ledgers[1:]:
        _same_way(first, other)
    layers: dict[str, LayerCounts] = {}
    for ledger in ledgers:
        layers.update({name: layer for name, layer in ledger.layers.items() if name not in layers})
    unpriced: dict[tuple[str, str], int] = {}
    for ledger in ledgers:
        for key, count in ledger.unpriced.items():
            unpriced[key] = unpriced.get(key, 0) + count
    return replace(
        first,
        samples=sum(ledger.samples for ledger in ledgers),
        active=torch.stack([ledger.active for ledger in ledgers]).sum(0),
        layers={name: _layer(name, ledgers) for name in layers},
        unpriced=unpriced,
    )


def gathered(ledger: Ledger, group: Any = None) -> Ledger:
    """The ledger of all processes of a ``torch.distributed`` group, the same in each, samples in the order of ranks.

    A sampler that fills the last batch up with repeated samples has them counted twice: leave it off
    (``DistributedSampler(drop_last=True)``, or none).

    Args:
        ledger: what this process recorded.
        group: a process group; None for all processes. Without ``torch.distributed`` the ledger is given back.

    Raises:
        LedgerError: the processes recorded in different ways.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, gathered
        >>> ledger = Ledger.record(torch.nn.Linear(2, 2), torch.ones(1, 2), input="analog")
        >>> gathered(ledger) is ledger
        True
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return ledger
    parts: list[Ledger | None] = [None] * distributed.get_world_size(group)
    distributed.all_gather_object(parts, ledger, group=group)
    return merged([part for part in parts if part is not None])


def _same_way(first: Ledger, other: Ledger) -> None:
    ours, theirs = (
        f"T = {one.timesteps}{_some(one)}, input {one.input!r}, connections {one.connections!r}"
        for one in (first, other)
    )
    if ours != theirs:
        raise LedgerError(f"ledgers of {ours} and {theirs} do not add up; record both in the same way")


def _some(ledger: Ledger) -> str:
    start, stop = ledger.counted or (0, ledger.timesteps)
    return "" if (start, stop) == (0, ledger.timesteps) else f" (the readout takes steps {start + 1} to {stop})"


def _layer(name: str, ledgers: Sequence[Ledger]) -> LayerCounts:
    """One layer over all ledgers; where it did not run it counts nothing."""
    parts = [ledger.layers.get(name) for ledger in ledgers]
    ran = [part for part in parts if part is not None]
    columns = dict.fromkeys(column for part in ran for column in part.counts)
    tables = {}
    for column in columns:
        rows = [_table(part, column, ledger) for part, ledger in zip(parts, ledgers)]
        known = [row for row in rows if row is not None]
        if len(known) == len(rows):
            tables[column] = torch.cat(known, 1)
    return replace(
        ran[0],
        operations=frozenset().union(*(part.operations for part in ran)),
        inputs=frozenset().union(*(part.inputs for part in ran)),
        once=any(part.once for part in ran),
        counts={c: torch.stack([part.counts[c] for part in ran if c in part.counts]).sum(0) for c in columns},
        tables=tables,
        state_bytes=max(part.state_bytes for part in ran),
        largest_spike=max(part.largest_spike for part in ran),
    )


def _table(part: LayerCounts | None, column: str, ledger: Ledger) -> torch.Tensor | None:
    if part is None or column not in part.counts:
        return torch.zeros((ledger.timesteps, ledger.samples), dtype=torch.int64)
    return part.tables.get(column)
