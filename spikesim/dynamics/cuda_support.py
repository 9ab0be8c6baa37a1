"""Whether CUDA kernels run here; if they do not, why, said once."""

from __future__ import annotations

import importlib.util
import os
import warnings
from functools import cache

from torch import Tensor

# Under Numba's simulator (NUMBA_ENABLE_CUDASIM=1) CUDA kernels run on tensors of the CPU, for tests.
SIMULATED = os.environ.get("SPIKESIM_SIMULATE_CUDA") == "1" and os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"


def takes_cuda_kernels(x: Tensor) -> bool:
    """Whether a tensor is one for CUDA kernels.

    >>> import torch
    >>> takes_cuda_kernels(torch.zeros(1))
    False
    """
    return x.is_cuda or (SIMULATED and x.device.type == "cpu")


def has_cuda_kernels() -> bool:
    """Whether CUDA kernels can be compiled and run here; the first time that they cannot, a warning says why."""
    if SIMULATED:
        return True
    reason = why_not()
    if reason is not None:
        _warn(reason)
    return reason is None


# What torch.compiler.assume_constant_result does, without importing the compiler: half a second.
has_cuda_kernels._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def why_not() -> str | None:
    """What keeps CUDA kernels from running here, or None.

    >>> from unittest import mock
    >>> with mock.patch("importlib.util.find_spec", lambda name: None):
    ...     why_not.__wrapped__()
    'numba-cuda is not installed: pip install spikesim[cuda]'
    """
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed: pip install spikesim[cuda]"
    try:
        from numba import cuda

        if not cuda.is_available():
            return "numba-cuda finds no CUDA driver; see pip install spikesim[cuda] in docs/cuda.md"
        # Compiled and loaded at once: a toolkit newer than the driver fails here, not in training.
        cuda.jit("void()")(lambda: None)
    except Exception as error:
        text = str(error).strip().splitlines() or [""]
        return (
            f"numba-cuda cannot compile for this device ({type(error).__name__}: {text[0]}); install the toolkit "
            "of the driver's own version, e.g. pip install 'spikesim[cuda]' 'nvidia-nvvm==13.0.*' for CUDA 13.0"
        )
    return None


@cache
def _warn(reason: str) -> None:
    warnings.warn(f"neurons on CUDA take the slow reference path, since {reason}", RuntimeWarning, stacklevel=2)
