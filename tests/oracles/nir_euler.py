"""What a NIR neuron means, as a loop over neurons and steps: forward Euler of the equations in nir's docstrings."""

from __future__ import annotations

from typing import Any

import numpy as np


def run(node: Any, current: np.ndarray, dt: float) -> np.ndarray:
    """Output ``[T, F]`` of one node with parameters ``[F]`` for the input ``[T, F]``."""
    kind, out = type(node).__name__, np.zeros_like(current, dtype=np.float64)
    for f in range(current.shape[1]):
        p = {k: float(v[f]) for k, v in vars(node).items() if isinstance(v, np.ndarray) and v.ndim == 1}
        v, i = 0.0, 0.0
        for t in range(len(current)):
            x = float(current[t, f])
            if kind in ("CubaLIF", "CubaLI"):
                i += dt / p["tau_syn"] * (-i + p["w_in"] * x)
                v += dt / p["tau_mem"] * (p["v_leak"] - v + p["r"] * i)
            elif kind in ("LIF", "LI"):
                v += dt / p["tau"] * (p["v_leak"] - v + p["r"] * x)
            else:
                v += dt * p["r"] * x
            if "v_threshold" not in p:
                out[t, f] = v
            elif v > p["v_threshold"]:
                out[t, f], v = 1.0, p["v_reset"]
    return out
