"""Large outputs of kernels from a pool: a buffer whose tensor has died is used again.

A tensor of tens of megabytes comes fresh from the operating system, and the page faults of filling it cost several
times what a fused kernel takes (``docs/performance.md``). The pool keeps such buffers for the next call, without
touching how the rest of the process allocates. It is safe by construction: torch holds a buffer
through an owner object, and only when that owner dies, so when no tensor, view, saved value or NumPy array shares the
storage any more, the buffer comes back. The pool never holds more than was lent out at one time.
"""

from __future__ import annotations

import math
import mmap
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikesim.allocator import SWITCH

# Below this many bytes the C library keeps freed blocks by itself.
SMALLEST = 1 << 20
# A buffer may serve a tensor that fills at least this share of it: the number of time steps varies.
_FILLED = 0.8
_HUGE = 4 << 20
_PAGE = mmap.PAGESIZE


class _Lease(weakref.ref[np.ndarray]):
    """Notices the death of a lent tensor's owner, and knows which buffer it was."""

    __slots__ = ("buffer",)
    buffer: mmap.mmap


class BufferPool:
    """Buffers of this process.

    >>> pool = BufferPool()
    >>> tensor = pool.take((1024, 1024), torch.float32)
    >>> address = tensor.data_ptr()
    >>> del tensor
    >>> pool.take((1024, 1024), torch.float32).data_ptr() == address
    True
    """

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []  # the one returned last stands last
        self._returned: deque[mmap.mmap] = deque()  # by dying tensors, in whatever thread they die
        self._lock = threading.RLock()
        self._leases: dict[int, _Lease] = {}  # a weak reference must itself be alive to be called
        self._lent = self._most_lent = self._waiting = self._made = 0

    def take(self, shape: Sequence[int], dtype: torch.dtype, strides: Sequence[int] | None = None) -> Tensor:
        """Lend an uninitialised tensor.

        Args:
            shape: sizes, at least one element in all.
            dtype: of the tensor.
            strides: of a layout without gaps; None for the contiguous one.
        """
        bytes_ = math.prod(shape) * dtype.itemsize
        with self._lock:
            self._absorb()
            buffer = self._fitting(bytes_)
            self._lent += len(buffer)
            self._most_lent = max(self._most_lent, self._lent)
            self._shrink(self._most_lent)
        owner = np.frombuffer(buffer, np.uint8, bytes_)
        lease = _Lease(owner, self._take_back)
        lease.buffer = buffer
        self._leases[id(buffer)] = lease
        storage = torch.from_numpy(owner).untyped_storage()
        # Not a view of the array's tensor: what a kernel returns may be changed in place.
        strides = _strides(tuple(shape), torch.contiguous_format) if strides is None else strides
        return torch.empty(0, dtype=dtype, device="cpu").set_(storage, 0, tuple(shape), strides)

    def _take_back(self, lease: weakref.ref[np.ndarray]) -> None:
        # In any thread, at any time: nothing here may wait for a lock.
        buffer = lease.buffer  # type: ignore[attr-defined]
        del self._leases[id(buffer)]
        self._returned.append(buffer)

    def release(self) -> int:
        """Hand all buffers that are not lent out back to the operating system.

        Returns:
            Their bytes.
        """
        with self._lock:
            self._absorb()
            freed, self._waiting = self._waiting, 0
            self._free.clear()
            self._most_lent = self._lent
        return freed

    def state(self) -> dict[str, int]:
        """Bytes that are lent out, bytes that wait, and buffers made so far."""
        with self._lock:
            self._absorb()
            return {"lent": self._lent, "free": self._waiting, "made": self._made}

    def forget_lock(self) -> None:
        """After a fork: another thread of the parent may have held it."""
        self._lock = threading.RLock()

    def _absorb(self) -> None:
        while self._returned:
            buffer = self._returned.popleft()
            self._lent -= len(buffer)
            self._waiting += len(buffer)
            self._free.append(buffer)

    def _fitting(self, bytes_: int) -> mmap.mmap:
        best, smallest = -1, bytes_ / _FILLED + 1  # the last of the tightest ones: still in cache
        for index in range(len(self._free) - 1, -1, -1):
            size = len(self._free[index])
            if bytes_ <= size and size < smallest:
                best, smallest = index, size
        if best >= 0:
            self._waiting -= len(self._free[best])
            return self._free.pop(best)
        self._shrink(max(self._most_lent, self._lent + bytes_) - bytes_)
        self._made += 1
        return _map(-(-bytes_ // _PAGE) * _PAGE)

    def _shrink(self, allowed: int) -> None:
        """Let go of the buffers that have waited longest until lent and free bytes fit."""
        while self._free and self._lent + self._waiting > allowed:
            self._waiting -= len(self._free.pop(0))


@lru_cache(maxsize=4096)
def _strides(shape: tuple[int, ...], layout: torch.memory_format) -> tuple[int, ...]:
    return torch.empty(shape, device="meta", memory_format=layout).stride()


def _map(bytes_: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, bytes_)
    # Private: a forked process gets a copy, as of all memory.
    buffer = mmap.mmap(-1, bytes_, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if bytes_ >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            buffer.madvise(mmap.MADV_HUGEPAGE)
    return buffer


POOL = BufferPool()
os.register_at_fork(after_in_child=POOL.forget_lock)


class Room(NamedTuple):
    """A tensor yet to be made: of known size, layout and dtype.

    >>> Room.like(torch.zeros(2, 3)).make(torch.device("cpu")).stride()
    (3, 1)
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype
    large: bool

    @classmethod
    def like(cls, tensor: Tensor) -> Room:
        """Room for another such tensor."""
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.nbytes >= SMALLEST)

    def make(self, device: torch.device) -> Tensor:
        """An uninitialised tensor: from the pool if it is large, else from torch."""
        if self.large and device.type == "cpu" and os.environ.get(SWITCH) != "0":
            return POOL.take(self.shape, self.dtype, self.strides)
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device=device)


def empty(like: Tensor, shape: Sequence[int], dtype: torch.dtype, layout: torch.memory_format) -> Tensor:
    """An uninitialised tensor on the device of ``like``: from the pool if it is large and real, else from torch.

    >>> empty(torch.zeros(2), (3, 4), torch.float32, torch.contiguous_format).shape
    torch.Size([3, 4])
    """
    if (
        type(like) in (Tensor, torch.nn.Parameter)  # a subclass may be a stand-in, without memory or a known size
        and math.prod(shape) * dtype.itemsize >= SMALLEST
        and like.device.type == "cpu"
        and os.environ.get(SWITCH) != "0"
    ):
        return POOL.take(shape, dtype, _strides(tuple(shape), layout))
    return torch.empty(shape, dtype=dtype, device=like.device, memory_format=layout)
