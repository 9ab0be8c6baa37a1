"""Ledgers made by hand, where a test wants counts that no small network has."""

import torch

from spikesim.energy import LayerCounts, Ledger


def ledger_of(layers, timesteps=1, samples=1):
    """``layers``: name -> (input kinds, column -> counts per sample, which all fall into the first step)."""
    made = {}
    for name, (inputs, columns) in layers.items():
        tables = {}
        for column, counts in columns.items():
            table = torch.zeros(timesteps, samples, dtype=torch.int64)
            table[0] = torch.as_tensor(counts)
            tables[column] = table
        counts = {column: table.sum(1) for column, table in tables.items()}
        made[name] = LayerCounts(frozenset(), frozenset(inputs), False, counts, tables)
    return Ledger(timesteps, samples, torch.full((timesteps,), samples), "events", made)


def spikes_only(synops, **more):
    """One layer on one sample."""
    return ledger_of({"layer": (["binary"], {"synops_binary": synops, **more})})
