"""Launch a compiled CUDA kernel on tensors: on torch's current stream, without copies, without waiting.

Every argument is an integer: sizes, strides and addresses. Memory comes from torch's allocator and is used on
the stream on which torch would use it, so it may be freed as soon as the launch returns, and a launch may be
captured in a CUDA graph once its kernel has been compiled by an earlier call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from spikesim.dynamics.cache import compiled, compiled_in_memory
from spikesim.dynamics.cuda_support import SIMULATED
from spikesim.dynamics.emit_cuda import scratch_of
from spikesim.dynamics.launch import Extent
from spikesim.dynamics.plan import Kernel, plan_of
from spikesim.errors import DeviceError

THREADS = 16 if SIMULATED else 128  # per block

# Bytes of the scratch of a kernel that recomputes: what a second-level cache holds of it need not go to memory.
SCRATCH = 1 << 25
_FEWEST_LANES = 512  # threads per multiprocessor that such a kernel gets however much each of them keeps


def launch_cuda(
    kernel: Kernel,
    extent: Extent,
    arrays: Sequence[Tensor],
    mask: Tensor | None = None,
    clock: Tensor | None = None,
) -> None:
    """Run ``kernel`` in place on ``arrays``, in the order of :func:`spikesim.dynamics.plan.arrays_of`.

    Args:
        kernel: what to run; compiled on first use.
        extent: sizes and strides.
        arrays: storage of the kernel's dtypes, on one device.
        mask: bool ``[T, N]`` if the kernel is masked.
        clock: int64 ``[2]`` if the kernel draws random numbers.

    Raises:
        DeviceError: the arrays lie on several devices.
    """
    neurons = extent.samples * extent.features
    if extent.steps * neurons == 0:
        return
    given = [*arrays, *(t for t in (mask, clock) if t is not None)]
    device = _common_device(given)
    scratch = _scratch(kernel, extent, neurons, device)
    threads = neurons if scratch is None else scratch.shape[1]
    blocks = -(-threads // THREADS)
    sizes = (extent.steps, extent.samples, extent.features, extent.time_stride, extent.sample_stride)
    if SIMULATED:
        _simulate(kernel, blocks, [*sizes, *map(_flat, (mask, clock, scratch)), *map(_flat, arrays)])
        return
    with torch.cuda.device(device):
        addresses = [0 if t is None else t.data_ptr() for t in (mask, clock, scratch)]
        numbers = (*sizes, *addresses, *[a.data_ptr() for a in arrays])
        stream = torch.cuda.current_stream().cuda_stream
        try:
            _configured(compiled, kernel, blocks, stream, device)(*numbers)
        except OSError:
            # A kernel is compiled, and saved, on its first launch: the disk may have filled up since.
            _configured(compiled_in_memory, kernel, blocks, stream, device)(*numbers)


def _common_device(tensors: Sequence[Tensor]) -> torch.device:
    devices = {t.device for t in tensors}
    if len(devices) > 1:
        raise DeviceError(
            f"a neuron's input, parameters, states and mask lie on {' and '.join(sorted(map(str, devices)))}, but a "
            "kernel runs on one device; move the network and its input there, e.g. net.to(x.device)"
        )
    return tensors[0].device


def _scratch(kernel: Kernel, extent: Extent, neurons: int, device: torch.device) -> Tensor | None:
    """``[values, threads]`` for a kernel that recomputes: as many threads as fit, in turn for all neurons."""
    if not kernel.recompute:
        return None
    values = max(len(scratch_of(kernel)) * extent.steps * plan_of(kernel).substeps, 1)
    dtype = getattr(torch, kernel.dtype)
    lanes = max(SCRATCH // (values * dtype.itemsize), _FEWEST_LANES * _multiprocessors(device))
    whole = -(-min(lanes, neurons) // THREADS) * THREADS
    return torch.empty(values, whole, dtype=dtype, device=device)


@lru_cache(maxsize=64)
def _multiprocessors(device: torch.device) -> int:
    return 0 if SIMULATED else torch.cuda.get_device_properties(device).multi_processor_count


@lru_cache(maxsize=4096)
def _configured(compiler: Callable[..., Any], kernel: Kernel, blocks: int, stream: int, device: torch.device) -> Any:
    """The kernel, ready to be called on a stream of the current device."""
    from numba import cuda

    on = cuda.external_stream(stream) if stream else 0
    with warnings.catch_warnings():
        # A small layer fills no GPU, and there is nothing that a user could do about it.
        warnings.filterwarnings("ignore", message="Grid size .* under-utilization")
        return compiler(kernel, "cuda").run[blocks, THREADS, on]


def _simulate(kernel: Kernel, blocks: int, arguments: list[Any]) -> None:
    with warnings.catch_warnings():
        # What overflows to infinity on a GPU is announced by NumPy.
        warnings.simplefilter("ignore", RuntimeWarning)
        compiled(kernel, "cuda").run[blocks, THREADS](*arguments)


def _flat(tensor: Tensor | None) -> Any:
    """A tensor's memory as a NumPy array, half precision as its bits."""
    if tensor is None:
        return 0
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride())) + 1
    memory = tensor.detach().as_strided((reach,), (1,))
    return (memory.view(torch.uint16) if memory.dtype.itemsize == 2 else memory).numpy()
