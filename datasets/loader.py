"""Data loading that gives the same batches for the same seed, whatever the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from spikesim.datasets.augment import Augment
from spikesim.datasets.batch import collate
from spikesim.datasets.counter import key_of, order_of
from spikesim.datasets.transforms.draw import SampleKey
from spikesim.errors import ConfigError

_ORDER_STREAM = 4
_AUGMENT_STREAM = 5


class EpochSampler(Sampler[SampleKey]):
    """The order of samples, which depends on the seed and the epoch alone.

    Each pass is the next epoch; :meth:`set_epoch` names the epoch of the next pass (Lightning calls it,
    which is how a resumed run continues with the right order).

    Args:
        data: anything with a length.
        shuffle: a new random order each epoch, else ascending.
        seed: fixes the orders.

    Example:
        >>> from spikesim.datasets import EpochSampler
        >>> sampler = EpochSampler(range(4), shuffle=True, seed=0)
        >>> first, second = list(sampler), list(sampler)
        >>> sampler.set_epoch(0)
        >>> first == list(sampler), first[0].epoch, second[0].epoch
        (True, 0, 1)
    """

    def __init__(self, data: Sized, *, shuffle: bool, seed: int) -> None:
        self.data = data
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass the one of this epoch, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[SampleKey]:
        epoch = self.epoch
        self.epoch += 1
        count = len(self.data)
        order = order_of(count, self.seed, _ORDER_STREAM, epoch).tolist() if self.shuffle else range(count)
        return iter([SampleKey(epoch, sample) for sample in order])


class _Keyed(Dataset[tuple[Any, int]]):
    """A dataset asked by sample key, with the augmentation of that sample in that epoch."""

    def __init__(self, dataset: Any, augment: Augment | None, seed: int) -> None:
        self.dataset = dataset
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: SampleKey) -> tuple[Any, int]:
        if not isinstance(key, SampleKey):
            raise ConfigError(
                f"the loader's sampler was replaced by one that gives {key!r}; expected the one "
                "that event_loader makes. In Lightning pass use_distributed_sampler=False"
            )
        frames, label = self.dataset[key.sample]
        if self.augment is None:
            return frames, label
        generator = torch.Generator()
        generator.manual_seed(int(key_of(self.seed, _AUGMENT_STREAM, key.epoch, key.sample) >> 1))
        return self.augment(torch.as_tensor(frames), generator), label


def event_loader(
    dataset: Any,
    batch_size: int,
    *,
    shuffle: bool,
    seed: int,
    num_workers: int = 0,
    augment: Augment | None = None,
    drop_last: bool = False,
    pin_memory: bool = False,
) -> DataLoader[Any]:
    """Return a loader of :class:`EventBatch`.

    The same seed gives the same batches and the same augmentation, whatever the number of workers. Each pass
    over the loader is the next epoch, with a new order; ``loader.sampler.set_epoch(e)`` names the epoch of
    the next pass, for a run that resumes. Drawing batches leaves torch's global random state alone.

    Args:
        dataset: framed samples: :class:`FrameDataset`, a ``Subset`` of it, or a dataset with
            ``transform=Frames(...)``.
        batch_size: samples in a batch, 1 or more.
        shuffle: a new random order each epoch.
        seed: fixes order and augmentation.
        num_workers: processes that load; 0 loads in this one, which is fastest for :class:`FrameDataset`.
        augment: applied to each sample, such as :class:`RandomShift`.
        drop_last: leave out the last batch if it is not full.
        pin_memory: put batches into page-locked memory for a GPU.

    Returns:
        The loader; batches are ``EventBatch(x [T, N, C, H, W], lengths [N], mask, y [N])``.

    Raises:
        ConfigError: ``batch_size`` or ``num_workers`` is out of range.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets import event_loader
        >>> samples = [(np.zeros((4, 2, 8, 8), np.uint8), label) for label in range(10)]
        >>> loader = event_loader(samples, 4, shuffle=True, seed=0)
        >>> [tuple(batch.x.shape) for batch in loader]
        [(4, 4, 2, 8, 8), (4, 4, 2, 8, 8), (4, 2, 2, 8, 8)]
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}; expected 1 or more")
    if num_workers < 0:
        raise ConfigError(f"num_workers is {num_workers}; expected 0 or more")
    return DataLoader(
        _Keyed(dataset, augment, seed),
        batch_size=batch_size,
        sampler=EpochSampler(dataset, shuffle=shuffle, seed=seed),
        num_workers=num_workers,
        collate_fn=collate,
        drop_last=drop_last,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        generator=torch.Generator().manual_seed(seed & (2**63 - 1)),  # else torch's global one is drawn from
    )
