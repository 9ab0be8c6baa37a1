"""Options of spikesim energy: which baseline, which input, which weights, and refusals before anything is counted."""

import json

import pytest


@pytest.fixture
def folder(spikesim, images, tmp_path):
    path = tmp_path / "converted"
    words = ["--set", "width=2", "--calibration", images, "--timesteps", 4, "--output", path]
    code, _, err = spikesim("convert", "digits_cnn", *words)
    assert code == 0, err
    return path


@pytest.fixture
def run(spikesim, tmp_path):
    def energy(*words):
        code, out, err = spikesim("energy", *words, "--json", tmp_path / "e.json")
        assert code == 0, err
        return json.loads((tmp_path / "e.json").read_text()), out

    return energy


def _charged(layer, column):
    return layer["counts"].get(column, [0])


def test_a_converted_folder_beside_its_source(spikesim, run, folder, images):
    data = ("--calibration", images, "--samples", 4)
    beside, _ = run(folder, *data, "--ann", "digits_cnn", "--ann-set", "width=2")
    twin, _ = run(folder, *data)
    assert beside["baseline"] == "source ANN digits_cnn" and "ReLU twin" in twin["baseline"]
    assert "batch-norms" not in beside["verdict"]
    unfolded, _ = run(folder, *data, "--ann", "digits_cnn", "--ann-set", "width=2", "--no-fold")
    assert "batch-norms that the network does not have" in unfolded["verdict"]
    assert unfolded["energy"]["dense_ann"] > beside["energy"]["dense_ann"]
    code, _, err = spikesim("energy", folder, *data, "--ann", "digits_cnn", "--ann-weights", images)
    assert code == 1 and "images.npz" in err


def test_a_constant_input_is_charged_as_it_is_said_to_be(run, folder, images):
    data = (folder, "--calibration", images, "--samples", 4)
    once, each = (run(*data, "--input", f"analog_{how}")[0]["ledger"] for how in ("once", "each_step"))
    assert (once["input"], each["input"]) == ("analog_once", "analog_each_step")
    first, again = (_charged(ledger["layers"][0], "mac_dense") for ledger in (once, each))
    assert first[0] > 0 and first[1:] == [0, 0, 0] and again == first[:1] * 4


def test_weights_that_are_zero_may_be_left_out(run):
    shape = ("digits_cnn", "--set", "width=2", "--input-shape", "1,8,8", "--samples", 2)
    report, _ = run(*shape, "--connections", "nonzero")
    assert report["ledger"]["connections"] == report["ann_ledger"]["connections"] == "nonzero"
    assert run(*shape)[0]["ledger"]["connections"] == "all"


def test_strict_refuses_what_has_no_price(spikesim, tmp_path, monkeypatch):
    (tmp_path / "soft_net.py").write_text(
        "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.Linear(6, 3), nn.Softmax(-1))\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["energy", "soft_net:build", "--input-shape", 6]
    assert spikesim(*words)[0] == 0
    code, _, err = spikesim(*words, "--strict")
    assert code == 1 and "_softmax" in err


@pytest.mark.parametrize(
    "words,said",
    [
        (["--input", "spikes"], "expected analog, analog_once, analog_each_step or events"),
        (["--connections", "some"], "expected all or nonzero"),
        (["--ann", "digits_cnn"], "--ann is the baseline of a spiking network"),
        (["--ann-weights", "w.pt"], "give --ann too"),
    ],
)
def test_options_that_mean_nothing_are_refused(spikesim, words, said):
    code, _, err = spikesim("energy", "digits_cnn", "--input-shape", "1,8,8", *words)
    assert code == 1 and said in " ".join(err.split())


@pytest.mark.parametrize("form", ["json", "html", "latex", "markdown", "csv"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(spikesim, tmp_path, form):
    (tmp_path / "file").write_text("")
    for path, why in ((tmp_path / "file" / "r.out", "Not a directory"), (tmp_path, "it is a folder")):
        code, out, err = spikesim("energy", "no_such:model", "--input-shape", "1,8,8", f"--{form}", path)
        assert code == 1 and "cannot write" in err and why in err and not out
