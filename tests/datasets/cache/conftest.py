import numpy as np
import pytest

from spikesim.datasets import Events, generate_ndigits, load


@pytest.fixture(scope="package")
def recordings(tmp_path_factory):
    """A folder of 32 training and 8 test recordings."""
    return generate_ndigits(tmp_path_factory.mktemp("data") / "ndigits", samples=40, threads=1)


@pytest.fixture
def train(recordings):
    return load("nmnist", recordings, "train")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def made():
    """A function that makes a few recordings of several lengths in memory."""

    def make(count=6, seed=0):
        generator = np.random.default_rng(seed)
        samples = []
        for n in range(count):
            events = 5 + 20 * n
            x, y, p = (generator.integers(0, size, events) for size in (6, 5, 2))
            t = np.sort(generator.integers(0, 1000 * (n + 1), events))
            samples.append((Events.from_columns(x, y, t, p, (6, 5, 2)), n % 3))
        return samples

    return make
