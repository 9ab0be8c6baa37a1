"""Event recordings: containers, files, datasets, frames, splits and batches."""

if __name__ == "datasets":
    raise ImportError(
        "this folder installs as 'spikesim.datasets'; import that name, or start Python outside the repository root"
    )

from spikesim.datasets.augment import Augment, BatchAugment, RandomErase, RandomMirror, RandomShift
from spikesim.datasets.batch import EventBatch
from spikesim.datasets.cache import CachedFrames, FrameDataset
from spikesim.datasets.catalog import CATALOG, CatalogDataset, load
from spikesim.datasets.checks import SensorSize
from spikesim.datasets.collation import collate
from spikesim.datasets.convert import EventColumns, EventTensors
from spikesim.datasets.events import EVENT_DTYPE, Events
from spikesim.datasets.folder import EventDataset, EventFolder, RecordingFiles
from spikesim.datasets.formats import (
    FORMATS,
    NMNIST_SENSOR,
    SHD_SENSOR,
    Format,
    Loss,
    Salvaged,
    SpikeFile,
    encode_bin,
    format_of,
    iter_events,
    read_bin,
    read_boxes,
    read_events,
    salvage_events,
    stated_sensor,
    write_bin,
    write_events,
    write_spikes,
)
from spikesim.datasets.frames import EventTally, Framed, Frames, to_frames
from spikesim.datasets.loader import EpochSampler, event_loader
from spikesim.datasets.ndigits import generate_ndigits
from spikesim.datasets.nmnist import NMNIST, TrainTest, load_nmnist
from spikesim.datasets.sharding import ShardedBatches
from spikesim.datasets.simulator import EventSimulator, PixelModel, Simulated, simulate_events, simulate_stream
from spikesim.datasets.split import Split, random_split
from spikesim.datasets.transforms.draw import SampleKey

__all__ = [
    "CATALOG",
    "EVENT_DTYPE",
    "FORMATS",
    "NMNIST",
    "NMNIST_SENSOR",
    "SHD_SENSOR",
    "Augment",
    "BatchAugment",
    "CachedFrames",
    "CatalogDataset",
    "EpochSampler",
    "EventBatch",
    "EventColumns",
    "EventDataset",
    "EventFolder",
    "EventSimulator",
    "EventTally",
    "EventTensors",
    "Events",
    "Format",
    "FrameDataset",
    "Framed",
    "Frames",
    "Loss",
    "PixelModel",
    "RandomErase",
    "RandomMirror",
    "RandomShift",
    "RecordingFiles",
    "Salvaged",
    "SampleKey",
    "SensorSize",
    "ShardedBatches",
    "Simulated",
    "SpikeFile",
    "Split",
    "TrainTest",
    "collate",
    "encode_bin",
    "event_loader",
    "format_of",
    "generate_ndigits",
    "iter_events",
    "load",
    "load_nmnist",
    "random_split",
    "read_bin",
    "read_boxes",
    "read_events",
    "salvage_events",
    "simulate_events",
    "simulate_stream",
    "stated_sensor",
    "to_frames",
    "write_bin",
    "write_events",
    "write_spikes",
]
