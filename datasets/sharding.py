"""One order of samples shared out among processes: none lost, none repeated."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch.utils.data import Sampler

from spikesim.datasets.transforms.draw import SampleKey
from spikesim.errors import ConfigError


class ShardedBatches(Sampler[list[SampleKey]]):
    """The batches of one of several processes ("ranks").

    Together the ranks walk through the order of ``sampler`` in common batches of ``ranks * batch_size`` samples, of
    which each takes every ``ranks``-th: the same samples at the same step as one process with the larger batch. All
    ranks have equally many batches, none of them empty. The last common batch is what is left over; where that is
    less than one sample each, it joins the batch before, so that some ranks then have ``batch_size + 1``.

    Args:
        sampler: the common order, equal on all ranks; :meth:`EpochSampler.set_epoch` is called on it.
        batch_size: samples of a rank in a batch.
        rank: of this process, from 0.
        ranks: processes.
        drop_last: leave out the last common batch if it is not full.

    Raises:
        ConfigError: a rank that there is not, or fewer samples than ranks.

    Example:
        >>> from spikesim.datasets import EpochSampler
        >>> from spikesim.datasets.sharding import ShardedBatches
        >>> order = EpochSampler(range(9), shuffle=False, seed=0)
        >>> for rank in range(2):
        ...     print([[key.sample for key in batch] for batch in ShardedBatches(order, 2, rank, 2)])
        [[0, 2], [4, 6, 8]]
        [[1, 3], [5, 7]]
    """

    def __init__(
        self, sampler: Sampler[SampleKey], batch_size: int, rank: int, ranks: int, drop_last: bool = False
    ) -> None:
        count = len(sampler)  # type: ignore[arg-type]
        if not 0 <= rank < ranks:
            raise ConfigError(f"rank is {rank}, but with {ranks} processes it must be from 0 to {ranks - 1}")
        if count < ranks:
            raise ConfigError(
                f"{count} samples cannot be shared out among {ranks} processes, as each needs one at least; "
                "use fewer devices, or give more samples"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.rank = rank
        self.ranks = ranks
        self.drop_last = drop_last

    def borders(self) -> list[int]:
        """Where the common batches begin and end, ascending."""
        count, common = len(self.sampler), self.batch_size * self.ranks  # type: ignore[arg-type]
        full, left = divmod(count, common)
        borders = [place * common for place in range(full + 1)]
        if self.drop_last or not left:
            return borders
        if left < self.ranks and full:
            return [*borders[:-1], count]
        return [*borders, count]

    def __len__(self) -> int:
        return len(self.borders()) - 1

    def __iter__(self) -> Iterator[list[SampleKey]]:
        order, borders = list(self.sampler), self.borders()
        for first, end in pairwise(borders):
            yield order[first + self.rank : end : self.ranks]
