"""How memory is allocated: keep freed memory instead of fetching every large tensor anew.

glibc takes a large block fresh from the operating system and hands it back when it is freed, so a
training step pays a page fault for every 4 KiB of its activations, at every step. That costs several
times what a fused kernel takes to fill them. Three remedies, measured in ``docs/performance.md``:

- the outputs of kernels come from a *pool* of their own (:mod:`spikesim.dynamics.pool`), always;
- *huge pages* (:func:`request_huge_pages`): torch asks for pages of 2 MiB, hence far fewer faults, at no
  cost in memory. Torch reads its setting once, so it must be set before torch is used. The command does so;
- *keeping* (:func:`tune_allocator`): freed blocks stay with the process and are used again. No faults
  remain, but gaps between blocks cost memory. A training run does so while memory is plentiful.

``SPIKESIM_TUNE_ALLOCATOR=0`` turns all three off. Only the standard library is imported here: the
command needs this before torch.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

SWITCH = "SPIKESIM_TUNE_ALLOCATOR"
HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # read by torch at its first tensor
_THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")

# malloc.h; all values are C ints, and -1 becomes the largest size_t: no block is mapped, nothing trimmed.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_UNLIMITED = -1
# Where glibc's own adaptation of its thresholds ends on 64-bit machines, and its default count of mappings.
_ADAPTED = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20, _MMAP_MAX: 65536}
_ENVIRONMENT = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_")


@dataclass(frozen=True)
class Tuning:
    """What a call did.

    Args:
        applied: whether the setting is in force through spikesim.
        reason: why, or why not, in one sentence.
        settings: what was set, by its name in the C library or the environment.
    """

    applied: bool
    reason: str
    settings: dict[str, int | str] = field(default_factory=dict)


_tuned: Tuning | None = None


def tune_allocator() -> Tuning:
    """Let the process keep the memory that it frees, so that a training step causes no page faults.

    Sets glibc's ``M_MMAP_THRESHOLD`` and ``M_TRIM_THRESHOLD`` (mallopt(3)) for the whole process and all
    libraries in it. Calling it again changes nothing. It does nothing, and says so, where malloc is
    not glibc's (macOS, Windows, musl, a preloaded jemalloc or tcmalloc), where the environment sets the
    allocator already, and under ``SPIKESIM_TUNE_ALLOCATOR=0``.

    The price is memory: what a process has once used stays with it, and gaps between blocks add to it
    (a third to all of a training step's peak once more, in ``docs/performance.md``; several times more for
    blocks of random size and lifetime). :func:`release_memory` hands free memory back once, and
    :func:`restore_allocator` undoes the setting. Blocks above 64 MiB that are allocated outside the main thread are
    kept only with ``MALLOC_ARENA_MAX=1`` in the environment.

    Returns:
        What was done, or why nothing was.

    Example:
        >>> import spikesim
        >>> tuning = spikesim.tune_allocator()
        >>> tuning == spikesim.tune_allocator()
        True
    """
    global _tuned
    if _tuned is not None:
        return _tuned
    if (refusal := _refusal()) is not None:
        return Tuning(False, refusal)
    libc = ctypes.CDLL(None)
    settings: dict[str, int | str] = {}
    if libc.mallopt(_MMAP_THRESHOLD, _UNLIMITED):
        settings["M_MMAP_THRESHOLD"] = _UNLIMITED
    elif libc.mallopt(_MMAP_MAX, 0):  # before glibc 2.35 a threshold above 32 MiB is refused
        settings["M_MMAP_MAX"] = 0
    if libc.mallopt(_TRIM_THRESHOLD, _UNLIMITED):
        settings["M_TRIM_THRESHOLD"] = _UNLIMITED
    if len(settings) < 2:
        return Tuning(False, f"glibc {glibc_version()} refused the settings", settings)
    _tuned = Tuning(True, "freed memory stays with the process", settings)
    logger.info("allocator: %s (%s=0 turns this off)", _tuned.reason, SWITCH)
    return _tuned


def restore_allocator() -> bool:
    """Undo :func:`tune_allocator`, and hand all free memory back to the operating system.

    The adaptive thresholds of glibc cannot be switched on again; they are set to where they adapt to at most. Gaps
    that the heap already has are still filled first.

    Returns:
        Whether there was something to undo.

    Example:
        >>> from spikesim.allocator import allocator_state, restore_allocator
        >>> _ = restore_allocator()
        >>> allocator_state()["tuned"]
        False
    """
    global _tuned
    if _tuned is None:
        return False
    libc = ctypes.CDLL(None)
    for parameter, value in _ADAPTED.items():
        libc.mallopt(parameter, value)
    _tuned = None
    release_memory()
    return True


def release_memory() -> bool:
    """Hand free memory back to the operating system once: that of the pool, and glibc's by malloc_trim(3).

    It takes about 0.1 s per GiB.

    Returns:
        Whether the C library could take part.
    """
    if (pool := _pool()) is not None:
        pool.release()
    if glibc_version() is None:
        return False
    ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
    return True


def request_huge_pages() -> Tuning:
    """Let torch ask for huge pages, if it has not been imported yet and the kernel grants them on request.

    Sets ``THP_MEM_ALLOC_ENABLE`` in this process's environment, unless it is set already.

    Example:
        >>> import torch
        >>> from spikesim.allocator import request_huge_pages
        >>> request_huge_pages().applied  # torch is here already
        False
    """
    mode = huge_page_mode()
    if os.environ.get(SWITCH) == "0":
        return Tuning(False, f"{SWITCH}=0")
    if HUGE_PAGES in os.environ:
        return Tuning(False, f"{HUGE_PAGES} is set in the environment")
    if "torch" in sys.modules:
        return Tuning(False, f"torch is imported already; set {HUGE_PAGES}=1 in the environment")
    if mode not in ("madvise", "always"):
        return Tuning(False, f"transparent huge pages are {mode or 'unknown'} on this machine")
    os.environ[HUGE_PAGES] = "1"
    return Tuning(True, "torch asks for huge pages", {HUGE_PAGES: "1"})


def allocator_state() -> dict[str, Any]:
    """What is in force in this process, as plain values for a report.

    Returns:
        ``glibc`` (version or None), ``malloc`` (the library that it comes from), ``tuned`` (whether
        :func:`tune_allocator` is in force), ``settings`` (what it set), ``refusal`` (why it would do nothing, or
        None), ``environment`` (the variables that bear on it), ``huge_pages`` (the kernel's setting, or None) and
        ``huge_pages_requested`` (whether torch asks for them), and ``pool`` (bytes lent out and free; None before the
        first kernel).

    Example:
        >>> from spikesim.allocator import allocator_state
        >>> sorted(allocator_state())[:3]
        ['environment', 'glibc', 'huge_pages']
    """
    watched = (*_ENVIRONMENT, "MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD", HUGE_PAGES, SWITCH)
    return {
        "glibc": glibc_version(),
        "malloc": malloc_library(),
        "tuned": _tuned is not None,
        "settings": dict(_tuned.settings) if _tuned is not None else {},
        "refusal": None if _tuned is not None else _refusal(),
        "environment": {name: os.environ[name] for name in watched if name in os.environ},
        "huge_pages": huge_page_mode(),
        "huge_pages_requested": os.environ.get(HUGE_PAGES) == "1",
        "pool": None if (pool := _pool()) is None else pool.state(),
    }


def _pool() -> Any:
    """The pool of kernel outputs, if kernels have been imported: this module must not import torch."""
    return getattr(sys.modules.get("spikesim.dynamics.pool"), "POOL", None)


def _refusal() -> str | None:
    """Why the allocator is left alone, or None."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0"
    if glibc_version() is None:
        return "the C library is not glibc"
    name = Path(malloc_library() or "").name
    # In an executable at a fixed address malloc may seem to come from the executable itself: that is glibc's still.
    if ".so" in name and not name.startswith(("libc.", "libc-")):
        return f"malloc comes from {name}, not from glibc"
    if given := [name for name in _ENVIRONMENT if name in os.environ]:
        return f"{', '.join(given)} set in the environment"
    if "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", ""):
        return "GLIBC_TUNABLES sets malloc in the environment"
    return None


def glibc_version() -> str | None:
    """The version of glibc in this process, or None where the C library is another."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        version = ctypes.CDLL(None).gnu_get_libc_version
    except AttributeError:  # musl
        return None
    version.restype = ctypes.c_char_p
    return str(version().decode())


class _SymbolInfo(ctypes.Structure):
    _fields_ = [
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    ]


def malloc_library() -> str | None:
    """The file that ``malloc`` comes from: a preloaded allocator takes glibc's place. None if unknown."""
    if glibc_version() is None:
        return None
    process, info = ctypes.CDLL(None), _SymbolInfo()
    process.dladdr.argtypes = [ctypes.c_void_p, ctypes.POINTER(_SymbolInfo)]
    found = process.dladdr(ctypes.cast(process.malloc, ctypes.c_void_p), ctypes.byref(info))
    return os.fsdecode(info.file) if found and info.file else None


def huge_page_mode() -> str | None:
    """The kernel's setting for transparent huge pages: "always", "madvise", "never", or None."""
    try:
        text = _THP.read_text()
    except OSError:
        return None
    return text.partition("[")[2].partition("]")[0] or None
