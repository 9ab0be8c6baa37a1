"""Call a compiled kernel on tensors: one address per array, threads only where they pay."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from types import ModuleType

import numba
import torch

from spikesim.dynamics.cache import compiled, compiled_in_memory
from spikesim.dynamics.emit import Kernel

# Below this many neuron updates the barrier of a parallel region costs more than it saves.
PARALLEL_FROM = 1 << 15

_parallel_region = threading.Lock()
_forked = False


def _mark_forked() -> None:
    # GNU OpenMP kills a forked process that enters a parallel region: a data worker runs in sequence.
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_mark_forked)


def block_size(neurons: int) -> int:
    """Neurons per block: by shape alone, so that no result depends on the number of threads.

    Long rows keep the hardware prefetcher and the TLB busy; several blocks keep every core busy.

    >>> block_size(100), block_size(1_000_000) % 16
    (1024, 0)
    """
    return min(max(-(-neurons // 16) + 15 & ~15, 1024), 1 << 16)


def launch(
    kernel: Kernel,
    arrays: Sequence[torch.Tensor],
    steps: int,
    neurons: int,
    mask: torch.Tensor | None,
) -> None:
    """Run ``kernel`` in place on ``arrays``, in the order of :func:`spikesim.dynamics.emit.array_names`.

    Args:
        kernel: what to run; compiled on first use.
        arrays: contiguous storage of the kernel's dtype: rows read, rows written, carried, params, sums.
        steps: T.
        neurons: N times the neurons of a sample.
        mask: bool ``[T, N]`` if the kernel is masked.
    """
    if steps == 0 or neurons == 0:
        return
    stride = 0 if kernel.constant else neurons
    samples = mask.shape[1] if mask is not None else 1
    mask_at = mask.data_ptr() if mask is not None else 0
    size = block_size(neurons)
    addresses = [a.data_ptr() for a in arrays]
    threads = torch.get_num_threads()
    sizes = (steps, neurons, stride, samples, size, mask_at)
    parallel = not _forked and threads > 1 and steps * neurons >= PARALLEL_FROM
    try:
        _run(compiled(kernel), parallel, (*sizes, *addresses), threads)
    except OSError:
        # The parallel variant is compiled, and saved, on its first call: the disk may have filled up since.
        _run(compiled_in_memory(kernel), parallel, (*sizes, *addresses), threads)


def _run(module: ModuleType, parallel: bool, arguments: tuple[int, ...], threads: int) -> None:
    if not parallel:
        module.run(*arguments)
        return
    with _parallel_region:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        module.run_parallel(*arguments)
