"""Data loading that gives the same batches for the same seed, whatever the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler, Subset, get_worker_info

from spikesim.datasets.augment import Augment, BatchAugment, check_augment
from spikesim.datasets.batch import EventBatch
from spikesim.datasets.cache.stored import StoredFrames
from spikesim.datasets.collation import as_frames, collate, pair_of
from spikesim.datasets.counter import key_of, keys_at, order_of
from spikesim.datasets.labels import class_names
from spikesim.datasets.sharding import ShardedBatches
from spikesim.datasets.transforms.base import EventTransform
from spikesim.datasets.transforms.draw import SampleKey, sample_at
from spikesim.datasets.transforms.settings import check_seed, check_whole
from spikesim.errors import ConfigError, ShapeError, SpikesimError

_ORDER_STREAM = 4
_AUGMENT_STREAM = 5
_ON_FRAMES = 2**33  # as a place in a pipeline: one that no transform of the dataset has


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


class _Failed(NamedTuple):
    """What went wrong in a worker; torch would make one long text of it and its traceback."""

    error: SpikesimError


class _Loader(DataLoader[Any]):
    """A loader whose errors are the same with workers and without."""

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            if isinstance(batch, _Failed):
                raise batch.error
            yield batch


class _Keyed(Dataset["EventBatch | _Failed"]):
    """A dataset asked for batches by sample keys, with the augmentation of those samples in that epoch."""

    def __init__(self, dataset: Any, augments: tuple[Any, ...], seed: int, classes: int | None) -> None:
        self.dataset = dataset
        self.augments = augments
        self.seed = seed
        self.classes = classes
        self.on_batches = all(isinstance(augment, BatchAugment) for augment in augments)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, keys: Sequence[SampleKey]) -> EventBatch | _Failed:
        """Fetch a batch; torch's loader calls this in place of ``__getitem__`` for each of its samples."""
        try:
            return self._batch(keys)
        except SpikesimError as error:
            if get_worker_info() is None:
                raise
            return _Failed(error)

    def _batch(self, keys: Sequence[SampleKey]) -> EventBatch:
        for key in keys:
            if not isinstance(key, SampleKey):
                raise ConfigError(
                    f"the loader's sampler was replaced by one that gives {key!r}; expected the one "
                    "that event_loader makes. In Lightning pass use_distributed_sampler=False"
                )
        if not self.on_batches:
            return collate([self._augmented(key) for key in keys], self.classes)
        stored, places = _within(self.dataset, [key.sample for key in keys])
        batch = (
            stored.batch(places, self.classes)
            if isinstance(stored, StoredFrames)
            else collate([self._sample(key) for key in keys], self.classes)
        )
        x = batch.x
        for place, augment in enumerate(self.augments):
            made = augment.on_batch(x, self._keys(keys, place))
            if not isinstance(made, torch.Tensor) or made.ndim != 5 or made.shape[:2] != x.shape[:2]:
                given = f"{tuple(made.shape)}" if isinstance(made, torch.Tensor) else type(made).__name__
                raise ShapeError(
                    f"augment {augment!r} made {given} of frames {tuple(x.shape)}; expected [T, N, C, H, W] with the "
                    "same T and N"
                )
            x = made
        return replace(batch, x=x)

    def _sample(self, key: SampleKey) -> tuple[Any, Any]:
        with sample_at(key.epoch, key.sample, self.seed):
            return pair_of(self.dataset[key.sample], key.sample)

    def _augmented(self, key: SampleKey) -> tuple[Any, Any]:
        sample, label = self._sample(key)
        frames = as_frames(sample)
        for place, augment in enumerate(self.augments):
            draws = self._keys([key], place)
            if isinstance(augment, BatchAugment):
                frames = augment.on_batch(frames[:, None].contiguous(), draws)[:, 0]
            elif isinstance(augment, EventTransform):
                with sample_at(key.epoch, key.sample, self.seed):
                    frames = as_frames(augment.counted(frames.numpy(), place=_ON_FRAMES + place).result)
            else:
                generator = torch.Generator()
                generator.manual_seed(int(draws[0] >> np.uint64(1)))
                frames = augment(frames, generator)
        return frames, label

    def _keys(self, keys: Sequence[SampleKey], place: int) -> NDArray[np.uint64]:
        """What the augmentation at a place draws from for each sample."""
        stream = (self.seed, _AUGMENT_STREAM) if place == 0 else (self.seed, _AUGMENT_STREAM, place)
        epochs = {epoch: key_of(*stream, epoch) for epoch in {key.epoch for key in keys}}
        samples = np.array([key.sample for key in keys], np.uint64)
        return keys_at(np.array([epochs[key.epoch] for key in keys], np.uint64), samples)


