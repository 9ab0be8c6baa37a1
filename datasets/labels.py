"""Columns of labels: class numbers, mixed labels, or a share for every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikesim.datasets.transforms.labels import MixedLabel, soft_targets
from spikesim.errors import ShapeError

MIXED_DTYPE = np.dtype([("label_a", "<i8"), ("label_b", "<i8"), ("weight", "<f8")])
"""One :class:`MixedLabel` as a record."""


def column_of(labels: Sequence[Any]) -> NDArray[Any]:
    """Put labels into one array.

    Args:
        labels: class numbers; or :class:`MixedLabel`, also among class numbers; or a vector of shares for each sample.

    Returns:
        int64 ``[S]``, :data:`MIXED_DTYPE` ``[S]`` or float32 ``[S, classes]``.

    Raises:
        ShapeError: a label is none of these, or vectors differ in length; names the sample.

    Example:
        >>> from spikesim.datasets.labels import column_of
        >>> column_of([3, 1]).tolist(), column_of([[0.5, 0.5], [0, 1]]).tolist()
        ([3, 1], [[0.5, 0.5], [0.0, 1.0]])
    """
    plain = [_class_number(label) for label in labels]
    if all(number is not None for number in plain):
        return np.array(plain, np.int64)
    if any(isinstance(label, MixedLabel) for label in labels):
        rows = []
        for n, (label, number) in enumerate(zip(labels, plain)):
            first = _class_number(label.label_a) if isinstance(label, MixedLabel) else number
            second = _class_number(label.label_b) if isinstance(label, MixedLabel) else number
            if first is None or second is None:
                raise _refused(n, label)
            rows.append((first, second, float(label.weight) if isinstance(label, MixedLabel) else 1.0))
        return np.array(rows, MIXED_DTYPE)
    shares = [_shares(n, label) for n, label in enumerate(labels)]
    sizes = sorted({len(row) for row in shares})
    if len(sizes) > 1:
        raise ShapeError(f"labels are vectors of {sizes} classes; expected one number of classes in a dataset")
    return np.stack(shares)


def label_at(column: NDArray[Any], index: int) -> Any:
    """The label of one sample as it was given: an ``int``, a :class:`MixedLabel` or a float32 tensor.

    Args:
        column: as :func:`column_of` makes it.
        index: of the sample.

    >>> label_at(column_of([MixedLabel(0, 2, 0.75), 1]), 0)
    MixedLabel(label_a=0, label_b=2, weight=0.75)
    """
    if column.dtype == MIXED_DTYPE:
        return MixedLabel(*column[index].item())
    return int(column[index]) if column.ndim == 1 else torch.from_numpy(np.array(column[index]))


def targets_at(column: NDArray[Any], indices: NDArray[np.int64] | slice, classes: int | None) -> Tensor:
    """The targets of a batch.

    Args:
        column: as :func:`column_of` makes it.
        indices: of the samples.
        classes: how many there are; needed for mixed labels only.

    Returns:
        int64 ``[N]``, or float32 ``[N, classes]`` for mixed labels and shares.

    Raises:
        ShapeError: labels are mixed and ``classes`` is not known.

    >>> targets_at(column_of([MixedLabel(0, 2, 0.75), 1]), slice(None), classes=3).tolist()
    [[0.75, 0.0, 0.25], [0.0, 1.0, 0.0]]
    """
    chosen = column[indices]
    if column.dtype != MIXED_DTYPE:
        return torch.from_numpy(np.array(chosen))
    if classes is None:
        raise ShapeError(
            "labels are mixed, and the number of classes is not known; expected a dataset with the attribute classes, "
            "or the number itself: event_loader(..., classes=10), collate(samples, classes=10)"
        )
    parts = (torch.from_numpy(np.array(chosen[name])) for name in ("label_a", "label_b", "weight"))
    return soft_targets(MixedLabel(*parts), classes)


def class_names(dataset: Any) -> tuple[str, ...]:
    """The names of the classes, if the dataset or the one inside it knows them.

    >>> class_names([1, 2])
    ()
    """
    while dataset is not None:
        names = getattr(dataset, "classes", None)
        if names is not None and len(names):
            return tuple(str(name) for name in names)
        parts = getattr(dataset, "datasets", None)
        dataset = parts[0] if parts else getattr(dataset, "dataset", None)
    return ()


def _class_number(label: Any) -> int | None:
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool):
        return int(label)
    if isinstance(label, (np.ndarray, Tensor)) and label.ndim == 0:
        return _class_number(label.item())
    return None


def _shares(n: int, label: Any) -> NDArray[np.float32]:
    try:
        row = np.asarray(label, np.float32)
    except (TypeError, ValueError):
        row = np.empty(0, np.float32)
    if isinstance(label, str) or row.ndim != 1 or row.size == 0:
        raise _refused(n, label)
    return row


def _refused(n: int, label: Any) -> ShapeError:
    return ShapeError(
        f"the label of sample {n} is {label!r}; expected a class number, a MixedLabel, or a vector with a share for "
        "each class"
    )
