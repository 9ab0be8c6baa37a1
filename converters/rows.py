"""Values of all time steps and samples, as calibration hands them on from layer to layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from torch import Tensor

PIECE = 2**20
"""Values in flight at once."""


class Rows(ABC):
    """Rows ``[T*N, ...]`` that are read for some samples at a time.

    Attributes:
        steps: T.
        samples: N.
        values: Numbers in flight per step and sample.

    Example:
        >>> from spikesim.converters.rows import Rows
        >>> Rows()
        Traceback (most recent call last):
        ...
        TypeError: Can't instantiate abstract class Rows with abstract method of
    """

    steps: int
    samples: int
    values: int

    @abstractmethod
    def of(self, some: slice) -> Tensor:
        """Some samples at all steps, ``[T, n, ...]``."""

    def slices(self) -> Iterator[slice]:
        """Samples, a piece at a time."""
        most = max(1, PIECE // (self.steps * self.values))
        return (slice(start, start + most) for start in range(0, self.samples, most))

    def whole(self) -> Tensor:
        """All rows, ``[T*N, ...]``."""
        return self.collected(self.of, dim=1).flatten(0, 1)

    def mean(self, wait: int = 0) -> Tensor:
        """Mean over the steps from ``wait`` on, ``[N, ...]``."""
        return self.collected(lambda some: self.of(some)[wait:].mean(0))

    def collected(self, part: Callable[[slice], Tensor], dim: int = 0) -> Tensor:
        """Put ``part`` of every piece together; ``dim`` is that of the samples."""
        found: Tensor | None = None
        for some in self.slices():
            values = part(some)
            if found is None:
                shape = list(values.shape)
                shape[dim] = self.samples
                found = values.new_empty(shape)
            found.narrow(dim, some.start, values.shape[dim]).copy_(values)
        return part(slice(0, 0)) if found is None else found


def unfolded(rows: Tensor, steps: int) -> Tensor:
    """``[T*N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.rows import unfolded
        >>> unfolded(torch.zeros(6, 4), 2).shape
        torch.Size([2, 3, 4])
    """
    return rows.reshape(steps, len(rows) // steps, *rows.shape[1:])
