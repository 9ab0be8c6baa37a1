"""What doctor says about the machine and its software: versions, backends, compile cache, allocator."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

PACKAGES = ("spikesim", "torch", "numba", "llvmlite", "numpy", "snntorch", "tonic", "lightning")
OPTIONAL = ("numba-cuda", "nir", "spikingjelly", "norse", "sinabs", "lava-dl", "triton")
# Of the processor's features, those that the kernels' vector code depends on.
VECTORS = (
    "sse4.2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512vl", "avx512bf16", "avx512fp16", "amx-bf16",
    "neon", "fullfp16", "bf16", "sve", "sve2",
)  # fmt: skip


def versions() -> dict[str, str | None]:
    """Version of Python and of every package that matters; None where one is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in (*PACKAGES, *OPTIONAL):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def backends() -> dict[str, Any]:
    """What kernels can run on here, and what keeps them from running elsewhere."""
    return {"cpu": _cpu(), "cuda": _cuda()}


def kernels_off() -> str | None:
    """Why no kernel is used at all, or None."""
    if os.environ.get("SPIKESIM_DISABLE_JIT") == "1":
        return "SPIKESIM_DISABLE_JIT=1 is set: every neuron runs its equations on tensors, step by step"
    return None


def _cpu() -> dict[str, Any]:
    import numba
    import torch
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return {
        "kernels": kernels_off() is None,
        "processor": _processor(),
        "target": binding.get_host_cpu_name(),
        "vector_extensions": [name for name in VECTORS if features.get(name)],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "numba_threads": int(numba.config.NUMBA_NUM_THREADS),
        "threading_layer": threading_layer(),
    }


def threading_layer() -> str | None:
    """How kernels run in parallel; None before one has."""
    import numba

    try:
        return str(numba.threading_layer())
    except ValueError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _cuda() -> dict[str, Any]:
    import torch

    from spikesim.dynamics.cuda_support import why_not

    found: dict[str, Any] = {"built_for": torch.version.cuda, "device": None, "kernels": False, "reason": None}
    if torch.version.cuda is None:
        return found | {"reason": "this torch is built without CUDA"}
    if not torch.cuda.is_available():
        return found | {"reason": "torch finds no CUDA device"}
    reason = kernels_off() or why_not()
    return found | {"device": torch.cuda.get_device_name(), "kernels": reason is None, "reason": reason}


def cache() -> dict[str, Any]:
    """The folder of compiled kernels: where, whether it can be written, and what it holds."""
    from spikesim.dynamics.disk import cache_folder

    folder = cache_folder()
    reason = _why_not_writable(folder)
    sizes = [entry.stat().st_size for entry in folder.glob("**/*") if entry.is_file()] if reason is None else []
    return {
        "folder": without_home(folder),
        "writable": reason is None,
        "reason": reason,
        "kernels": len(list(folder.glob("*.py"))) if reason is None else 0,
        "bytes": sum(sizes),
    }


def without_home(path: Path) -> str:
    """A path that says nothing about who runs this: the home folder becomes ~.

    >>> without_home(Path.home() / ".cache")
    '~/.cache'
    """
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except ValueError:
        return str(path)


def _why_not_writable(folder: Path) -> str | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


def allocator() -> dict[str, Any]:
    """State of the allocator, without the folder of its library."""
    from spikesim.allocator import allocator_state

    state = allocator_state()
    return state | {"malloc": Path(state["malloc"]).name if state["malloc"] else None}
