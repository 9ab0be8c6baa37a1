"""A dataset whose samples are mixed from two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils.data import Dataset

from spikesim.datasets.transforms.draw import Draw, SampleKey, current_sample, sample_at
from spikesim.datasets.transforms.labels import MixedLabel
from spikesim.datasets.transforms.mixing import EventMixer
from spikesim.datasets.transforms.settings import check_probability

_PARTNER, _MIXER = 2**32, 2**32 + 1  # places that no transform of a pipeline has


class MixedDataset(Dataset[tuple[Any, MixedLabel]]):
    """Recordings of a dataset, each mixed with another one of it.

    Partner and region follow from (seed, epoch, sample), so they are the same whatever the number of workers. The
    epoch is the one of :func:`spikesim.datasets.transforms.sample_at` or of a
    :class:`spikesim.datasets.SampleKey`, with which :class:`spikesim.datasets.EpochSampler` asks; else the one last
    given to :meth:`set_epoch`.

    Args:
        dataset: recordings and labels.
        mixer: such as :class:`EventMix` or :class:`CutMix`.
        probability: of mixing a sample; others keep their label with weight 1.
        transform: applied to the mixed events, for example ``ToFrame(n_time_bins=10)``.
        seed: fixes partners and regions.

    Raises:
        ConfigError: ``probability`` is none.

    Example:
        >>> from spikesim.datasets import Events
        >>> from spikesim.datasets.transforms import CutMix, MixedDataset, ToFrame
        >>> one = Events.from_columns([3, 4], [5, 5], [10, 250], [1, 0], (34, 34, 2))
        >>> mixed = MixedDataset([(one, 0), (one, 1)], CutMix(), transform=ToFrame(n_time_bins=4))
        >>> frames, label = mixed[0]
        >>> frames.shape, label.label_a, label == mixed[0][1]
        ((4, 2, 34, 34), 0, True)
    """

    def __init__(
        self,
        dataset: Any,
        mixer: EventMixer,
        probability: float = 1.0,
        transform: Callable[[Any], Any] | None = None,
        seed: int = 0,
    ) -> None:
        check_probability("probability", probability)
        self.dataset = dataset
        self.mixer = mixer
        self.probability = probability
        self.transform = transform
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw anew for this epoch, counted from 0, where nothing else names it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int | SampleKey) -> tuple[Any, MixedLabel]:
        """Return a mixed recording (or what the transform makes of it) and the label of both."""
        key = index if isinstance(index, SampleKey) else current_sample() or SampleKey(self.epoch, int(index))
        sample = key.sample if isinstance(index, SampleKey) else int(index)
        with sample_at(key.epoch, key.sample):
            events, label = self.dataset[sample]
            draw = Draw.for_call(self.seed, _PARTNER, 0)
            mixed = MixedLabel(label, label, 1.0)
            if draw.chance(self.probability):
                partner = self.dataset[int(draw.integers(0, len(self.dataset), 1)[0])]
                events, mixed, *_ = self.mixer((events, label), partner, self.seed, _MIXER)
            return events if self.transform is None else self.transform(events), mixed
