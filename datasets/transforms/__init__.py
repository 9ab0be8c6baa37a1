"""Transforms of events: filters, frames and augmentation, as callables for :class:`Pipeline` or Tonic's ``Compose``."""

from spikesim.datasets.transforms.base import Applied, Counted, EventTransform
from spikesim.datasets.transforms.draw import Draw, SampleKey, sample_at
from spikesim.datasets.transforms.filters import Denoise, RefractoryPeriod
from spikesim.datasets.transforms.frames import ToFrame
from spikesim.datasets.transforms.hats import ToAveragedTimesurface
from spikesim.datasets.transforms.pipeline import AccountRow, Pipeline
from spikesim.datasets.transforms.stream import Stream
from spikesim.datasets.transforms.surfaces import ToTimesurface, ToVoxelGrid

__all__ = [
    "AccountRow",
    "Applied",
    "Counted",
    "Denoise",
    "Draw",
    "EventTransform",
    "Pipeline",
    "RefractoryPeriod",
    "SampleKey",
    "Stream",
    "ToAveragedTimesurface",
    "ToFrame",
    "ToTimesurface",
    "ToVoxelGrid",
    "sample_at",
]
