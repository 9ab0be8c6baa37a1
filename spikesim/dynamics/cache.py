"""Compile emitted kernels, and keep them on disk for the next process.

A kernel's file is named by what it was made from: its source (which follows from the recorded
equations), the versions of everything that turns it into machine code, and the processor. It is
written to a temporary name and renamed, so several processes may race. A folder that cannot be
written falls back to memory, with one line in the log.
"""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import logging
import os
import sys
import tempfile
import threading
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import platformdirs
from llvmlite import binding

from spikesim.dynamics.emit import Kernel, emit

logger = logging.getLogger(__name__)
_compiling = threading.RLock()

# OpenMP's barrier costs a tenth of the work queue's, and torch's own thread pool is OpenMP too.
if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
    numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``$SPIKESIM_CACHE_DIR`` or the user's cache folder."""
    return Path(os.environ.get("SPIKESIM_CACHE_DIR") or platformdirs.user_cache_dir("spikesim")) / "kernels"


@lru_cache(maxsize=4096)
def compiled(kernel: Kernel) -> ModuleType:
    """The module that holds ``run`` and ``run_parallel`` of a kernel, compiled on first use."""
    with _compiling:
        source = emit(kernel)
        digest = hashlib.sha256("\n".join([source, *_toolchain()]).encode()).hexdigest()[:32]
        name = f"spikesim_kernel_{digest}"
        if name not in sys.modules:
            try:
                sys.modules[name] = _load(name, _stored(cache_folder() / f"{digest}.py", source))
            except OSError as error:
                _warn_once(str(cache_folder()), str(error))
                sys.modules[name] = compiled_in_memory(kernel)
        return sys.modules[name]


@lru_cache(maxsize=4096)
def compiled_in_memory(kernel: Kernel) -> ModuleType:
    """The same without the disk, for a cache that cannot be written."""
    source = emit(kernel, on_disk=False)
    file = f"<kernel {hashlib.sha256(source.encode()).hexdigest()[:16]}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    module: Any = ModuleType(file)
    module.__file__ = file
    exec(compile(source, file, "exec"), module.__dict__)
    return module


@cache
def _toolchain() -> tuple[str, ...]:
    pointer = Path(__file__).with_name("pointer.py").read_text()
    return (numba.__version__, llvmlite.__version__, binding.get_host_cpu_name(), sys.version, pointer)


def _stored(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(source)
            os.replace(temporary, path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    if not os.access(path.parent, os.W_OK):
        # Numba keeps the machine code beside the source and would fail late if it could not.
        raise PermissionError(f"{path.parent} is read-only")
    return path


@cache
def _warn_once(folder: str, reason: str) -> None:
    logger.warning(
        "kernels are compiled in memory only, since %s cannot be written (%s); set SPIKESIM_CACHE_DIR to a folder "
        "that can",
        folder,
        reason,
    )


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
