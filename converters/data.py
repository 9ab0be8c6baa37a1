"""Calibration and evaluation data in the forms users have them in: a tensor, batches, pairs, a loader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor

from spikesim.errors import CalibrationError

Batches: TypeAlias = Tensor | Iterable[Any]
"""A tensor ``[N, ...]``, one pair ``(x, labels)``, or an iterable of tensors or of pairs."""

_ROWS = 128


def inputs_of(data: Batches) -> Iterator[Tensor]:
    """The input tensors of calibration data, in batches; labels are left aside.

    Args:
        data: A tensor ``[N, ...]``, one pair ``(x, labels)``, or an iterable of tensors or pairs.

    Yields:
        Tensors ``[n, ...]``.

    Raises:
        CalibrationError: An element is neither, or holds NaN or infinity.

    Example:
        >>> import torch
        >>> from spikesim.converters.data import inputs_of
        >>> [len(x) for x in inputs_of([(torch.zeros(3, 2), torch.zeros(3)), torch.ones(2, 2)])]
        [3, 2]
    """
    for item in _elements(data):
        x = item[0] if isinstance(item, tuple | list) and item else item
        if not isinstance(x, Tensor):
            raise CalibrationError(
                f"calibration data must be a tensor [N, ...] or give tensors or (tensor, labels) pairs; "
                f"found {type(x).__name__}"
            )
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise CalibrationError("the calibration data hold NaN or infinity: clean or drop those samples")
        yield x


def pairs_of(data: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Labelled batches of evaluation data.

    Args:
        data: One pair ``(x [N, ...], y [N])``, or an iterable of such pairs.

    Yields:
        Pairs ``(x, y)``.

    Raises:
        CalibrationError: An element is no pair of tensors of equal length, or the inputs hold NaN or infinity.

    Example:
        >>> import torch
        >>> from spikesim.converters.data import pairs_of
        >>> [(len(x), len(y)) for x, y in pairs_of((torch.zeros(130, 2), torch.zeros(130, dtype=torch.long)))]
        [(128, 128), (2, 2)]
    """
    for item in _elements(data):
        pair = isinstance(item, tuple | list) and len(item) == 2
        if not (pair and isinstance(item[0], Tensor) and isinstance(item[1], Tensor)):
            raise CalibrationError("evaluate= needs (inputs, labels): a pair of tensors or a loader of such pairs")
        if len(item[0]) != len(item[1]):
            raise CalibrationError(f"{len(item[0])} inputs come with {len(item[1])} labels; expected as many")
        if item[0].is_floating_point() and not bool(torch.isfinite(item[0]).all()):
            raise CalibrationError("the evaluation inputs hold NaN or infinity: clean or drop those samples")
        yield item[0], item[1]


class Digest:
    """SHA-256 of the samples that pass, in their order; batches, device and layout in memory change nothing.

    Example:
        >>> import torch
        >>> from spikesim.converters.data import Digest
        >>> x, whole, parts = torch.arange(6.0).reshape(3, 2), Digest(), Digest()
        >>> _ = list(whole.of([x])), list(parts.of([x[:1], x[1:]]))
        >>> str(whole) == str(parts), len(str(whole))
        (True, 64)
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._form = ""

    def of(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """Hand every batch on, and count it in."""
        for x in batches:
            form = f"{x.dtype} {list(x.shape[1:])}"
            if form != self._form and x.numel():
                self._form = form
                self._hash.update(form.encode())
            self._hash.update(x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
            yield x

    def __str__(self) -> str:
        return self._hash.hexdigest()


def check_shape(x: Tensor, expected: tuple[int, ...], what: str) -> None:
    """Refuse a batch whose samples have another shape than those seen before.

    Raises:
        CalibrationError: Names both shapes.

    Example:
        >>> import torch
        >>> from spikesim.converters.data import check_shape
        >>> check_shape(torch.zeros(2, 3), (4,), "calibration")
        Traceback (most recent call last):
        ...
        spikesim.errors.CalibrationError: the calibration data hold a batch of samples of shape (3,), but the first \
sample has shape (4,): bring all samples to one shape
    """
    if tuple(x.shape[1:]) != tuple(expected):
        raise CalibrationError(
            f"the {what} data hold a batch of samples of shape {tuple(x.shape[1:])}, but the first sample has shape "
            f"{tuple(expected)}: bring all samples to one shape"
        )


def _elements(data: Batches) -> Iterator[Any]:
    if isinstance(data, Tensor):
        yield from torch.split(data, _ROWS) if data.dim() else ()
    elif _is_labelled_pair(data):
        x, y = data
        yield from zip(torch.split(x, _ROWS), torch.split(y, _ROWS)) if len(x) == len(y) else iter([(x, y)])
    elif isinstance(data, Iterable):
        yield from data
    else:
        raise CalibrationError(f"expected a tensor, a loader or an iterable of batches; given {type(data).__name__}")


def _is_labelled_pair(data: Any) -> bool:
    if not (isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(v, Tensor) for v in data)):
        return False
    return data[1].dim() == 1 and not data[1].is_floating_point()
