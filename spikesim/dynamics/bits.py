"""Binary spikes as bits: an eighth of a byte each, wherever only their pattern must be remembered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numba import carray, njit, prange
from torch import Tensor

from spikesim.dynamics.launch import run_blocks
from spikesim.dynamics.memory import pointer
from spikesim.errors import ConfigError

# Bit pattern of the number one, by dtype: a spike is one or nothing.
_ONE = {torch.float64: 0x3FF0000000000000, torch.float32: 0x3F800000, torch.float16: 0x3C00, torch.bfloat16: 0x3F80}
_WHOLE = {8: np.uint64, 4: np.uint32, 2: np.uint16}
_BLOCK = 1 << 13  # bytes of bits per block: by size alone, never by the number of threads


def _packing(whole: Any) -> tuple[Any, Any]:
    """Build the two functions for numbers of one width: whole bytes of eight spikes at a time."""
    nothing = whole(0)

    @njit(nogil=True)
    def pack(spikes: Any, bits: Any, one: Any) -> Any:
        strangers = False
        for i in range(len(bits)):
            byte = np.uint8(0)
            for k in range(8):
                value = spikes[8 * i + k]
                strangers |= (value != nothing) & (value != one)
                byte |= np.uint8(value != nothing) << np.uint8(k)
            bits[i] = byte
        return strangers

    @njit(nogil=True)
    def unpack(spikes: Any, bits: Any, one: Any) -> None:
        for i in range(len(bits)):
            byte = bits[i]
            for k in range(8):
                spikes[8 * i + k] = one if (byte >> np.uint8(k)) & np.uint8(1) else nothing

    return pack, unpack


def _drivers(whole: Any) -> tuple[Any, Any]:
    pack, unpack = _packing(whole)

    def packing(spikes_at: Any, bits_at: Any, count: Any, one: Any, strangers_at: Any) -> None:
        spikes = carray(pointer(spikes_at), (8 * count,), whole)
        bits = carray(pointer(bits_at), (count,), np.uint8)
        strangers = carray(pointer(strangers_at), ((count + _BLOCK - 1) // _BLOCK,), np.uint8)
        for b in prange((count + _BLOCK - 1) // _BLOCK):
            first, last = b * _BLOCK, min(count, (b + 1) * _BLOCK)
            strangers[b] = pack(spikes[8 * first : 8 * last], bits[first:last], whole(one))

    def unpacking(spikes_at: Any, bits_at: Any, count: Any, one: Any, strangers_at: Any) -> None:
        spikes = carray(pointer(spikes_at), (8 * count,), whole)
        bits = carray(pointer(bits_at), (count,), np.uint8)
        for b in prange((count + _BLOCK - 1) // _BLOCK):
            first, last = b * _BLOCK, min(count, (b + 1) * _BLOCK)
            unpack(spikes[8 * first : 8 * last], bits[first:last], whole(one))

    return _both(packing), _both(unpacking)


def _both(driver: Any) -> Any:
    return SimpleNamespace(run=njit(nogil=True)(driver), run_parallel=njit(nogil=True, parallel=True)(driver))


_DRIVERS = {width: _drivers(whole) for width, whole in _WHOLE.items()}


def pack_bits(spikes: Tensor) -> Tensor:
    """Bits of a dense tensor of binary spikes, in the order of its storage.

    Args:
        spikes: zeros and ones of any floating dtype, without gaps in memory.

    Returns:
        uint8, one bit per spike; a last byte that is not whole is filled with zeros.

    Raises:
        ConfigError: a value is neither zero nor one.

    >>> pack_bits(torch.tensor([1.0, 0.0, 0.0, 1.0])).tolist()
    [9]
    """
    flat = _storage_order(spikes)
    whole, rest = flat.numel() // 8, flat.numel() % 8
    bits = torch.empty(whole + (rest > 0), dtype=torch.uint8, device=flat.device)
    if flat.device.type == "cpu":
        strangers = torch.zeros(-(-whole // _BLOCK), dtype=torch.uint8)
        pack = _DRIVERS[flat.dtype.itemsize][0]
        run_blocks(pack, (flat.data_ptr(), bits.data_ptr(), whole, _ONE[flat.dtype], strangers.data_ptr()), 8 * whole)
        _require_binary(not strangers.any() and _is_binary(flat[8 * whole :]))
    else:
        _require_binary(_is_binary(flat))
    if flat.device.type != "cpu" and whole:
        bits[:whole] = _bytes(flat[: 8 * whole].view(-1, 8))
    if rest:
        last = flat.new_zeros(1, 8)
        last[0, :rest] = flat[8 * whole :]
        bits[whole:] = _bytes(last)
    return bits


def unpack_bits(bits: Tensor, like: Tensor) -> Tensor:
    """Fill ``like``, dense and of any floating dtype, with the spikes of ``bits``, and return it.

    >>> unpack_bits(torch.tensor([9], dtype=torch.uint8), torch.empty(4))
    tensor([1., 0., 0., 1.])
    """
    flat = _storage_order(like)
    whole = flat.numel() // 8
    if flat.device.type == "cpu":
        unpack = _DRIVERS[flat.dtype.itemsize][1]
        run_blocks(unpack, (flat.data_ptr(), bits.data_ptr(), whole, _ONE[flat.dtype], 0), 8 * whole)
        whole *= 8
    else:
        whole = 0
    if whole < flat.numel():
        places = torch.arange(8, device=bits.device, dtype=torch.uint8)
        spikes = (bits[whole // 8 :, None] >> places) & 1
        flat[whole:] = spikes.reshape(-1)[: flat.numel() - whole].to(flat.dtype)
    return like


def _is_binary(values: Tensor) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def _require_binary(binary: bool) -> None:
    if not binary:
        raise ConfigError(
            "a neuron that declares binary spikes emitted something else than zeros and ones; declare what it emits, "
            "for example emits = SpikeType('graded', bits=4) or SpikeType('analog')"
        )


def _storage_order(tensor: Tensor) -> Tensor:
    """A one-dimensional view of a dense tensor in the order of its storage."""
    return tensor.detach().as_strided((tensor.numel(),), (1,), tensor.storage_offset())


def _bytes(rows: Tensor) -> Tensor:
    places = 2 ** torch.arange(8, device=rows.device)
    return ((rows != 0).long() * places).sum(1).to(torch.uint8)
