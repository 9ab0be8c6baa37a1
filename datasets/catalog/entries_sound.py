"""Datasets of spikes that stand for sound, and of pictures read pixel by pixel."""

from __future__ import annotations

from spikesim.datasets.catalog import layouts, ntidigits, readers, smnist
from spikesim.datasets.catalog.entry import Entry, Layout
from spikesim.datasets.catalog.splits import WITH_PARTS, WITH_SUBJECTS

_SSC_FILES = {"ssc_train.h5": "train", "ssc_valid.h5": "validation", "ssc_test.h5": "test"}
_SSC_COUNTS = {"train": 75466, "validation": 9981, "test": 20382}

SOUND = (
    Entry(
        "shd",
        "spoken digits in English and German through a model cochlea of 700 channels",
        (700, 1, 1),
        (
            Layout(
                "tonic",
                "SHD/shd_{train,test}.h5",
                layouts.spike_files(("SHD",), {"shd_train.h5": "train", "shd_test.h5": "test"}),
                readers.spike_row,
                {"train": 8156, "test": 2264},
            ),
            Layout(
                "spikingjelly",
                "{events_h5,extract}/shd_{train,test}.h5",
                layouts.spike_files(("events_h5", "extract"), {"shd_train.h5": "train", "shd_test.h5": "test"}),
                readers.spike_row,
                {"train": 8156, "test": 2264},
            ),
        ),
        WITH_SUBJECTS,
        "Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364",
        "SHD",
        "two speakers are only in the test part",
    ),
    Entry(
        "ssc",
        "spoken commands through a model cochlea of 700 channels",
        (700, 1, 1),
        (
            Layout(
                "tonic",
                "SSC/ssc_{train,valid,test}.h5",
                layouts.spike_files(("SSC",), _SSC_FILES),
                readers.spike_row,
                _SSC_COUNTS,
            ),
            Layout(
                "spikingjelly",
                "{events_h5,extract}/ssc_{train,valid,test}.h5",
                layouts.spike_files(("events_h5", "extract"), _SSC_FILES),
                readers.spike_row,
                _SSC_COUNTS,
            ),
        ),
        WITH_SUBJECTS,
        "Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364",
        "SSC",
    ),
    Entry(
        "ntidigits",
        "spoken digits through a silicon cochlea of 64 channels",
        (64, 1, 1),
        (
            Layout(
                "tonic", "NTIDIGITS18/n-tidigits.hdf5", ntidigits.single_digits, ntidigits.read,
            ),
        ),
        WITH_SUBJECTS,
        "Anumula et al. 2018, https://doi.org/10.3389/fnins.2018.00023",
        "NTIDIGITS18",
        "recordings of one digit, with Tonic's labels (o, 1 to 9, z); those of several have no class and are left out",
        aliases=("ntidigits18",),
    ),
    Entry(
        "smnist",
        "handwritten digits, read pixel by pixel, as spikes of 99 channels",
        (smnist.CHANNELS, 1, 1),
        (
            Layout(
                "tonic",
                "smnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte, or the same in MNIST/raw/",
                smnist.pictures,
                smnist.read,
                {"train": 60000, "test": 10000},
            ),
        ),
        WITH_PARTS,
        "LeCun et al. 1998, http://yann.lecun.com/exdb/mnist/; spikes as Bellec et al. 2018 (arXiv:1803.09574)",
        "SMNIST",
        folder="smnist",
    ),
)  # fmt: skip
"""Channels in place of pixels."""
