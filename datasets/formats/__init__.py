"""Event files: recognised by content, read whole or in windows, written whole or not at all."""

from spikesim.datasets.formats.base import Format, Loss, Options, Salvaged
from spikesim.datasets.formats.bin40 import NMNIST_SENSOR, encode_bin
from spikesim.datasets.formats.boxes import BOX_DTYPE, read_boxes
from spikesim.datasets.formats.detect import FORMATS, format_of
from spikesim.datasets.formats.files import (
    iter_events,
    read_bin,
    read_events,
    salvage_events,
    write_bin,
    write_events,
)
from spikesim.datasets.formats.sensor import stated_sensor
from spikesim.datasets.formats.spikes import SHD_SENSOR, SpikeFile, write_spikes

__all__ = [
    "BOX_DTYPE",
    "FORMATS",
    "NMNIST_SENSOR",
    "SHD_SENSOR",
    "Format",
    "Loss",
    "Options",
    "Salvaged",
    "SpikeFile",
    "encode_bin",
    "format_of",
    "iter_events",
    "read_bin",
    "read_boxes",
    "read_events",
    "salvage_events",
    "stated_sensor",
    "write_bin",
    "write_events",
    "write_spikes",
]
