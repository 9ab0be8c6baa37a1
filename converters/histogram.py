"""Per-channel histograms of activations whose counts do not depend on the order or the batches."""

from __future__ import annotations

import torch
from torch import Tensor

from spikesim.converters.histogram_kernel import count_codes
from spikesim.errors import CalibrationError, ShapeError

MANTISSA_BITS = 5
LOW_EXPONENT, HIGH_EXPONENT = -24, 24
BINS = (HIGH_EXPONENT - LOW_EXPONENT) << MANTISSA_BITS
_SHIFT = 23 - MANTISSA_BITS
_FIRST = (LOW_EXPONENT + 127) << MANTISSA_BITS


def bin_edges() -> Tensor:
    """Edges of the bins, ``[BINS + 1]``, float64: 32 equal bins in each octave from 2^-24 to 2^24.

    Example:
        >>> from spikesim.converters.histogram import bin_edges
        >>> edges = bin_edges()
        >>> edges[0].item() == 2.0**-24, edges[-1].item() == 2.0**24
        (True, True)
    """
    codes = torch.arange(_FIRST, _FIRST + BINS + 1, dtype=torch.int64)
    octave = (codes >> MANTISSA_BITS) - 127
    part = (codes & ((1 << MANTISSA_BITS) - 1)).double() / (1 << MANTISSA_BITS)
    return torch.ldexp(1.0 + part, octave)


class Histogram:
    """Counts of non-negative values per channel: exact zeros, log-spaced bins, and the exact maximum.

    A value's bin is the top of its float32 bit pattern (exponent and five bits of mantissa), so binning is integer
    arithmetic: the counts are the same to the bit whatever the batches, the order or the device, and histograms of
    shards merge exactly. Bins are 1.6 % to 3.1 % wide. What lies outside 2^-24 to 2^24 is counted in the outermost
    bins; the maximum is exact.

    Args:
        channels: Number of channels.

    Example:
        >>> import torch
        >>> from spikesim.converters import Histogram
        >>> whole, left, right = Histogram(1), Histogram(1), Histogram(1)
        >>> x = torch.tensor([[0.0], [0.5], [3.0]])
        >>> whole.update(x); left.update(x[:1]); right.update(x[1:])
        >>> left.merge(right).counts.equal(whole.counts), whole.maximum.item(), whole.zeros.item()
        (True, 3.0, 1)
    """

    def __init__(self, channels: int) -> None:
        self.counts = torch.zeros(channels, BINS, dtype=torch.int64)
        self.zeros = torch.zeros(channels, dtype=torch.int64)
        self.maximum = torch.zeros(channels, dtype=torch.float64)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.zeros)

    @property
    def total(self) -> Tensor:
        """Number of values seen per channel, int64 ``[C]``."""
        return self.zeros + self.counts.sum(1)

    @property
    def zero_fraction(self) -> Tensor:
        """Share of exact zeros per channel, float64 ``[C]``; 0 for a channel that has seen nothing."""
        return self.zeros.double() / self.total.clamp(min=1).double()

    @property
    def dead(self) -> Tensor:
        """Channels that have never been above zero, bool ``[C]``."""
        return self.maximum == 0

    @torch.no_grad()
    def update(self, values: Tensor) -> None:
        """Count a batch of activations.

        Args:
            values: ``[N, C, ...]``, not negative.

        Raises:
            ShapeError: The number of channels differs.
            CalibrationError: A value is NaN, infinite or negative.
        """
        if values.dim() < 2 or values.shape[1] != self.channels:
            raise ShapeError(f"expected activations [N, {self.channels}, ...], given {tuple(values.shape)}")
        if values.numel() == 0:
            return
        rows = values.detach().float()
        lowest, highest = (v.item() for v in rows.aminmax())
        if not (lowest >= 0 and highest < float("inf")):
            raise CalibrationError(f"activations must be finite and not negative, found {lowest} to {highest}")
        rows = rows.flatten(2) if rows.dim() > 2 else rows[..., None]
        largest = self.maximum.float().view(torch.int32)
        codes = rows.cpu().contiguous().view(torch.int32).numpy()
        count_codes(codes, _SHIFT, _FIRST, self.counts.numpy(), self.zeros.numpy(), largest.numpy())
        self.maximum = largest.view(torch.float32).double()

    def merge(self, other: Histogram) -> Histogram:
        """Add the counts of ``other``, which must have as many channels; returns self."""
        if other.channels != self.channels:
            raise ShapeError(f"cannot merge a histogram of {other.channels} channels into {self.channels}")
        self.counts += other.counts
        self.zeros += other.zeros
        self.maximum = torch.maximum(self.maximum, other.maximum)
        return self

    def grouped(self, groups: int) -> Histogram:
        """One histogram per group of consecutive channels; ``groups`` must divide the channels."""
        if groups < 1 or self.channels % groups:
            raise ShapeError(f"{self.channels} channels do not divide into {groups} groups")
        whole = Histogram(groups)
        whole.counts = self.counts.reshape(groups, -1, BINS).sum(1)
        whole.zeros = self.zeros.reshape(groups, -1).sum(1)
        whole.maximum = self.maximum.reshape(groups, -1).amax(1)
        return whole

    def pooled(self) -> Histogram:
        """One histogram over all channels."""
        return self.grouped(1)
