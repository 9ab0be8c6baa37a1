"""Call a compiled CPU kernel on tensors: one address per array, threads only where they pay."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numba
import torch

from spikesim.dynamics.cache import compiled, compiled_in_memory
from spikesim.dynamics.memory import LANES, LINE
from spikesim.dynamics.plan import Kernel, arrays_of, plan_of

# Below this many neuron updates the barrier of a parallel region costs more than it saves.
PARALLEL_FROM = 1 << 15

# Rows of this many bytes or more go round the cache: nothing of them would be left there for a reader.
STREAM_FROM = 1 << 22

# Values of all rows that a step of a block touches: a second-level cache of one megabyte.
_CACHED = 1 << 18

# Values that a block which recomputes its forward may keep: half of a second-level cache.
_SCRATCH = 1 << 17

_parallel_region = threading.Lock()
_forked = False


def _mark_forked() -> None:
    # GNU OpenMP does not survive a fork: a parallel region kills the process, or never ends.
    global _forked
    _forked = True


def settle_fork() -> None:
    """In a forked process: everything in sequence from now on, torch's own operations around the kernels as well."""
    if _forked and not torch.compiler.is_compiling() and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


os.register_at_fork(after_in_child=_mark_forked)


class Extent(NamedTuple):
    """How much a kernel call covers, and how its outermost array lies in memory.

    Args:
        steps: T.
        samples: number of stretches of ``features`` neurons that a block must not cross: N if samples differ in
            mask or stride, else 1.
        features: neurons per stretch.
        time_stride: elements from one time step of ``x`` (or of ``grad_out``) to the next; 0 if it is constant.
        sample_stride: elements from one sample of it to the next.
    """

    steps: int
    samples: int
    features: int
    time_stride: int
    sample_stride: int


def block_size(neurons: int, rows: int = 4) -> int:
    """Neurons per block: by shape alone, so that no result depends on the number of threads.

    Long rows keep the hardware prefetcher and the TLB busy; several blocks keep every core busy; all rows that a step
    touches stay in a second-level cache until the next step.

    Args:
        neurons: that a block may hold at most.
        rows: values that a step reads or writes for each of them.

    >>> block_size(100), block_size(1_000_000) % 32, block_size(1_000_000, 16)
    (1024, 0, 16384)
    """
    cached = max(_CACHED // rows & -LANES, 1024)
    return min(max(-(-neurons // 16) + LANES - 1 & -LANES, 1024), cached)


def _recomputing_size(kernel: Kernel, extent: Extent) -> int:
    again = plan_of(kernel).again
    kept = len(again.writes) if again is not None else 1
    per_neuron = max(kept, 1) * extent.steps * (again.substeps if again is not None else 1)
    return max(min(_SCRATCH // per_neuron & -LANES, block_size(extent.features, _rows(kernel))), 64)


def _rows(kernel: Kernel) -> int:
    arrays = arrays_of(kernel)
    return len(arrays.names) - sum(kernel.uniform)


def _streams(kernel: Kernel, extent: Extent) -> bool:
    """Whether written rows are so large, and so cut, that they can go round the cache."""
    plan = plan_of(kernel)
    itemsize = getattr(torch, kernel.dtype_of(arrays_of(kernel).reads[0])).itemsize
    large = extent.steps * extent.samples * extent.features * itemsize >= STREAM_FROM
    return large and plan.substeps == 1 and bool(plan.writes) and extent.features % LANES == 0


class Launch:
    """A kernel over one extent: what follows from sizes is worked out once, for all calls.

    Args:
        kernel: what to run; compiled on first use.
        extent: sizes and strides.

    Attributes:
        blocks: in how many the neurons are walked.
    """

    __slots__ = ("_kernel", "_ready", "_sizes", "_streamed", "_updates", "_written", "blocks")

    def __init__(self, kernel: Kernel, extent: Extent) -> None:
        features = extent.features
        size = _recomputing_size(kernel, extent) if kernel.recompute else block_size(features, _rows(kernel))
        self.blocks = extent.samples * -(-features // size)
        self._kernel = kernel
        self._sizes = (*extent, size)
        self._updates = extent.steps * extent.samples * extent.features
        first = len(arrays_of(kernel).reads)
        self._written = slice(first, first + len(plan_of(kernel).writes))
        self._streamed = _streams(kernel, extent)
        self._ready: dict[bool, Any] = {}

    def __call__(
        self, arrays: Sequence[torch.Tensor], mask: torch.Tensor | None = None, clock: torch.Tensor | None = None
    ) -> None:
        """Run in place on ``arrays``, in the order of :func:`spikesim.dynamics.plan.arrays_of`.

        Args:
            arrays: storage of the kernel's dtypes.
            mask: bool ``[T, N]`` if the kernel is masked.
            clock: int64 ``[2]`` if the kernel draws random numbers.
        """
        if self._updates == 0:
            return
        addresses = [a.data_ptr() for a in arrays]
        streamed = self._streamed and not any(a % LINE for a in addresses[self._written])
        arguments = (
            *self._sizes,
            0 if mask is None else mask.data_ptr(),
            0 if clock is None else clock.data_ptr(),
            *addresses,
        )
        module = self._ready.get(streamed)
        if module is not None:
            run_blocks(module, arguments, self._updates)
            return
        kernel = replace(self._kernel, streamed=True) if streamed else self._kernel
        try:
            module = compiled(kernel)
            run_blocks(module, arguments, self._updates)
        except OSError:
            # A function is compiled, and saved, on its first call: the disk may have filled up since.
            module = compiled_in_memory(kernel)
            run_blocks(module, arguments, self._updates)
        self._ready[streamed] = module


def run_blocks(kernel: Any, arguments: tuple[int, ...], updates: int) -> None:
    """Call the form of a kernel that pays for this many updates.

    Args:
        kernel: an object with ``run`` and ``run_parallel``.
        arguments: what both are called with.
        updates: how much work there is, in neuron updates.
    """
    threads = torch.get_num_threads()
    if _forked or threads == 1 or updates < PARALLEL_FROM:
        kernel.run(*arguments)
        return
    with _parallel_region:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        kernel.run_parallel(*arguments)
        if torch.get_num_threads() != threads:
            # The first parallel region of Numba's own pool resets OpenMP's number of threads, which is torch's too.
            torch.set_num_threads(threads)
