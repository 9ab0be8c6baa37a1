"""Compile emitted kernels, and keep them on disk for the next process.

A kernel's file is named by what it was made from: its source (which follows from the recorded
equations), the versions of everything that turns it into machine code, and the processor. It is
written to a temporary name and renamed, so several processes may race. A folder that cannot be
written falls back to memory, with one line in the log.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import linecache
import os
import sys
import threading
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import llvmlite
import numba
from llvmlite import binding

from spikesim.dynamics.disk import cache_folder, digest, store, warn_once
from spikesim.dynamics.emit import emit
from spikesim.dynamics.emit_cuda import emit_cuda
from spikesim.dynamics.plan import Kernel

Machine = Literal["cpu", "cuda"]

_EMITTERS: dict[Machine, Callable[..., str]] = {"cpu": emit, "cuda": emit_cuda}
_HELPERS: dict[Machine, tuple[str, ...]] = {
    "cpu": ("memory", "cpu_math", "counter"),
    "cuda": ("memory", "cuda_math", "counter"),
}

_compiling = threading.RLock()

# OpenMP's barrier costs a tenth of the work queue's, and torch's own thread pool is OpenMP too.
if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
    numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]


@lru_cache(maxsize=4096)
def compiled(kernel: Kernel, machine: Machine = "cpu") -> ModuleType:
    """The module that holds ``run`` (on the CPU ``run_parallel`` too) of a kernel, compiled on first use."""
    return module_on_disk(partial(_EMITTERS[machine], kernel), _HELPERS[machine], machine)


@lru_cache(maxsize=4096)
def compiled_in_memory(kernel: Kernel, machine: Machine = "cpu") -> ModuleType:
    """The same without the disk, for a cache that cannot be written."""
    return module_in_memory(partial(_EMITTERS[machine], kernel))


def module_on_disk(source_of: Callable[..., str], helpers: tuple[str, ...], machine: Machine = "cpu") -> ModuleType:
    """The module of a kernel's source, kept on disk with its machine code.

    Args:
        source_of: writes the source; takes ``on_disk``.
        helpers: modules of ``spikesim.dynamics`` that become part of the machine code.
        machine: what it is compiled for.
    """
    with _compiling:
        source = source_of(on_disk=True)
        made_from = digest(source, *_toolchain(machine, helpers))
        name = f"spikesim_kernel_{made_from}"
        if name not in sys.modules:
            try:
                sys.modules[name] = _load(name, _stored(cache_folder() / f"{made_from}.py", source))
            except OSError as error:
                warn_once(str(cache_folder()), str(error))
                sys.modules[name] = module_in_memory(source_of)
        return sys.modules[name]


def module_in_memory(source_of: Callable[..., str]) -> ModuleType:
    """The module of a kernel's source, compiled anew in every process.

    >>> module_in_memory(lambda on_disk: f"kept = {on_disk}").kept
    False
    """
    source = source_of(on_disk=False)
    file = f"<kernel {digest(source)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    module: Any = ModuleType(file)
    module.__file__ = file
    exec(compile(source, file, "exec"), module.__dict__)
    return module


@cache
def _toolchain(machine: Machine, helpers: tuple[str, ...]) -> tuple[str, ...]:
    texts = [Path(__file__).with_name(f"{n}.py").read_text() for n in helpers]
    # Numba itself tells one GPU's machine code from another's.
    target = binding.get_host_cpu_name() if machine == "cpu" else _version("numba-cuda")
    return (numba.__version__, llvmlite.__version__, target, sys.version, *texts)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _stored(path: Path, source: str) -> Path:
    if not path.exists():
        store(path, source)
    if not os.access(path.parent, os.W_OK):
        # Numba keeps the machine code beside the source and would fail late if it could not.
        raise PermissionError(f"{path.parent} is read-only")
    return path


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except BaseException:
        del sys.modules[name]
        raise
    return module
