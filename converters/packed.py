"""Spikes of all time steps, several to a byte: what calibration remembers of a layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikesim.converters.rows import Rows
from spikesim.dynamics import SpikeType


class Coding(NamedTuple):
    """How a spike becomes a field of bits: its value in units of ``scale``, less ``low``, in ``width`` bits.

    Example:
        >>> from spikesim.converters.packed import Coding
        >>> from spikesim.neurons import IF, SignedIF
        >>> Coding.of(IF()), Coding.of(SignedIF())
        (Coding(low=0, width=1, scale=1.0), Coding(low=-1, width=2, scale=1.0))
    """

    low: int
    width: int
    scale: float = 1.0

    @classmethod
    def of(cls, neuron: nn.Module) -> Coding | None:
        """The coding of what a neuron declares that it sends; None for what does not fit into a byte as it is."""
        emits = getattr(neuron, "emits", SpikeType("analog"))
        if not emits.is_spike or math.frexp(emits.scale)[0] != 0.5:  # other scales would be rounded
            return None
        high = 2**emits.bits - 1
        low = -high if emits.kind == "signed" else 0
        width = next((w for w in (1, 2, 4, 8) if 2**w > high - low), None)
        return cls(low, width, emits.scale) if width else None


class Packed(Rows):
    """Spikes; the fields of a byte are steps of one place.

    Args:
        coding: Of the values.
        steps: T.
        samples: N.
        like: Some of them, ``[T, n, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.packed import Coding, Packed
        >>> spikes = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])  # [T, N, C]
        >>> kept = Packed(Coding(0, 1), steps=2, samples=1, like=spikes)
        >>> kept.put(slice(None), spikes)
        >>> kept.of(slice(None)).equal(spikes), kept.bits.tolist()
        (True, [[[3, 2]]])
    """

    def __init__(self, coding: Coding, steps: int, samples: int, like: Tensor) -> None:
        self.coding, self.steps, self.samples, self.dtype = coding, steps, samples, like.dtype
        shape = like.shape[2:]
        self.values = math.prod(shape)
        self.fields = 8 // coding.width
        self.bits = torch.empty(-(-steps // self.fields), samples, *shape, dtype=torch.uint8, device=like.device)

    @classmethod
    def collect(cls, coding: Coding, given: Rows, part: Callable[[slice], Tensor]) -> Packed:
        """Keep ``part``, ``[T, n, ...]``, of every piece of ``given``."""
        found: Packed | None = None
        for some in given.slices():
            spikes = part(some)
            found = found or cls(coding, given.steps, given.samples, spikes)
            found.put(some, spikes)
        return found or cls(coding, given.steps, 0, part(slice(0, 0)))

    def put(self, some: slice, values: Tensor) -> None:
        """Keep ``[T, n, ...]`` as some of the samples."""
        for first in range(0, self.steps, self.fields):
            byte = self.bits[first // self.fields, some]
            byte.zero_()
            for place, step in enumerate(values[first : first + self.fields]):
                byte |= (step / self.coding.scale - self.coding.low).to(torch.uint8) << (place * self.coding.width)

    def of(self, some: slice) -> Tensor:
        """Some samples at all steps, ``[T, n, ...]``."""
        kept = self.bits[:, some]
        found = torch.empty(self.steps, *kept.shape[1:], dtype=self.dtype, device=kept.device)
        mask = 2**self.coding.width - 1
        for t in range(self.steps):
            found[t] = (kept[t // self.fields] >> (t % self.fields * self.coding.width)) & mask
        return found.add_(self.coding.low).mul_(self.coding.scale) if self.coding[::2] != (0, 1.0) else found


def take(into: Tensor | Packed, other: Tensor | Packed, channels: Tensor) -> None:
    """Replace some channels by those of other spikes of the same layer.

    Args:
        into: Changed in place; both as tensors ``[T*N, C, ...]`` or both packed.
        other: What is taken.
        channels: Which, as a mask ``[C]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.packed import take
        >>> spikes = torch.zeros(1, 2)
        >>> take(spikes, torch.ones(1, 2), torch.tensor([False, True]))
        >>> spikes
        tensor([[0., 1.]])
    """
    if isinstance(into, Packed) and isinstance(other, Packed):
        into.bits[:, :, channels] = other.bits[:, :, channels]
    elif isinstance(into, Tensor) and isinstance(other, Tensor):
        into[:, channels] = other[:, channels]
