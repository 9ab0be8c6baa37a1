"""Which neurons and which samples of a layer are recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikesim.errors import ConfigError, ShapeError

Indices = int | Sequence[int] | Sequence[Sequence[int]] | Tensor


@dataclass(frozen=True)
class Selection:
    """Chosen samples and neurons of a layer.

    Args:
        neurons: int64 ``[K]``, counted through one sample in row-major order, or ``[K, D]``, coordinates in a sample of
            D axes; None for all.
        samples: int64 ``[K]``, or None for all.
        layer: name for messages.

    >>> images = torch.arange(8.0).reshape(1, 2, 2, 2)  # [T, N, H, W]
    >>> Selection(neurons=torch.tensor([0, 3])).of(images)
    tensor([[[0., 3.],
             [4., 7.]]])
    >>> Selection(neurons=torch.tensor([[1, 1]]), samples=torch.tensor([1])).of(images)
    tensor([[[7.]]])
    """

    neurons: Tensor | None = None
    samples: Tensor | None = None
    layer: str = ""

    def of(self, values: Tensor) -> Tensor:
        """The chosen part of ``[S, N, ...]``: ``[S, n, ...]``, or ``[S, n, K]`` if neurons were chosen.

        Raises:
            ShapeError: an index lies outside the layer, or has another number of axes.
        """
        samples = self._samples(values.shape[1], values.device)
        if self.neurons is None:
            return values if samples is None else values.index_select(1, samples)
        if samples is None:
            samples = torch.arange(values.shape[1], device=values.device)
        places = self._coordinates(tuple(values.shape[2:]), values.device)
        # One gather; reshaping a channels-last layer to one axis would copy all of it.
        index: tuple[Any, ...] = (slice(None), samples.unsqueeze(1).expand(-1, len(self.neurons)), *places)
        return values[index]

    def count(self, samples: int) -> int:
        """How many of the samples are chosen."""
        return samples if self.samples is None else len(self.samples)

    def nbytes(self, step: Tensor) -> int:
        """Memory of the chosen part of one step ``[N, ...]``, in bytes."""
        neurons = step[:1].numel() if self.neurons is None else len(self.neurons)
        return self.count(step.shape[0]) * neurons * step.element_size()

    def mask(self, mask: Tensor) -> Tensor:
        """The chosen part of a mask ``[S, N]``."""
        samples = self._samples(mask.shape[1], mask.device)
        return mask if samples is None else mask.index_select(1, samples)

    def _samples(self, count: int, device: torch.device) -> Tensor | None:
        if self.samples is None:
            return None
        return _within(self.samples, count, f"'{self.layer}': sample", f"the batch has {count}").to(device)

    def _coordinates(self, sample: tuple[int, ...], device: torch.device) -> list[Tensor]:
        chosen = self.neurons
        if chosen is None:
            return []
        what = f"'{self.layer}': neuron"
        if chosen.dim() == 1:
            size = int(torch.Size(sample).numel())
            flat = _within(chosen, size, what, f"one sample of shape {sample} has {size}")
            return list(torch.unravel_index(flat.to(device), sample)) if sample else []
        if chosen.shape[1] != len(sample):
            raise ShapeError(
                f"'{self.layer}': neurons are given by {chosen.shape[1]} coordinates, but a sample has shape {sample}; "
                f"give {len(sample)} coordinates each, or single row-major indices"
            )
        axes = zip(chosen.unbind(1), sample)
        return [_within(c, n, what, f"axis {k} of {sample} has {n}").to(device) for k, (c, n) in enumerate(axes)]


def neuron_indices(given: Indices | None, layer: str) -> Tensor | None:
    """Neuron indices as int64 ``[K]`` or coordinates ``[K, D]``.

    Raises:
        ConfigError: they are neither.

    >>> neuron_indices([(0, 1), (2, 3)], "conv").shape
    torch.Size([2, 2])
    """
    return _integers(given, f"neurons of '{layer}'", most_axes=2)


def sample_indices(given: int | Sequence[int] | Tensor | None) -> Tensor | None:
    """Sample indices as int64 ``[K]``.

    Raises:
        ConfigError: they are no whole numbers.

    >>> sample_indices(0)
    tensor([0])
    """
    return _integers(given, "samples", most_axes=1)


def per_layer(given: Any, layers: Sequence[str]) -> dict[str, Any]:
    """One choice for all layers, or a mapping from layer to choice, as a choice for each.

    Raises:
        ConfigError: the mapping names a layer that is not recorded.

    >>> per_layer({"1": [0]}, ["1", "3"])
    {'1': [0], '3': None}
    """
    if not isinstance(given, Mapping):
        return dict.fromkeys(layers, given)
    if unknown := sorted(set(given) - set(layers)):
        raise ConfigError(f"neurons names {_listed(unknown)}, but recorded are {_listed(layers)}")
    return {layer: given.get(layer) for layer in layers}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"


def _integers(given: Any, what: str, most_axes: int) -> Tensor | None:
    if given is None:
        return None
    remedy = "give whole numbers, for example [0, 5]" + (", or coordinates [(0, 1, 2)]" if most_axes == 2 else "")
    try:
        indices = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"{what} are {given!r}; {remedy}") from None
    if indices.dtype == torch.bool:
        raise ConfigError(f"{what} are a boolean mask; give indices: mask.nonzero()")
    if indices.is_floating_point() or indices.is_complex() or indices.dim() > most_axes or indices.numel() == 0:
        raise ConfigError(f"{what} are {given!r}; {remedy}")
    return indices.detach().cpu().to(torch.int64).reshape(-1) if indices.dim() == 0 else indices.detach().cpu().long()


def _within(indices: Tensor, size: int, what: str, has: str) -> Tensor:
    outside = indices[(indices < -size) | (indices >= size)]
    if len(outside):
        raise ShapeError(f"{what} {int(outside[0])} was chosen, but {has}; indices count from 0")
    return torch.where(indices < 0, indices + size, indices)
