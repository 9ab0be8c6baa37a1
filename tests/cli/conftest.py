import numpy as np
import pytest

from spikesim.cli import main
from spikesim.datasets import generate_ndigits


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """48 training and 12 test recordings."""
    return generate_ndigits(tmp_path_factory.mktemp("cli") / "ndigits", samples=60, threads=1)


@pytest.fixture
def spikesim(capsys, monkeypatch):
    """Run the command in this process; gives exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words):
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def images(tmp_path):
    """64 images for digits_cnn, with labels."""
    generator = np.random.default_rng(0)
    path = tmp_path / "images.npz"
    np.savez(path, x=generator.random((64, 1, 8, 8), np.float32), y=generator.integers(0, 10, 64))
    return path
