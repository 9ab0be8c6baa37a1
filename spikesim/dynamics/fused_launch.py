"""Compile fused layer kernels, decide how a call is cut into tiles, and hand it to threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from types import ModuleType

import torch
from torch import Tensor

from spikesim.dynamics.cache import module_in_memory, module_on_disk
from spikesim.dynamics.fused_emit import emit_fused
from spikesim.dynamics.fused_norm import NormKernel, emit_norm
from spikesim.dynamics.fused_plan import FusedKernel
from spikesim.dynamics.launch import STREAM_FROM, run_blocks
from spikesim.dynamics.memory import LANES, LINE

# Values of a chunk: what passes between batch-norm, neuron and pool stays in the first-level cache.
CHUNK = 1024

# Neurons of a tile: long rows keep the hardware prefetcher and the TLB busy.
TILE = 1 << 14

# An input of this many bytes is no longer in a last-level cache when it is read again.
FAR_FROM = 1 << 24

# Values of a tile of the passes that only read and write: a worker's share of them is walked in one go.
STRETCH = 1 << 16


@dataclass(frozen=True)
class Shape:
    """Sizes of a channels-last input ``[T*N, C, H, W]``.

    Args:
        steps: T.
        samples: N.
        channels: C.
        height: H.
        width: W.
    """

    steps: int
    samples: int
    channels: int
    height: int
    width: int

    @property
    def neurons(self) -> int:
        """Neurons of one time step."""
        return self.samples * self.channels * self.height * self.width


def tiling(shape: Shape, pooled: bool) -> tuple[int, int, int]:
    """Values per chunk, size of a tile (pairs of lines if pooled, else neurons) and number of tiles: by shape alone.

    >>> tiling(Shape(16, 4, 128, 64, 64), pooled=True)
    (1024, 1, 128)
    """
    line = shape.width * shape.channels
    # At least sixteen tiles, so that the cores share evenly; a sixteenth may still be one pair of lines.
    wanted = min(TILE, max(shape.neurons // 16, 1))
    if pooled:
        pairs = shape.samples * ((shape.height + 1) // 2)
        row = min(
            max(CHUNK // (2 * shape.channels), 1) * 2 * shape.channels, (shape.width + 1) // 2 * 2 * shape.channels
        )
        size = max(wanted // (2 * line), 1)
        return row, size, -(-pairs // size)
    row = max(CHUNK // shape.channels, 1) * shape.channels
    size = max(wanted // row, 1) * row
    return row, size, -(-shape.neurons // size)


def launch_fused(kernel: FusedKernel, shape: Shape, arrays: Sequence[Tensor]) -> None:
    """Run a fused kernel on ``arrays``, in the order of :func:`spikesim.dynamics.fused_plan.fused_arrays`."""
    row, size, tiles = tiling(shape, kernel.pool != "none")
    updates = shape.steps * shape.neurons
    workers = min(torch.get_num_threads(), tiles)
    far = int(updates * arrays[0].element_size() >= FAR_FROM)
    streamed = int(_streams(kernel, shape, arrays))
    extent = (shape.steps, shape.samples, shape.height, shape.width, shape.channels)
    sizes = (*extent, row, size, far, streamed, tiles, workers)
    _run(kernel, sizes, arrays, updates)


def _streams(kernel: FusedKernel, shape: Shape, arrays: Sequence[Tensor]) -> bool:
    """Whether the rows that are written are large, and so placed that they can go round the cache."""
    written = arrays[1] if kernel.mode == "forward" else arrays[2]
    large = written.numel() * written.element_size() >= STREAM_FROM
    return large and shape.channels % LANES == 0 and written.data_ptr() % LINE == 0


def launch_norm(
    kernel: NormKernel, count: int, channels: int, tiles: tuple[int, int], arrays: Sequence[Tensor]
) -> None:
    """Run a kernel of the batch-norm over ``count`` values.

    Args:
        kernel: what to run.
        count: pixels times channels.
        channels: C.
        tiles: values per tile, and number of tiles; see :func:`stretches`.
        arrays: as the kernel takes them.
    """
    # The statistics take four rows at a time.
    row = max((CHUNK // 4 if kernel.part == "statistics" else CHUNK) // channels, 1) * channels
    workers = min(torch.get_num_threads(), tiles[1])
    _run(kernel, (count, channels, row, *tiles, workers), arrays, count)


def stretches(count: int, channels: int) -> tuple[int, int]:
    """Values per tile of whole chunks, and number of tiles.

    >>> stretches(1 << 20, 128)
    (65536, 16)
    """
    row = max(CHUNK // channels, 1) * channels
    size = max(STRETCH // row, 1) * row
    return size, -(-count // size)


def _run(kernel: FusedKernel | NormKernel, sizes: tuple[int, ...], arrays: Sequence[Tensor], updates: int) -> None:
    arguments = (*sizes, *[a.data_ptr() for a in arrays])
    try:
        run_blocks(_compiled(kernel), arguments, updates)
    except OSError:
        # A function is compiled, and saved, on its first call: the disk may have filled up since.
        run_blocks(_compiled_in_memory(kernel), arguments, updates)


def _source(kernel: FusedKernel | NormKernel, on_disk: bool) -> str:
    return emit_fused(kernel, on_disk) if isinstance(kernel, FusedKernel) else emit_norm(kernel, on_disk)


@lru_cache(maxsize=4096)
def _compiled(kernel: FusedKernel | NormKernel) -> ModuleType:
    return module_on_disk(partial(_source, kernel), ("memory", "cpu_math", "counter", "fused_rows"))


@lru_cache(maxsize=4096)
def _compiled_in_memory(kernel: FusedKernel | NormKernel) -> ModuleType:
    return module_in_memory(partial(_source, kernel))
