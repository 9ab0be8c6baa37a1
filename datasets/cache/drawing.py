"""Transforms that draw random numbers have no place in what is kept: one draw would stay for ever."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

import spikesim.datasets.transforms as ours
from spikesim.datasets.transforms.base import EventTransform
from spikesim.errors import ConfigError

_LEAVES = (type(None), bool, int, float, str, bytes, np.ndarray, torch.Tensor, type, types.ModuleType)


def refuse_random(dataset: Any, transform: Any) -> None:
    """Refuse transforms that draw random numbers, wherever they stand.

    Args:
        dataset: what is to be kept.
        transform: what is applied to its samples.

    Raises:
        ConfigError: one of them is random; says where to put it.

    Example:
        >>> from spikesim.datasets.transforms import RandomFlipLR
        >>> refuse_random([], RandomFlipLR())
        Traceback (most recent call last):
        ...
        spikesim.errors.ConfigError: RandomFlipLR draws random numbers, and what is kept would be one draw for ever; ...
    """
    named = list(_random_in([transform, *transforms_of(dataset)], set()))
    if named:
        raise ConfigError(
            f"{', '.join(named)} draws random numbers, and what is kept would be one draw for ever; put it after the "
            "cache: event_loader(cached, ..., augment=RandomShift(2)) takes augmentations of frames. One that needs "
            "events belongs into the transform of a dataset that is not cached"
        )


def is_random(value: Any) -> bool:
    """Whether something is a transform that draws random numbers.

    Tonic's do not say so; one is taken as random if ours of the same name is. So is, of any package, what is called
    ``Random...``.

    >>> is_random(ours.RandomFlipLR()), is_random(ours.Denoise())
    (True, False)
    """
    kind = type(value)
    if isinstance(value, EventTransform):
        return value.random
    if isinstance(value, (ours.EventMixer, ours.MixedDataset)) or kind.__name__.startswith("Random"):
        return True
    same = getattr(ours, kind.__name__, None) if kind.__module__.startswith("tonic.") else None
    return isinstance(same, type) and issubclass(same, EventTransform) and same.random


def transforms_of(dataset: Any) -> Iterator[Any]:
    """The transforms of a dataset and of those inside it; a dataset that mixes is one itself."""
    if isinstance(dataset, ours.MixedDataset):
        yield dataset
    for name in ("transform", "target_transform", "transforms"):
        yield getattr(dataset, name, None)
    inner = getattr(dataset, "dataset", None)
    for one in [inner, *(getattr(dataset, "datasets", None) or ())]:
        if one is not None:
            yield from transforms_of(one)


def _random_in(value: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(value, _LEAVES) or id(value) in seen:
        return
    seen.add(id(value))
    held: Any = ()
    if is_random(value):
        yield type(value).__name__
    elif isinstance(value, (list, tuple)):
        held = value
    elif isinstance(value, dict):
        held = value.values()
    elif isinstance(value, functools.partial):
        held = (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, types.MethodType):
        held = (value.__self__,)
    elif isinstance(value, types.FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or ()]
    elif hasattr(value, "__dict__"):
        held = vars(value).values()
    for one in held:
        yield from _random_in(one, seen)
