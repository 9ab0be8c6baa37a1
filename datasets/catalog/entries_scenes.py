"""Long recordings of traffic, rooms and eyes, without classes; what is to be found in them lies in other files."""

from __future__ import annotations

from functools import partial

from spikesim.datasets.catalog import layouts, readers
from spikesim.datasets.catalog.entry import Entry, Layout
from spikesim.datasets.catalog.recording import Recording
from spikesim.datasets.catalog.splits import RANDOM, official

_DSEC_TEST = frozenset(
    [
        "thun_01_a",
        "thun_01_b",
        "interlaken_00_a",
        "interlaken_00_b",
        "interlaken_01_a",
        "zurich_city_12_a",
        "zurich_city_13_a",
        "zurich_city_13_b",
        "zurich_city_14_a",
        "zurich_city_14_b",
        "zurich_city_14_c",
        "zurich_city_15_a",
    ]
)
_NO_CLASSES = "no classes: labels are -1"


def _dsec(recording: Recording, up: int) -> Recording:
    name = recording.path.parents[up].name
    group = "test" if name in _DSEC_TEST else "train"
    return recording._replace(group=group, source=name.rsplit("_", 1)[0], called=name)


def _nerdd(recording: Recording) -> Recording:
    archive, scene = recording.path.parents[2].name, recording.path.parents[1].name
    return recording._replace(source=archive, called=f"{archive}/{scene}")


def _mvsec(recording: Recording) -> Recording:
    return recording._replace(source=recording.path.parent.name)


SCENES = (
    Entry(
        "gen1",
        "road traffic with boxes around cars and pedestrians",
        (304, 240, 2),
        (
            Layout(
                "published",
                "{train,val,test}/*_td.dat, each with *_bbox.npy",
                layouts.matching(
                    ("", "detection_dataset_duration_60s_ratio_1.0"),
                    ("train/**/*_td.dat", "val/**/*_td.dat", "test/**/*_td.dat"),
                    layouts.boxed,
                ),
                readers.any_format,
                {"train": 1460, "validation": 429, "test": 470},
            ),
        ),
        {"official": official},
        "de Tournemire et al. 2020, https://arxiv.org/abs/2001.08499",
        note="a detection dataset: labels are -1, boxes come from read_boxes",
    ),
    Entry(
        "dsec",
        "driving by day and night, the left of two cameras",
        (640, 480, 2),
        (
            Layout(
                "tonic",
                "DSEC/<recording>/events_left/events.h5",
                layouts.matching(("DSEC", ""), ("*/events_left/events.h5",), partial(_dsec, up=1)),
                readers.any_format,
                {"train": 41, "test": 12},
            ),
            Layout(
                "published",
                "{train,test}/<recording>/events/left/events.h5",
                layouts.matching(
                    ("", "DSEC"), ("train/*/events/left/events.h5", "test/*/events/left/events.h5"),
                    partial(_dsec, up=2),
                ),
                readers.any_format,
                {"train": 41, "test": 12},
            ),
        ),
        {"official": official},
        "Gehrig et al. 2021, https://doi.org/10.1109/LRA.2021.3068942",
        "DSEC",
        f"{_NO_CLASSES}; disparity and flow lie beside the events, which need hdf5plugin: pip install 'spikesim[dsec]'",
    ),
    Entry(
        "davisdata",
        "shapes, rooms and streets in front of a DAVIS240C",
        (240, 180, 2),
        (
            Layout(
                "tonic",
                "DAVISDATA/*.bag",
                layouts.matching(("DAVISDATA", ""), ("*.bag",)),
                partial(readers.any_format, topic="/dvs/events"),
                {"": 25},
            ),
        ),
        RANDOM,
        "Mueggler et al. 2017, https://doi.org/10.1177/0278364917691115",
        "DAVISDATA",
        f"{_NO_CLASSES}; pictures and poses stay in the bags, which need rosbags: pip install 'spikesim[rosbag]'",
    ),
    Entry(
        "mvsec",
        "flying, walking and driving, the left of two DAVIS346",
        (346, 260, 2),
        (
            Layout(
                "tonic",
                "MVSEC/<scene>/*_data.bag",
                layouts.matching(("MVSEC", ""), ("*/*_data.bag",), _mvsec),
                partial(readers.any_format, topic="/davis/left/events"),
                {"": 10},
            ),
        ),
        RANDOM,
        "Zhu et al. 2018, https://doi.org/10.1109/LRA.2018.2800793",
        "MVSEC",
        f"{_NO_CLASSES}; depth and poses lie in *_gt.bag; needs rosbags: pip install 'spikesim[rosbag]'",
    ),
    Entry(
        "vpr",
        "one road at six times of the day",
        (346, 260, 2),
        (
            Layout(
                "tonic",
                "VPR/dvs_vpr_*.bag",
                layouts.matching(("VPR", ""), ("dvs_vpr_*.bag",)),
                partial(readers.any_format, topic="/dvs/events"),
                {"": 6},
            ),
        ),
        RANDOM,
        "Fischer and Milford 2020, https://doi.org/10.1109/LRA.2020.3025505",
        "VPR",
        f"{_NO_CLASSES}; places lie in *.nmea; needs rosbags: pip install 'spikesim[rosbag]'",
    ),
    Entry(
        "tumvie",
        "walking, cycling and sliding with a headset, the left of two cameras",
        (1280, 720, 2),
        (
            Layout(
                "tonic",
                "TUMVIE/<recording>/<recording>-events_left.h5",
                layouts.matching(("TUMVIE", ""), ("*/*-events_left.h5",)),
                partial(readers.any_format, rounding="nearest"),
                {"": 21},
            ),
        ),
        RANDOM,
        "Klenk et al. 2021, https://arxiv.org/abs/2108.07329",
        "TUMVIE",
        f"{_NO_CLASSES}; pictures and poses lie beside the events, which need hdf5plugin: pip install 'spikesim[dsec]'",
    ),
    Entry(
        "threeet",
        "eyes that move, with the pupil's place",
        (240, 180, 2),
        (
            Layout(
                "tonic",
                "ThreeET_Eyetracking/{train,val}_files.txt and data/*.h5",
                layouts.listed,
                readers.h5_table,
            ),
        ),
        {"official": official, **RANDOM},
        "Chen et al. 2023, https://arxiv.org/abs/2308.11771",
        "ThreeET_Eyetracking",
        f"{_NO_CLASSES}; the places lie in labels/*.txt; published in a training and a validation part",
        aliases=("3et", "threeeteyetracking"),
    ),
    Entry(
        "nerdd",
        "drones in front of a Prophesee camera",
        (1280, 720, 2),
        (
            Layout(
                "tonic",
                "DATA/archive_<k>/<scene>/Event/output_events.npz",
                layouts.matching(("DATA", "NERDD/DATA"), ("*/*/Event/output_events.npz",), _nerdd),
                partial(readers.any_format, columns="xypt"),
                {"": 115},
            ),
        ),
        RANDOM,
        "Magrini et al., https://github.com/MagriniGabriele/NeRDD",
        "NERDD",
        f"{_NO_CLASSES}; boxes lie in ev_rgb_coordinates.txt",
        folder=".",
    ),
)  # fmt: skip
"""Whole scenes."""
