"""Training on a dataset of the catalogue: its parts, its protocols, and what cannot be trained on."""

import numpy as np
import pytest

from spikesim.datasets import Events, generate_ndigits, load, write_events, write_spikes
from spikesim.errors import ConfigError, DatasetError
from spikesim.training import EventDataModule, TrainConfig


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return generate_ndigits(tmp_path_factory.mktemp("named") / "ndigits", samples=60, threads=1)


def module(data, **settings):
    made = EventDataModule(TrainConfig(data=data, timesteps=2, **settings))
    made.setup()
    return made


def test_parts_are_those_of_the_catalogue(digits):
    made = module(digits, dataset="N-MNIST", val_fraction=0.25, seed=3)
    parts = {p: load("nmnist", digits, p, validation=0.25, seed=3) for p in ("train", "validation", "test")}
    assert made.samples == {"training": 36, "validation": 12, "test": 12}
    assert made.digest == parts["train"].split.digest and "official (36 train, 12 validation, 12 test" in made.rule
    assert made._parts["validation"].labels.tolist() == parts["validation"].labels.tolist()
    assert made.size == 34 and made.channels == 2 and made.classes == tuple("0123456789")
    other = module(digits, dataset="nmnist", protocol="random", val_fraction=0.25, seed=3)
    assert other.digest != made.digest and sum(other.samples.values()) == 60


def test_a_published_validation_part_is_kept(tmp_path):
    rows = [Events.from_columns([5], [0], [1000], [1], (700, 1, 1)) for _ in range(4)]
    for part in ("train", "valid", "test"):
        write_spikes(tmp_path / f"ssc_{part}.h5", rows, [0, 1, 0, 1], classes=("go", "stop"))
    made = module(tmp_path, dataset="ssc")
    assert made.samples == {"training": 4, "validation": 4, "test": 4} and "the published part" in made.rule
    with pytest.raises(ConfigError, match="the recordings are 700x1 pixels, and conv_snn takes square ones"):
        _ = made.size


def test_what_cannot_be_trained_on_is_named(digits, tmp_path):
    path = tmp_path / "train" / "17-03-30_12-53-58_0_60_td.dat"
    path.parent.mkdir()
    write_events(path, Events.from_columns([1], [1], [5], [1], (304, 240, 2)))
    with pytest.raises(ConfigError, match="gen1 has no classes to train on"):
        module(tmp_path, dataset="gen1")
    with pytest.raises(ConfigError, match="expected one of nmnist"):
        module(digits, dataset="imagenet")
    with pytest.raises(ConfigError, match="name it with --dataset"):
        module(digits, protocol="random")
    with pytest.raises(DatasetError, match="the validation part is empty"):
        module(digits, dataset="nmnist", val_fraction=0.001)
    np.save(tmp_path / "0.npy", np.zeros((0, 4)))
    with pytest.raises(DatasetError, match="is no dvsgesture in"):
        module(tmp_path, dataset="dvsgesture")
