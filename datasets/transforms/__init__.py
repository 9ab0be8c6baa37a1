"""Transforms of events: filters, frames and augmentation, as callables for :class:`Pipeline` or Tonic's ``Compose``."""

from spikesim.datasets.transforms.arrays import NumpyAsType, Repeat, ToOneHotEncoding
from spikesim.datasets.transforms.base import Applied, Counted, EventTransform
from spikesim.datasets.transforms.clouds import SamplePoints, farthest_points, nearest_points
from spikesim.datasets.transforms.crops import CenterCrop, CropTime, RandomCrop
from spikesim.datasets.transforms.cutmix import CutMix, cutmix_batch
from spikesim.datasets.transforms.deletion import TemporalDelete
from spikesim.datasets.transforms.downsampling import EventDownsampling
from spikesim.datasets.transforms.draw import Draw, SampleKey, sample_at
from spikesim.datasets.transforms.drops import DropEvent, DropEventByArea, DropEventByTime, EventDrop
from spikesim.datasets.transforms.eventmix import EventMix
from spikesim.datasets.transforms.filters import Decimation, Denoise, RefractoryPeriod
from spikesim.datasets.transforms.flips import (
    MergePolarities,
    RandomFlipLR,
    RandomFlipPolarity,
    RandomFlipUD,
    RandomTimeReversal,
)
from spikesim.datasets.transforms.frames import ToFrame
from spikesim.datasets.transforms.geometry import RandomCutout, RandomRoll, RandomRotate, RandomShear
from spikesim.datasets.transforms.hats import ToAveragedTimesurface
from spikesim.datasets.transforms.hot import HotPixelFilter, hot_pixels
from spikesim.datasets.transforms.labels import MixedLabel, soft_targets
from spikesim.datasets.transforms.mixed import MixedDataset
from spikesim.datasets.transforms.mixing import EventMixer, Mixed
from spikesim.datasets.transforms.nda import NDA
from spikesim.datasets.transforms.pipeline import AccountRow, Compose, Pipeline
from spikesim.datasets.transforms.pixels import DropPixel, RandomDropPixel
from spikesim.datasets.transforms.space import Downsample, SpatialJitter, UniformNoise
from spikesim.datasets.transforms.stream import Stream
from spikesim.datasets.transforms.surfaces import ToTimesurface, ToVoxelGrid
from spikesim.datasets.transforms.tensors import ToBinaRep, ToImage, ToSparseTensor
from spikesim.datasets.transforms.times import TimeAlignment, TimeJitter, TimeSkew

__all__ = [
    "NDA",
    "AccountRow",
    "Applied",
    "CenterCrop",
    "Compose",
    "Counted",
    "CropTime",
    "CutMix",
    "Decimation",
    "Denoise",
    "Downsample",
    "Draw",
    "DropEvent",
    "DropEventByArea",
    "DropEventByTime",
    "DropPixel",
    "EventDownsampling",
    "EventDrop",
    "EventMix",
    "EventMixer",
    "EventTransform",
    "HotPixelFilter",
    "MergePolarities",
    "Mixed",
    "MixedDataset",
    "MixedLabel",
    "NumpyAsType",
    "Pipeline",
    "RandomCrop",
    "RandomCutout",
    "RandomDropPixel",
    "RandomFlipLR",
    "RandomFlipPolarity",
    "RandomFlipUD",
    "RandomRoll",
    "RandomRotate",
    "RandomShear",
    "RandomTimeReversal",
    "RefractoryPeriod",
    "Repeat",
    "SampleKey",
    "SamplePoints",
    "SpatialJitter",
    "Stream",
    "TemporalDelete",
    "TimeAlignment",
    "TimeJitter",
    "TimeSkew",
    "ToAveragedTimesurface",
    "ToBinaRep",
    "ToFrame",
    "ToImage",
    "ToOneHotEncoding",
    "ToSparseTensor",
    "ToTimesurface",
    "ToVoxelGrid",
    "UniformNoise",
    "cutmix_batch",
    "farthest_points",
    "hot_pixels",
    "nearest_points",
    "sample_at",
    "soft_targets",
]
