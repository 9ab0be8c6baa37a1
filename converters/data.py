"""Calibration and evaluation data in the forms users have them in: a tensor, batches, pairs, a loader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from spikesim.converters.inputs import Inputs, count, pieces, sample_shapes, tensors_of
from spikesim.errors import CalibrationError

Batches: TypeAlias = Tensor | Mapping[str, Tensor] | Iterable[Any]
"""A tensor ``[N, ...]``, one pair ``(x, labels)``, or an iterable of tensors or of pairs; for a model that takes
several tensors a tuple or a dict by name stands where the tensor stands."""

_ROWS = 128


def inputs_of(data: Batches, arity: int = 1) -> Iterator[Inputs]:
    """The inputs of calibration data, in batches; labels are left aside.

    Args:
        data: A tensor ``[N, ...]``, one pair ``(x, labels)``, or an iterable of tensors or pairs.
        arity: How many tensors the model takes.

    Yields:
        Tensors ``[n, ...]``, or tuples or dicts of them.

    Raises:
        CalibrationError: An element is neither, or holds NaN or infinity.

    Example:
        >>> import torch
        >>> from spikesim.converters.data import inputs_of
        >>> [len(x) for x in inputs_of([(torch.zeros(3, 2), torch.zeros(3)), torch.ones(2, 2)])]
        [3, 2]
        >>> x, y = torch.zeros(3, 2), torch.zeros(3, 4)
        >>> [len(batch) for batch in inputs_of((x, y), arity=2)]
        [2]
    """
    for item in _elements(data, arity):
        x = _inputs(item, arity)
        if not _is_inputs(x):
            wanted = "a tensor [N, ...]" if arity == 1 else f"tuples of {arity} tensors [N, ...] or dicts by name"
            raise CalibrationError(
                f"calibration data must be {wanted}, or give such tensors alone or in pairs with labels; "
                f"found {_told(x)}"
            )
        _check(x, "calibration data")
        yield x


def pairs_of(data: Batches, arity: int = 1) -> Iterator[tuple[Inputs, Tensor]]:
    """Labelled batches of evaluation data.

    Args:
        data: One pair ``(x [N, ...], y [N])``, or an iterable of such pairs.
        arity: How many tensors the model takes.

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
    for item in _elements(data, arity):
        if arity > 1 and isinstance(item, tuple | list) and len(item) == arity + 1:
            item = (tuple(item[:-1]), item[-1])
        pair = isinstance(item, tuple | list) and len(item) == 2
        if not (pair and _is_inputs(item[0]) and isinstance(item[1], Tensor)):
            raise CalibrationError("evaluate= needs (inputs, labels): a pair of tensors or a loader of such pairs")
        _check(item[0], "evaluation inputs")
        if count(item[0]) != len(item[1]):
            raise CalibrationError(f"{count(item[0])} inputs come with {len(item[1])} labels; expected as many")
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
        # One hash for each tensor of a sample: batches end at the same samples in all of them.
        self._hashes: dict[str, Any] = {}
        self._forms: dict[str, str] = {}

    def of(self, batches: Iterable[Inputs]) -> Iterator[Inputs]:
        """Hand every batch on, and count it in."""
        for batch in batches:
            for name, x in _by_name(batch):
                found = self._hashes.setdefault(name, hashlib.sha256())
                form = f"{x.dtype} {list(x.shape[1:])}"
                if form != self._forms.get(name) and x.numel():
                    self._forms[name] = form
                    found.update(form.encode())
                found.update(x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
            yield batch

    def __str__(self) -> str:
        if list(self._hashes) in ([], [""]):
            return str(self._hashes.get("", hashlib.sha256()).hexdigest())
        parts = "".join(f"{name} {found.hexdigest()}\n" for name, found in sorted(self._hashes.items()))
        return hashlib.sha256(parts.encode()).hexdigest()


def _by_name(x: Inputs) -> Iterator[tuple[str, Tensor]]:
    if isinstance(x, Tensor):
        yield "", x
        return
    for name, tensor in x.items() if isinstance(x, dict) else enumerate(x):
        yield str(name), tensor


def check_shape(x: Inputs, expected: Any, what: str) -> None:
    """Refuse a batch whose samples have another shape than those seen before.

    Args:
        x: A batch.
        expected: The shape of a sample, in the structure of ``x``.
        what: Which data they are, for the message.

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
    if sample_shapes(x) != expected:
        raise CalibrationError(
            f"the {what} data hold a batch of samples of shape {sample_shapes(x)}, but the first sample has shape "
            f"{expected}: bring all samples to one shape"
        )


def _is_inputs(x: Any) -> bool:
    """Whether something is a tensor with a batch axis, or a tuple or dict of such tensors."""
    parts = list(x.values()) if isinstance(x, dict) else list(x) if isinstance(x, tuple | list) else [x]
    return bool(parts) and all(isinstance(part, Tensor) and part.dim() > 0 for part in parts)


def _inputs(item: Any, arity: int) -> Any:
    """An element without its labels."""
    if not isinstance(item, tuple | list) or not item:
        return item
    if arity == 1 or isinstance(item[0], dict | tuple | list):
        return item[0]
    return tuple(item[:-1] if len(item) == arity + 1 and _are_labels(item[-1]) else item)


def _check(x: Inputs, what: str) -> None:
    tensors = tensors_of(x)
    if any(t.is_floating_point() and not bool(torch.isfinite(t).all()) for t in tensors):
        raise CalibrationError(f"the {what} hold NaN or infinity: clean or drop those samples")
    if len({len(t) for t in tensors}) != 1:
        raise CalibrationError(f"the {what} hold a batch with {' and '.join(str(len(t)) for t in tensors)} samples")


def _told(x: Any) -> str:
    scalar = isinstance(x, Tensor) and x.dim() == 0
    return "a tensor without a batch axis" if scalar else type(x).__name__


def _elements(data: Batches, arity: int) -> Iterator[Any]:
    if isinstance(data, Tensor):
        yield from torch.split(data, _ROWS) if data.dim() else ()
    elif isinstance(data, dict) and _is_inputs(data):
        yield from _split(data)
    elif _is_labelled_pair(data, arity):
        pair: Any = data
        x, y = pair
        yield from zip(_split(x), torch.split(y, _ROWS)) if count(x) == len(y) else iter([(x, y)])
    elif arity > 1 and isinstance(data, tuple | list) and _is_inputs(data):
        yield from _split(tuple(data))
    elif isinstance(data, Iterable):
        yield from data
    else:
        raise CalibrationError(f"expected a tensor, a loader or an iterable of batches; given {type(data).__name__}")


def _split(x: Inputs) -> Iterator[Any]:
    return pieces(x, _ROWS) if len({len(t) for t in tensors_of(x)}) == 1 else iter([x])


def _are_labels(y: Any) -> bool:
    return isinstance(y, Tensor) and y.dim() == 1 and not y.is_floating_point()


def _is_labelled_pair(data: Any, arity: int) -> bool:
    if not (isinstance(data, tuple | list) and len(data) == 2 and _is_inputs(data[0])):
        return False
    # Two tensors are two inputs where a model takes two.
    return _are_labels(data[1]) and (arity == 1 or not isinstance(data[0], Tensor))
