"""Datasets of pictures, gestures and lips with classes."""

from __future__ import annotations

from spikesim.datasets.catalog import layouts, readers
from spikesim.datasets.catalog.entry import Entry, Layout
from spikesim.datasets.catalog.splits import RANDOM, WITH_PARTS, at_random, by_subject, first_of_each_class, official

_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_DIGITS = tuple("0123456789")
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
_TRAIN_TEST = {"train": "train", "test": "test"}
_NUMPY = (".npz", ".npy")

VISION = (
    Entry(
        "nmnist",
        "handwritten digits, moved in front of an ATIS camera",
        (34, 34, 2),
        (
            Layout(
                "tonic",
                "NMNIST/{Train,Test}/<digit>/*.bin",
                layouts.class_folders(
                    ("NMNIST", ""), (".bin", ".bs2"), groups={"Train": "train", "Test": "test"}, classes=_DIGITS
                ),
                readers.bin40,
                {"train": 60000, "test": 10000},
            ),
            Layout(
                "spikingjelly",
                "events_np/{train,test}/<digit>/*.npz",
                layouts.class_folders(("events_np",), _NUMPY, groups=_TRAIN_TEST, classes=_DIGITS),
                readers.any_format,
                {"train": 60000, "test": 10000},
            ),
        ),
        WITH_PARTS,
        "Orchard et al. 2015, https://doi.org/10.3389/fnins.2015.00437",
        "NMNIST",
        size="1.1 GB compressed (neuromorphicsystems.github.io/land/n-mnist)",
    ),
    Entry(
        "ncaltech101",
        "Caltech101's images, moved in front of an ATIS camera",
        (240, 180, 2),
        (
            Layout(
                "tonic",
                "NCALTECH101/Caltech101/<class>/*.bin",
                layouts.class_folders(("NCALTECH101/Caltech101", "Caltech101"), (".bin",)),
                readers.bin40,
                {"": 8709},
            ),
            Layout(
                "spikingjelly",
                "events_np/<class>/*.npz",
                layouts.class_folders(("events_np",), _NUMPY),
                readers.any_format,
                {"": 8709},
            ),
        ),
        RANDOM,
        "Orchard et al. 2015, https://doi.org/10.3389/fnins.2015.00437",
        "NCALTECH101",
        "no official split: name the one you used; Caltech101's class Faces is left out by its publishers",
    ),
    Entry(
        "dvsgesture",
        "eleven hand and arm gestures of 29 people",
        (128, 128, 2),
        (
            Layout(
                "tonic",
                "DVSGesture/{ibmGestureTrain,ibmGestureTest}/user<NN>_<light>/<label>.npy",
                layouts.gesture_npy,
                readers.gesture_npy,
                {"train": 1077, "test": 264},
            ),
            Layout(
                "spikingjelly",
                "events_np/{train,test}/<label>/user<NN>_<light>_<k>.npz",
                layouts.class_folders(
                    ("events_np",), _NUMPY, groups=_TRAIN_TEST, classes=tuple(map(str, range(11))),
                    describe=layouts.gesture,
                ),
                readers.any_format,
                {"train": 1176, "test": 288},
            ),
            Layout(
                "published",
                "DvsGesture/user<NN>_<light>.aedat with _labels.csv and trials_to_{train,test}.txt",
                layouts.gesture_aedat,
                readers.any_format,
                {"train": 1176, "test": 288},
            ),
        ),
        {"official": official, "subjects": by_subject(0.2), "random": at_random(0.1)},
        "Amir et al. 2017, https://doi.org/10.1109/CVPR.2017.781",
        "DVSGesture",
        "Tonic's files hold 1077/264 recordings, those cut by the published tables 1176/288: say which you used; in "
        "the published table of user22_led class 9 ends inside class 10",
        size="3 GB as published, 5 GB unpacked (its README); of Tonic's two archives not published",
    ),
    Entry(
        "cifar10dvs",
        "CIFAR-10's images, moved on a screen in front of a DVS128",
        (128, 128, 2),
        (
            Layout(
                "tonic",
                "CIFAR10DVS/<class>/*.aedat4",
                layouts.class_folders(("CIFAR10DVS", ""), (".aedat4",), classes=_CIFAR10),
                readers.any_format,
                {"": 10000},
            ),
            Layout(
                "spikingjelly",
                "events_np/<class>/*.npz",
                layouts.class_folders(("events_np",), _NUMPY, classes=_CIFAR10),
                readers.any_format,
                {"": 10000},
            ),
        ),
        {"random": at_random(0.1), "first-100": first_of_each_class(100)},
        "Li et al. 2017, https://doi.org/10.3389/fnins.2017.00309",
        "CIFAR10DVS",
        "no official split; the first 100 of each class as test score much higher than a random tenth",
    ),
    Entry(
        "asldvs",
        "24 letters of American Sign Language",
        (240, 180, 2),
        (
            Layout(
                "tonic",
                "ASLDVS/<letter>/*.mat",
                layouts.class_folders(("ASLDVS", ""), (".mat",), classes=_LETTERS),
                readers.asl_mat,
                {"": 100800},
            ),
            Layout(
                "spikingjelly",
                "events_np/<letter>/*.npz",
                layouts.class_folders(("events_np",), _NUMPY, classes=_LETTERS),
                readers.any_format,
                {"": 100800},
            ),
        ),
        RANDOM,
        "Bi et al. 2019, https://doi.org/10.1109/ICCV.2019.00058",
        "ASLDVS",
        "no official split: name the one you used; in SpikingJelly's files left and right are exchanged",
    ),
    Entry(
        "dvslip",
        "a hundred spoken words, by the lips",
        (128, 128, 2),
        (
            Layout(
                "tonic",
                "DVSLip/DVS-Lip/{train,test}/<word>/*.npy",
                layouts.class_folders(("DVSLip/DVS-Lip", "DVS-Lip", ""), (".npy",), groups=_TRAIN_TEST),
                readers.any_format,
                {"train": 14896, "test": 4975},
            ),
            Layout(
                "spikingjelly",
                "events_np/{train,test}/<word>/*.npy",
                layouts.class_folders(("events_np",), _NUMPY, groups=_TRAIN_TEST),
                readers.any_format,
                {"train": 14896, "test": 4975},
            ),
        ),
        WITH_PARTS,
        "Tan et al. 2022, https://doi.org/10.1109/CVPR52688.2022.01946",
        "DVSLip",
        "labels number the words in alphabetical order, Tonic's in an order of its own",
    ),
    Entry(
        "pokerdvs",
        "the four suits of cards, shuffled in front of a DVS",
        (35, 35, 2),
        (
            Layout(
                "tonic",
                "POKERDVS/{pips_train,pips_test}/{cl,he,di,sp}/*.npy",
                layouts.class_folders(
                    ("POKERDVS", ""), (".npy",), groups={"pips_train": "train", "pips_test": "test"},
                    classes=("cl", "he", "di", "sp"),
                ),
                readers.poker_npy,
                {"train": 48, "test": 20},
            ),
        ),
        WITH_PARTS,
        "Serrano-Gotarredona and Linares-Barranco 2015, https://doi.org/10.3389/fnins.2015.00481",
        "POKERDVS",
    ),
    Entry(
        "ncars",
        "cars and background, from a car with an ATIS camera",
        (120, 100, 2),
        (
            Layout(
                "published",
                "{train,test}/{background,cars}/*.dat",
                layouts.class_folders(
                    ("n-cars", "N-CARS", "Prophesee_Dataset_n_cars", ""), (".dat",),
                    groups={"train": "train", "test": "test", "n-cars_train": "train", "n-cars_test": "test"},
                    classes=("background", "cars"),
                ),
                readers.any_format,
                {"train": 15422, "test": 8607},
            ),
        ),
        WITH_PARTS,
        "Sironi et al. 2018, https://doi.org/10.1109/CVPR.2018.00186",
    ),
)  # fmt: skip
"""What a camera saw, with one class for each recording."""
