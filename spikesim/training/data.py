"""The Lightning data module: recordings framed once, a named split, seeded batches."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as lightning
from torch.utils.data import DataLoader, Subset

from spikesim.datasets import FrameDataset, Frames, RandomShift, event_loader, load_nmnist, random_split
from spikesim.errors import ConfigError, DatasetError
from spikesim.training.config import TrainConfig


class EventDataModule(lightning.LightningDataModule):
    """Batches of event frames for training, validation and test.

    The validation split is drawn from the training recordings, each class in the same proportion. The
    test recordings are those that the data set itself names so, and are never mixed with the others.

    Args:
        config: where the recordings are, T, batch size, validation share and seed.

    Raises:
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

    def setup(self, stage: str | None = None) -> None:
        """Read, frame and split the recordings, once."""
        if self._parts:
            return
        config = self.config
        frames = Frames(config.timesteps, by=config.frames)
        recordings = load_nmnist(config.data)
        known, test = FrameDataset(recordings.train, frames), FrameDataset(recordings.test, frames)
        split = random_split(known.labels, (1 - config.val_fraction, config.val_fraction), config.seed)
        if not all(len(part) for part in split.parts):
            raise DatasetError(
                f"{config.data} has {len(known)} training recordings, too few to hold out "
                f"{config.val_fraction:g} of them; give more recordings or another --val-fraction"
            )
        training, validation = (Subset(known, part.tolist()) for part in split.parts)
        self.classes = known.classes
        self.digest = split.digest
        self.shape = known.x.shape[2:]
        self._parts = {"training": training, "validation": validation, "test": test}

    @property
    def samples(self) -> dict[str, int]:
        """Number of recordings per split."""
        return {name: len(part) for name, part in self._parts.items()}

    @property
    def rule(self) -> str:
        """How the split was made, in words."""
        return (
            f"Validation is a random {100 * self.config.val_fraction:g} % of the training recordings, "
            f"stratified by class, seed {self.config.seed}; the test recordings are the data set's own"
        )

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

    def _loader(self, part: str, shuffle: bool = False, augment: Any = None) -> DataLoader[Any]:
        return event_loader(
            self._parts[part],
            self.config.batch_size,
            shuffle=shuffle,
            seed=self.config.seed,
            num_workers=self.config.workers,
            augment=augment,
            pin_memory=self.config.device != "cpu" and _has_gpu(),
        )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
