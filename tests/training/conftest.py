import pytest
import torch

from spikesim.datasets import generate_ndigits
from spikesim.training import TrainConfig, train


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """48 training and 12 test recordings."""
    return generate_ndigits(tmp_path_factory.mktemp("events") / "ndigits", samples=60, threads=1)


@pytest.fixture
def tiny(recordings, tmp_path):
    """Settings of a run that takes a second."""
    return TrainConfig(
        data=recordings, out=tmp_path / "run", width=2, timesteps=3, epochs=3, batch_size=16,
        val_fraction=0.25, lr=0.02, threads=1, device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="session")
def unbroken(recordings, tmp_path_factory):
    """A finished run, with the settings of ``tiny``; not to be written to."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    config = TrainConfig(
        data=recordings, out=out, width=2, timesteps=3, epochs=3, batch_size=16,
        val_fraction=0.25, lr=0.02, threads=1, device="cpu",
    )  # fmt: skip
    return train(config)


@pytest.fixture(autouse=True)
def keep_threads():
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before
