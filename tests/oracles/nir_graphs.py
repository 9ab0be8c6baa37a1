"""NIR graphs that spikesim did not write, and signals for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def noise(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype) * 1.5


def foreign(**nodes) -> Any:
    """A chain."""
    import nir

    return nir.NIRGraph(
        {"input": nir.Input(np.array([3])), **nodes, "output": nir.Output(np.array([3]))},
        list(zip(["input", *nodes], [*nodes, "output"])),
        type_check=False,
    )


def lif(**fields) -> Any:
    """Three LIF neurons."""
    import nir

    one = np.ones(3)
    return nir.LIF(**({"tau": 4e-3 * one, "r": one, "v_leak": 0 * one, "v_threshold": one} | fields))