def _within(dataset: Any, places: list[int]) -> tuple[Any, list[int]]:
    """The dataset inside torch's subsets, and where the samples lie in it."""
    while type(dataset) is Subset:  # a class derived from it may do more than choose
        places = [int(dataset.indices[place]) for place in places]
        dataset = dataset.dataset
    return dataset, places


def _as_it_comes(batch: Any) -> Any:
    return batch


def event_loader(
    dataset: Any,
    batch_size: int,
    *,
    shuffle: bool,
    seed: int,
    num_workers: int = 0,
    augment: Augment | BatchAugment | EventTransform | Sequence[Any] | None = None,
    drop_last: bool = False,
    pin_memory: bool = False,
    classes: int | None = None,
    shard: tuple[int, int] = (0, 1),
) -> DataLoader[Any]:
    """Return a loader of :class:`EventBatch`.

    The same seed gives the same batches and the same augmentation, whatever the number of workers. Each pass
    over the loader is the next epoch, with a new order; ``loader.sampler.set_epoch(e)`` names the epoch of
    the next pass, for a run that resumes. Drawing batches leaves torch's global random state alone.

    Batches of :class:`CachedFrames` and :class:`FrameDataset` are fetched at once. Random transforms of events in the
    dataset, and :class:`spikesim.datasets.transforms.MixedDataset`, draw from (seed, epoch, index), too.

    Args:
        dataset: framed samples: :class:`CachedFrames`, :class:`FrameDataset`, a ``Subset`` of them, or a dataset
            with ``transform=Frames(...)``.
        batch_size: samples in a batch, 1 or more.
        shuffle: a new random order each epoch.
        seed: fixes order and augmentation.
        num_workers: processes that load; 0 loads in this one, which is fastest for framed datasets.
        augment: :class:`RandomShift` or another :class:`BatchAugment`, which works on the batch; any callable
            ``(frames, generator) -> frames``; a transform of events that takes frames, such as
            :class:`spikesim.datasets.transforms.RandomDropPixel`; or a row of them.
        drop_last: leave out the last batch if it is not full.
        pin_memory: put batches into page-locked memory for a GPU.
        classes: number of classes, where labels are mixed and the dataset does not tell.
        shard: rank of this process and number of processes that share the samples (:class:`ShardedBatches`); then
            ``loader.batch_sampler.sampler`` is what has ``set_epoch``.

    Returns:
        The loader; batches are ``EventBatch(x [T, N, C, H, W], lengths [N], mask, y)``.

    Raises:
        ConfigError: ``batch_size``, ``num_workers`` or ``seed`` is out of range, the dataset has no length or fewer
            samples than processes, or ``augment`` takes no frames.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets import event_loader
        >>> samples = [(np.zeros((4, 2, 8, 8), np.uint8), label) for label in range(10)]
        >>> loader = event_loader(samples, 4, shuffle=True, seed=0)
        >>> [tuple(batch.x.shape) for batch in loader]
        [(4, 4, 2, 8, 8), (4, 4, 2, 8, 8), (4, 2, 2, 8, 8)]
    """
    check_whole("batch_size", batch_size, 1)
    check_whole("num_workers", num_workers, 0)
    check_seed(seed)
    seed = int(seed)
    if classes is not None:
        check_whole("classes", classes, 1)
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise ConfigError(
            f"dataset is a {type(dataset).__name__}; expected samples with a length, asked for by index: a list, or "
            "CachedFrames, FrameDataset or a Subset of them"
        )
    sampler = EpochSampler(dataset, shuffle=shuffle, seed=seed)
    batches: dict[str, Any] = (
        {"batch_size": int(batch_size), "sampler": sampler, "drop_last": drop_last}
        if shard == (0, 1)
        else {"batch_sampler": ShardedBatches(sampler, int(batch_size), *shard, drop_last)}
    )
    return _Loader(
        _Keyed(dataset, check_augment(augment), seed, classes or len(class_names(dataset)) or None),
        **batches,
        num_workers=int(num_workers),
        collate_fn=_as_it_comes,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        generator=torch.Generator().manual_seed(seed & (2**63 - 1)),  # else torch's global one is drawn from
    )
