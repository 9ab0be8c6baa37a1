"""Keep the spikes that later layers need for their weight gradients as bits.

A convolution or a linear layer keeps its input until the backward: between neurons that is a float per
spike. While a network with ``pack_spikes=True`` runs, autograd keeps such inputs as bits instead, a 32nd
of the memory in float32, and unpacks them when they are used.
"""

from __future__ import annotations

import weakref
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikesim.dynamics.bits import pack_bits, unpack_bits

# Below it the call costs more than the memory is worth.
_SMALLEST = 1 << 12


@dataclass(frozen=True)
class _Packed:
    """Binary spikes as bits, and what is needed to lay them out again."""

    bits: Tensor
    size: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype


_Layout = tuple[torch.Size, tuple[int, ...]]


class SpikePacker:
    """Knows the spike trains of one call, and packs those that autograd asks to keep.

    >>> packer = SpikePacker()
    >>> x, w = torch.ones(64, 64), torch.ones(64, 64, requires_grad=True)
    >>> packer.add(x)
    >>> with packer.hooks():
    ...     y = x @ w
    >>> packer.packed, bool(torch.autograd.grad(y.sum(), w)[0].eq(64).all())
    (1, True)
    """

    def __init__(self) -> None:
        self._trains: dict[int, tuple[weakref.ref[Tensor], int, dict[_Layout, _Packed]]] = {}
        self.packed = 0

    def add(self, spikes: Tensor) -> None:
        """Remember a tensor that holds nothing but zeros and ones."""
        if spikes.numel() >= _SMALLEST and _dense(spikes):
            address = spikes.untyped_storage().data_ptr()
            self._trains[address] = weakref.ref(spikes), spikes._version, {}

    def hooks(self) -> AbstractContextManager[Any]:
        """Within it autograd keeps these tensors as bits."""
        return torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack)

    def _pack(self, tensor: Tensor) -> Tensor | _Packed:
        address = tensor.untyped_storage().data_ptr()
        train, version, packed = self._trains.get(address, (None, -1, {}))
        # The memory may have gone to another tensor since, or its values may have been changed in place.
        alive = train() if train is not None else None
        if alive is None or tensor._version != version or tensor.numel() != alive.numel() or not _dense(tensor):
            return tensor
        layout = (tensor.shape, tensor.stride())
        if layout not in packed:
            packed[layout] = _Packed(pack_bits(tensor), *layout, tensor.dtype)
            self.packed += 1
        return packed[layout]

    @staticmethod
    def _unpack(kept: Tensor | _Packed) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        like = torch.empty_strided(kept.size, kept.stride, dtype=kept.dtype, device=kept.bits.device)
        return unpack_bits(kept.bits, like)


def _dense(tensor: Tensor) -> bool:
    """Whether a tensor covers its memory without gaps or overlaps, in whatever order."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
