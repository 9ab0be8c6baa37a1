"""Metrics of class scores over time, as torchmetrics: they add up over batches and processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from spikesim.errors import ConfigError, ShapeError


def right_over_time(y: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """How many samples the mean of the scores up to each step names rightly.

    Args:
        y: ``[T, N, classes]``.
        target: ``[N]``.
        mask: bool ``[T, N]``, True where a step is real.

    Returns:
        int64 ``[T]``.
    """
    # Sums have the largest class where means have it; in float64, as later steps are small beside what came before.
    real = y.double() if mask is None else y.double() * mask.unsqueeze(2)
    return (real.cumsum(0).argmax(2) == target).sum(1)


class SampleMean(Metric):
    """The mean over samples of a number that is known as the mean of each batch, over all processes.

    >>> import torch
    >>> mean = SampleMean()
    >>> mean.update(torch.tensor(1.0), samples=3)
    >>> mean.update(torch.tensor(2.0), samples=1)
    >>> mean.compute()
    tensor(1.2500)
    """

    full_state_update = False
    total: Tensor
    samples: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("samples", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, value: Tensor, samples: int) -> None:
        """Add the mean of a batch of so many samples."""
        self.total += value.float() * samples
        self.samples += samples

    def compute(self) -> Tensor:
        """The mean so far; NaN of nothing."""
        return self.total / self.samples


class AccuracyOverTime(Metric):
    """Accuracy that the mean of the scores up to step t would give, for every t.

    Where a recording has ended before t, what it said at its end counts.

    Args:
        timesteps: largest T.

    Shape:
        Updated with ``y [T, N, classes]`` (before the readout), labels ``[N]`` and the mask of real steps; computes
        float64 ``[timesteps]``, of which the last is the accuracy of a mean readout.

    Raises:
        ConfigError: ``timesteps`` is below 1, or nothing was measured.
        ShapeError: scores of more steps, or of another rank.

    >>> import torch
    >>> from spikesim.training import AccuracyOverTime
    >>> metric = AccuracyOverTime(2)
    >>> metric.update(torch.tensor([[[0.0, 1.0]], [[3.0, 0.0]]]), torch.tensor([0]))
    >>> metric.compute()
    tensor([0., 1.], dtype=torch.float64)
    """

    full_state_update = False
    right: Tensor
    samples: Tensor

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        if isinstance(timesteps, bool) or not isinstance(timesteps, int) or timesteps < 1:
            raise ConfigError(f"AccuracyOverTime: timesteps is {timesteps!r}, but it must be a whole number from 1 on")
        self.timesteps = timesteps
        self.add_state("right", torch.zeros(timesteps, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("samples", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, y: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add a batch."""
        if y.dim() != 3 or not 1 <= y.shape[0] <= self.timesteps:
            raise ShapeError(
                f"the scores have shape {tuple(y.shape)}, but AccuracyOverTime({self.timesteps}) takes "
                f"[T, N, classes] with T from 1 to {self.timesteps}, before the readout: network.unread(x, mask)"
            )
        right = right_over_time(y, target, mask)
        self.right += torch.cat([right, right[-1:].expand(self.timesteps - len(right))])
        self.samples += len(target)

    def compute(self) -> Tensor:
        """Accuracy at every t."""
        if not int(self.samples):
            raise ConfigError("AccuracyOverTime: nothing was measured; update it with at least one sample")
        return self.right.double() / self.samples
