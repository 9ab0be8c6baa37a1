"""What a readout costs: one addition per output value and real step (or per spike), nothing for the last step.

The largest value takes comparisons in place of additions. The division of a mean by the number of steps is a constant
that the last weights absorb.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from spikesim.energy.recorder import Recorder
from spikesim.nn import Count, DelayedMean, Last, Max, Mean


def charge_readout(recorder: Recorder, readout: nn.Module, outputs: Any) -> None:
    """Count a readout under the layer name "readout"; an unknown one is listed as unpriced."""
    name = type(readout).__name__
    with recorder.inside("readout"):
        for out in tree_leaves(outputs):
            edge = recorder.edges.get(out) if isinstance(out, torch.Tensor) else None
            if edge is None:
                continue
            recorder.seen(edge, name)
            if not isinstance(readout, (Count, Mean, DelayedMean, Last, Max)):
                recorder.unknown(f"readout {name}", out.numel())
            elif not isinstance(readout, Last):
                added = recorder.arriving(out, edge) if edge.is_spikes else recorder.evenly(out.numel(), edge)
                if isinstance(readout, (Count, DelayedMean)) and readout.delay:
                    added = added.clone()
                    added[: readout.delay] = 0
                recorder.add("op_cmp" if isinstance(readout, Max) else "op_add", added)
