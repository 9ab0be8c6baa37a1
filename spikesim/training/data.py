"""The Lightning data module: recordings framed once, a named split, seeded batches."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as lightning
from torch.utils.data import DataLoader, Subset

from spikesim.datasets import (
    EventBatch,
    FrameDataset,
    Frames,
    RandomShift,
    event_loader,
    load,
    load_nmnist,
    random_split,
)
from spikesim.errors import ConfigError, DatasetError
from spikesim.training.config import TrainConfig


class EventDataModule(lightning.LightningDataModule):
    """Batches of event frames for training, validation and test.

    The validation split is drawn from the training recordings, each class in the same proportion. The
    test recordings are those that the data set itself names so, or those of the protocol asked for, and are never mixed
    with the others.

    Args:
        config: where the recordings are, T, batch size, validation share and seed.

    Attributes:
        classes: the name of each label.
        digest: of the split; equal digests, equal splits.
        rule: how the split was made, in words.
        shape: ``[P, H, W]`` of a frame.

    Raises:
        ConfigError: the dataset or protocol is not known, or has no classes.
        DatasetError: recordings are missing, or too few for a validation split.
        EventError: a recording is damaged.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import generate_ndigits
        >>> from spikesim.training import EventDataModule, TrainConfig
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     recordings = generate_ndigits(Path(folder) / "ndigits", samples=60)
        ...     data = EventDataModule(TrainConfig(data=recordings, val_fraction=0.25))
        ...     data.setup()
        >>> data.samples
        {'training': 36, 'validation': 12, 'test': 12}
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self._parts: dict[str, Any] = {}
        self.classes: tuple[str, ...] = ()
        self.digest = self.rule = ""
        self.shape: tuple[int, ...] = ()

    def setup(self, stage: str | None = None) -> None:
        """Read, frame and split the recordings, once."""
        if self._parts:
            return
        (self._by_name if self.config.dataset else self._in_folders)()

    def _in_folders(self) -> None:
        """N-MNIST's layout: the test recordings are its own, validation is drawn."""
        config = self.config
        if config.protocol is not None:
            raise ConfigError("protocol says how a dataset of the catalogue is split; name it with --dataset")
        frames = Frames(config.timesteps, by=config.frames)
        recordings = load_nmnist(config.data)
        known, test = FrameDataset(recordings.train, frames), FrameDataset(recordings.test, frames)
        split = random_split(known.labels, (1 - config.val_fraction, config.val_fraction), config.seed)
        self._refuse_empty({"validation": len(split.parts[1]), "training": len(split.parts[0])}, len(known))
        training, validation = (Subset(known, part.tolist()) for part in split.parts)
        self.classes = known.classes
        self.digest = split.digest
        self.shape = known.x.shape[2:]
        self.rule = (
            f"Validation is a random {100 * config.val_fraction:g} % of the training recordings, "
            f"stratified by class, seed {config.seed}; the test recordings are the data set's own"
        )
        self._parts = {"training": training, "validation": validation, "test": test}

    def _by_name(self) -> None:
        """A dataset of the catalogue under a named protocol; a published validation part is kept."""
        config = self.config
        name, seed = str(config.dataset), config.seed
        whole = load(name, config.data, "all", protocol=config.protocol, seed=seed)
        if not whole.classes:
            raise ConfigError(f"{whole.entry.name} has no classes to train on ({whole.entry.note})")
        published = len(whole.split.parts["validation"]) > 0
        held = 0.0 if published else config.val_fraction
        made = load(name, config.data, "all", protocol=config.protocol, validation=held, seed=seed).split
        self._refuse_empty({part: len(indices) for part, indices in made.parts.items()}, len(whole))
        parts = {
            "training" if part == "train" else part: load(
                name, config.data, part, protocol=config.protocol, validation=held, seed=seed
            )
            for part in ("train", "validation", "test")
        }
        frames = Frames(config.timesteps, by=config.frames)
        self._parts = {part: FrameDataset(recordings, frames) for part, recordings in parts.items()}
        self.classes = whole.classes
        self.digest = made.digest
        self.shape = self._parts["training"].x.shape[2:]
        self.rule = f"{whole.entry.name} in the layout of {whole.layout.name}, split {made}; " + (
            "validation is the published part"
            if published
            else f"validation is {100 * held:g} % of what was for training"
        )

    def refuse_few(self, ranks: int) -> None:
        """Raise unless every part has a recording for each of so many processes.

        Raises:
            DatasetError: a part has fewer.
        """
        for part, count in self.samples.items():
            if count < ranks:
                raise DatasetError(
                    f"the {part} part of {self.config.data} has {count} recordings, but {ranks} processes share them "
                    f"and each needs one at least; use --devices {max(1, count)} or fewer, or more recordings"
                )

    def _refuse_empty(self, counts: dict[str, int], total: int) -> None:
        config = self.config
        empty = [part for part, count in counts.items() if not count]
        if empty:
            raise DatasetError(
                f"{config.data} has {total} recordings, too few to hold out {config.val_fraction:g} of them: the "
                f"{empty[0]} part is empty; give more recordings, another --val-fraction or another --protocol"
            )

    @property
    def samples(self) -> dict[str, int]:
        """Number of recordings per split."""
        return {name: len(part) for name, part in self._parts.items()}

    @property
    def channels(self) -> int:
        """Polarities of the sensor."""
        return int(self.shape[0])

    @property
    def size(self) -> int:
        """Height and width of the sensor in pixels.

        Raises:
            ConfigError: the sensor is not square.
        """
        height, width = self.shape[1:]
        if height != width:
            raise ConfigError(
                f"the recordings are {width}x{height} pixels, and conv_snn takes square ones; "
                "give a network of your own with --model package.module:factory"
            )
        return int(height)

    def train_dataloader(self) -> DataLoader[Any]:
        """Give shuffled, shifted training batches; their order is a function of seed and epoch."""
        augment = RandomShift(self.config.shift) if self.config.shift else None
        return self._loader("training", shuffle=True, augment=augment)

    def val_dataloader(self) -> DataLoader[Any]:
        """Give the validation batches in a fixed order."""
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[Any]:
        """Give the test batches in a fixed order."""
        return self._loader("test")

    def test_sample(self, most: int) -> EventBatch:
        """Give at most so many test recordings, evenly spaced: recordings of one class often follow each other."""
        part = self._parts["test"]
        count = min(most, len(part))
        chosen = Subset(part, [len(part) * k // count for k in range(count)])
        batch: EventBatch = next(iter(event_loader(chosen, count, shuffle=False, seed=self.config.seed)))
        return batch

    def part(self, name: str) -> DataLoader[Any]:
        """Give the batches of "training", "validation" or "test" in a fixed order, without shifts."""
        return self._loader(name)

    def _loader(self, part: str, shuffle: bool = False, augment: Any = None) -> DataLoader[Any]:
        return event_loader(
            self._parts[part],
            self.config.batch_size,
            shuffle=shuffle,
            seed=self.config.seed,
            num_workers=self.config.workers,
            augment=augment,
            pin_memory=self.config.device != "cpu" and _has_gpu(),
            shard=_shard(),
        )


def _shard() -> tuple[int, int]:
    """The share of this process in every part of the data: all of it where it is alone."""
    import torch.distributed as dist

    alone = not (dist.is_available() and dist.is_initialized())
    return (0, 1) if alone else (dist.get_rank(), dist.get_world_size())


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
