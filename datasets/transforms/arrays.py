"""Small conversions of Tonic's that are no transforms of events: dtypes of arrays, and targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from numpy.typing import ArrayLike, DTypeLike, NDArray

from spikesim.datasets.events import Events
from spikesim.datasets.transforms.settings import check_whole
from spikesim.errors import ConfigError, EventError


@dataclass(frozen=True)
class NumpyAsType:
    """Bring an array into another dtype; events become rows ``[N, fields]`` in the order of their fields.

    As Tonic's ``NumpyAsType``, which gives back the class ``NotImplementedError`` when asked to bring events into
    another structured dtype; here fields go by name.

    Args:
        dtype: a dtype, structured or not.

    Raises:
        ConfigError: no dtype.
        EventError: a field that the events do not have, or rows that do not fit the fields.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import NumpyAsType
        >>> NumpyAsType(int)(Events.from_columns([3], [5], [90], [1], (34, 34, 2))).tolist()
        [[3, 5, 90, 1]]
    """

    dtype: DTypeLike

    def __post_init__(self) -> None:
        try:
            np.dtype(self.dtype)
        except TypeError as error:
            raise ConfigError(
                f"dtype is {self.dtype!r}; expected one of NumPy's, such as 'float32' ({error})"
            ) from error

    def __call__(self, events: Any) -> NDArray[Any]:
        """Convert one array.

        Args:
            events: a recording, a structured array, or frames.
        """
        array = np.asarray(events.data if isinstance(events, Events) else events)
        dtype = np.dtype(self.dtype)
        if array.dtype.names is None and dtype.names is None:
            return array.astype(dtype)
        if array.dtype.names is not None and dtype.names is None:
            return _rows(array, dtype)
        if array.dtype.names is None:
            if array.ndim != 2 or array.shape[1] != len(dtype.names or ()):
                raise EventError(f"NumpyAsType was given {array.shape}; expected rows [N, {len(dtype.names or ())}]")
            return np.asarray(unstructured_to_structured(array, dtype))
        missing = [name for name in dtype.names or () if name not in array.dtype.names]
        if missing:
            raise EventError(f"NumpyAsType: events have the fields {array.dtype.names}; {', '.join(missing)} missing")
        out = np.empty(array.shape, dtype)
        for name in dtype.names or ():
            out[name] = array[name]
        return out


@njit(cache=True, nogil=True)
def _four(a: Any, b: Any, c: Any, d: Any, rows: Any) -> None:
    for i in range(len(a)):
        rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3] = a[i], b[i], c[i], d[i]


def _rows(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    fields = [array[name] for name in array.dtype.names or ()]
    simple = all(field.ndim == 1 and field.dtype.kind in "biu" and field.dtype.isnative for field in fields)
    if len(fields) != 4 or not simple or dtype.kind not in "iuf" or not dtype.isnative or dtype.itemsize < 4:
        return np.asarray(structured_to_unstructured(array, dtype))
    rows = np.empty((len(array), 4), dtype)
    _four(*fields, rows)
    return rows


@dataclass(frozen=True)
class Repeat:
    """Give a target as often as there are time steps: ``[n_repeat, ...]``.

    Args:
        n_repeat: how often.

    Raises:
        ConfigError: no whole number from 1 on.

    Example:
        >>> from spikesim.datasets.transforms import Repeat
        >>> Repeat(3)([1, 2]).tolist()
        [[1, 2], [1, 2], [1, 2]]
    """

    n_repeat: int

    def __post_init__(self) -> None:
        check_whole("n_repeat", self.n_repeat, 1)

    def __call__(self, target: ArrayLike) -> NDArray[Any]:
        """Repeat one target; a number becomes ``[n_repeat, 1]``, as in Tonic."""
        array = np.asarray(target)
        return np.repeat(array[None] if array.ndim else array[None, None], self.n_repeat, axis=0)


@dataclass(frozen=True)
class ToOneHotEncoding:
    """Turn class numbers into rows of zeros with a one.

    Args:
        n_classes: how many classes.

    Raises:
        ConfigError: no number of classes, or a target that is none of them; Tonic counts negative ones from the end.

    Example:
        >>> from spikesim.datasets.transforms import ToOneHotEncoding
        >>> ToOneHotEncoding(3)(1).tolist()
        [0.0, 1.0, 0.0]
    """

    n_classes: int

    def __post_init__(self) -> None:
        check_whole("n_classes", self.n_classes, 1)

    def __call__(self, target: ArrayLike) -> NDArray[np.float64]:
        """Encode one target, or an array of them."""
        array = np.asarray(target)
        if array.dtype.kind not in "iu" or (array.size and not 0 <= array.min() <= array.max() < self.n_classes):
            raise ConfigError(f"target is {target!r}; expected class numbers from 0 to {self.n_classes - 1}")
        hot: NDArray[np.float64] = np.eye(self.n_classes)[array]
        return hot
