"""From the command line: models of several inputs, NIR graphs, networks of snnTorch, training that goes on."""

import json

import numpy as np
import pytest
import torch

from spikesim.converters import from_nir, load_converted
from spikesim.training import load_run

_MODELS = """
import torch
from torch import nn

class Robot(nn.Module):
    def __init__(self):
        super().__init__()
        self.see, self.feel, self.act = nn.Linear(16, 6), nn.Linear(3, 6), nn.Linear(6, 4)

    def forward(self, image, state, gain=None):
        seen = self.see(image.flatten(1)) + self.feel(state)
        return self.act(torch.relu(seen if gain is None else seen + gain))

class Told(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.seen, self.out = nn.Embedding(5, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, y, picture):
        return self.out(torch.relu(self.words(y).mean(1) + self.seen(picture)))

def ann(pixels=16, classes=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 8), nn.ReLU(), nn.Linear(8, classes))

def spiking():
    import snntorch as snn
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 8), snn.Leaky(0.9, init_hidden=True), nn.Linear(8, 4),
                         snn.Leaky(0.8, init_hidden=True, output=True))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "cli_models.py").write_text(_MODELS)
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    image, state, y = random.random((32, 1, 4, 4), np.float32), random.random((32, 3), np.float32), np.arange(32) % 4
    np.savez("robot.npz", image=image, state=state, y=y)
    np.savez("images.npz", x=image, y=y)
    np.savez("steps.npz", x=2 * random.random((6, 5, 16), np.float32))
    np.savez("told.npz", y=random.integers(0, 5, (16, 3)), picture=state[:16], labels=y[:16] % 2)
    return tmp_path


def test_a_model_of_several_inputs(spikesim, here):
    shapes = ["--input-shape", "state=3", "--input-shape", "image=1,4,4"]
    code, out, _ = spikesim("audit", "cli_models:Robot", *shapes)
    assert code == 0 and "relu" in out
    words = ["cli_models:Robot", "--calibration", "robot.npz", "--evaluate", "robot.npz", "--timesteps", 2]
    code, out, _ = spikesim("convert", *words, "--output", "snn")
    assert code == 0 and "1 spiking layers, T=2" in out
    report = json.loads((here / "snn" / "report.json").read_text())
    assert report["calibration_samples"] == 32 and len(report["accuracy"]["snn"]) == 2
    code, out, _ = spikesim("compare", *words, "--method", "mse", "--output", "found.csv")
    assert code == 0 and len((here / "found.csv").read_text().splitlines()) == 2
    code, out, _ = spikesim("energy", "snn", "--calibration", "robot.npz", "--json", "e.json")
    assert code == 0 and json.loads((here / "e.json").read_text())["samples"] == 32
    code, _, _ = spikesim("energy", "cli_models:Robot", *shapes)
    assert code == 0


def test_token_numbers_beside_pictures(spikesim, here):
    words = ["cli_models:Told", "--calibration", "told.npz", "--evaluate", "told.npz", "--timesteps", 2]
    code, out, _ = spikesim("convert", *words)
    assert code == 0 and "ANN" in out


def test_nir_out_and_in(spikesim, here):
    pytest.importorskip("nir")
    words = ["cli_models:ann", "--calibration", "images.npz", "--timesteps", 4]
    code, out, err = spikesim("convert", *words, "--nir", "net.nir", "--dt", 2e-3, "--output", "snn")
    assert code == 0 and "written to net.nir" in out and "another reader" in err and "Warning" not in err
    network, x = load_converted("snn").network, torch.rand(3, 1, 4, 4)
    assert torch.equal(from_nir("net.nir")(x), network(x))
    for name in ("snn", "net.nir"):
        code, out, _ = spikesim("energy", name, "--calibration", "images.npz", "--json", f"{name}.json")
        assert code == 0
    energies = [json.loads((here / f"{name}.json").read_text())["energy"]["network"] for name in ("snn", "net.nir")]
    assert energies[0] == pytest.approx(energies[1])
    code, out, _ = spikesim("convert", "net.nir", "--calibration", "images.npz", "--nir", "again.nir")
    assert code == 0 and "IF" in out and torch.equal(from_nir("again.nir")(x), network(x))


def test_a_network_of_snntorch(spikesim, here):
    pytest.importorskip("snntorch")
    code, out, err = spikesim("convert", "cli_models:spiking", "--calibration", "steps.npz")
    assert code == 0 and "100.00% of all outputs" in out and "Leaky" in out and not err
    code, _, err = spikesim("convert", "cli_models:spiking", "--calibration", "images.npz")
    assert code == 1 and "fails on the inputs of images.npz" in err
    code, _, err = spikesim("convert", "cli_models:spiking", "--output", "snn", "--evaluate", "images.npz")
    assert code == 1 and "--output, --evaluate" in err


def test_training_goes_on_from_a_conversion(spikesim, here, recordings):
    x = np.random.default_rng(0).random((16, 2, 34, 34), np.float32)
    np.savez("frames.npz", x=x)
    words = ["cli_models:ann", "--set", "pixels=2312", "--set", "classes=10", "--calibration", "frames.npz"]
    assert spikesim("convert", *words, "--timesteps", 3, "--output", "snn")[0] == 0
    tiny = ["--timesteps", 3, "--epochs", 1, "--threads", 1, "--device", "cpu", "--val-fraction", 0.25]
    code, said, _ = spikesim("train", recordings, "--model", "snn", *tiny, "--out", "run", "--lr", 1e-3)
    assert code == 0 and "test accuracy" in said
    network = load_run("run").network
    assert {"module.relu_2.keep", "module.relu_2.threshold"} < {name for name, _ in network.named_parameters()}
    assert network(torch.rand(3, 2, 2, 34, 34)).shape == (2, 10)
    code, _, err = spikesim("train", recordings, "--model", "snn", *tiny, "--out", "other", "--width", 8)
    assert code == 1 and "width: the network in snn has its own" in err
    words = ["cli_models:ann", "--calibration", "images.npz", "--timesteps", 3, "--output", "small"]
    assert spikesim("convert", *words)[0] == 0
    code, _, err = spikesim("train", recordings, "--model", "small", *tiny, "--out", "third")
    assert code == 1 and "does not take frames" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["audit", "cli_models:Robot", "--input-shape", "1,4,4"], "--input-shape image=... --input-shape state=..."),
        (["audit", "cli_models:Robot", "--input-shape", "image=1,4,4", "--input-shape", "3"], "the name of its input"),
        (["audit", "cli_models:Robot", "--input-shape", "image=1,4,4", "--input-shape", "feel=3"], "name them as it"),
        (["convert", "cli_models:Robot", "--calibration", "images.npz"], "missing: image, state"),
        (["convert", "cli_models:Robot", "--calibration", "robot.npz", "--nir", "a.nir"], "a NIR graph has one input"),
        (["convert", "cli_models:Robot"], "give typical inputs with --calibration"),
        (["convert", "cli_models:ann", "--calibration", "images.npz", "--nir", "a.h5"], "the ending is '.h5'"),
        (["convert", "cli_models:ann", "--calibration", "images.npz", "--nir", "a.nir", "--exact"], "NIR cannot say"),
        (["energy", "no.nir", "--input-shape", "3"], "there is no file no.nir"),
    ],
)
def test_bad_input_is_one_message(spikesim, here, words, message):
    code, _, err = spikesim(*words)
    assert code == 1 and message in err and "Traceback" not in err, err
