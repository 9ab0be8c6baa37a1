import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from spikesim.models import digits_cnn


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "w.safetensors"
    save_file({k: v.contiguous() for k, v in digits_cnn(width=4).state_dict().items()}, path)
    return path


_SMALL = ["--set", "width=4"]


def test_audit_of_a_convertible_network(spikesim, tmp_path, weights):
    words = ["audit", "digits_cnn", *_SMALL, "--weights", weights, "--input-shape", "1,8,8"]
    code, out, _ = spikesim(*words, "--json", tmp_path / "audit.json")
    assert code == 0 and "convertible" in out and "BatchNorm2d" in out
    rows = json.loads((tmp_path / "audit.json").read_text())["rows"]
    assert {row["verdict"] for row in rows} == {"exact", "folded", "approximated"}


def test_audit_of_another_exits_with_3(spikesim, tmp_path, monkeypatch):
    (tmp_path / "elu_net.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(4, 4), nn.ELU(), nn.Linear(4, 2))\n"
    )
    monkeypatch.chdir(tmp_path)
    code, out, err = spikesim("audit", "elu_net:build", "--input-shape", "4")
    assert code == 3 and "ELU" in out and "cannot be converted" in err
    np.save(tmp_path / "x.npy", np.ones((4, 4), np.float32))
    code, out, err = spikesim("convert", "elu_net:build", "--calibration", "x.npy")
    assert code == 1 and "ELU" in err and "Traceback" not in err and not out


def test_convert_writes_network_and_reports(spikesim, tmp_path, weights, images):
    words = ["convert", "digits_cnn", *_SMALL, "--weights", weights, "--calibration", images]
    code, out, _ = spikesim(*words, "--timesteps", 4, "--evaluate", images, "--output", tmp_path / "snn")
    assert code == 0 and "4 spiking layers, T=4" in out and "ANN" in out
    report = json.loads((tmp_path / "snn" / "report.json").read_text())
    assert report["timesteps"] == 4 and report["proof"]["analog_nonlinearities"] == []
    assert len(report["accuracy"]["snn"]) == 4
    assert report["audit"]["rows"]
    assert "stem_0.weight" in " ".join(load_file(tmp_path / "snn" / "weights.safetensors"))
    code, out, _ = spikesim("energy", str(tmp_path / "snn"), "--input-shape", "1,8,8", "--json", tmp_path / "e.json")
    assert code == 0 and "zero-skipping" in out
    assert json.loads((tmp_path / "e.json").read_text())


def test_convert_calibrates_stage_by_stage(spikesim, tmp_path, weights, images):
    words = ["convert", "digits_cnn", *_SMALL, "--weights", weights, "--calibration", images, "--timesteps", 2]
    code, _, _ = spikesim(*words, "--calibrate", "bias,potential", "--output", tmp_path / "snn")
    report = json.loads((tmp_path / "snn" / "report.json").read_text())
    assert code == 0 and report["calibration"].startswith("bias (") and "potential (" in report["calibration"]
    code, _, err = spikesim(*words, "--calibrate", "labels")
    assert code == 1 and "weights, scale, bias, potential" in err and "Traceback" not in err


def test_exact_conversion_shows_its_certificate(spikesim, tmp_path, weights, images):
    words = ["convert", "digits_cnn", *_SMALL, "--weights", weights, "--calibration", images, "--timesteps", "2"]
    code, out, _ = spikesim(*words, "--exact", "--output", tmp_path / "out")
    assert code == 0 and "st_bif" in out and "Exact: against" in out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["certificate"]["settled"] and report["certificate"]["difference"] < 1e-9
    code, _, err = spikesim(*words, "--exact", "--neuron", "burst")
    assert code == 1 and "does not take back" in err
    code, _, err = spikesim(*words, "--neuron", "lif")
    assert code == 1 and "expected one of if" in err


def test_convert_with_every_option(spikesim, tmp_path, weights, images):
    words = ["convert", "digits_cnn", *_SMALL, "--weights", weights, "--calibration", images, "--timesteps", 4]
    words += [
        "--evaluate",
        images,
        "--readout",
        "delayed(2)",
        "--early-exit",
        0.9,
        "--calibrate",
        "bias,potential",
        "--samples",
        32,
        "--neuron",
        "burst(3)",
    ]
    words += ["--output", tmp_path / "snn", "--plot", tmp_path / "p.png", "--json", tmp_path / "r.json"]
    code, out, err = spikesim(*words)
    assert code == 0 and "Early exit: accuracy" in out and "2 before" in out and "J" in out
    assert not err  # bars are for terminals
    assert (tmp_path / "p.png").read_bytes()[1:4] == b"PNG" and (tmp_path / "snn" / "exit.json").is_file()
    report = json.loads((tmp_path / "r.json").read_text())
    assert len(report["accuracy"]["expense"]["energy"]) == 4 and report["readout"] == "delayed(2)"


def test_energy_of_an_exact_network(spikesim, tmp_path, weights, images):
    words = ["convert", "digits_cnn", *_SMALL, "--weights", weights, "--calibration", images, "--timesteps", 2]
    assert spikesim(*words, "--exact", "--output", tmp_path / "out")[0] == 0
    for source in (["--calibration", images], ["--input-shape", "1,8,8"]):
        code, out, _ = spikesim("energy", tmp_path / "out", *source, "--json", tmp_path / "e.json")
        assert code == 0 and "per inference" in out
    assert json.loads((tmp_path / "e.json").read_text())["timesteps"] >= 2


def test_damaged_folders_are_one_message(spikesim, tmp_path, weights, images):
    words = ["convert", "digits_cnn", *_SMALL, "--weights", weights, "--calibration", images, "--timesteps", 2]
    assert spikesim(*words, "--output", tmp_path / "out")[0] == 0
    (tmp_path / "out" / "report.json").write_text("{}")
    code, _, err = spikesim("energy", tmp_path / "out", "--input-shape", "1,8,8")
    assert code == 1 and "report.json" in err and "Traceback" not in err


def test_a_method_that_cannot_be_had(spikesim, tmp_path, weights, images):
    words = ["compare", "digits_cnn", *_SMALL, "--weights", weights, "--calibration", images, "--evaluate", images]
    words += ["--timesteps", 2, "--method", "neuron=parallel, readout=delayed"]
    code, out, _ = spikesim(*words, "--method", "mse", "--output", tmp_path / "a.csv", "--output", tmp_path / "a.svg")
    assert code == 0 and "failed: readout is 'delayed'" in out
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3 and b"<svg" in (tmp_path / "a.svg").read_bytes()
    code, _, err = spikesim(*words, "--output", tmp_path / "b.csv", "--output", tmp_path / "b.png")
    assert code == 3 and "no method could be had" in err
    assert (tmp_path / "b.csv").is_file() and not (tmp_path / "b.png").exists()


def test_compare_sets_methods_side_by_side(spikesim, tmp_path, weights, images):
    words = ["compare", "digits_cnn", *_SMALL, "--weights", weights, "--calibration", images, "--evaluate", images]
    words += ["--timesteps", "1", "--timesteps", "2", "--method", "mse", "--method", "exact"]
    code, out, _ = spikesim(*words, "--output", tmp_path / "methods.csv")
    assert code == 0 and "one layer a step" in out and "exact" in out
    lines = (tmp_path / "methods.csv").read_text().splitlines()
    assert lines[0].startswith("method,timesteps") and len(lines) == 5
    code, _, err = spikesim(*words, "--method", "best")
    assert code == 1 and "'best'" in err


def test_energy_of_an_ann_and_of_its_conversion(spikesim, tmp_path, weights, images):
    words = ["energy", "digits_cnn", *_SMALL, "--weights", weights, "--calibration", images, "--samples", 8]
    code, out, _ = spikesim(*words, "--json", tmp_path / "ann.json")
    assert code == 0 and "per inference" in out
    code, out, _ = spikesim(*words, "--timesteps", 4, "--json", tmp_path / "snn.json")
    assert code == 0 and "Spiking" in out
    ann, snn = (json.loads((tmp_path / name).read_text()) for name in ("ann.json", "snn.json"))
    assert ann["timesteps"] == 1 and snn["timesteps"] == 4 and snn["samples"] == 8
    assert snn["energy"]["dense_ann"] == pytest.approx(ann["energy"]["dense_ann"])


def test_energy_of_an_event_network(spikesim, tmp_path, recordings):
    words = ["energy", "conv_snn", *_SMALL, "--recordings", recordings, "--samples", 5, "--timesteps", 3]
    code, out, _ = spikesim(*words, "--json", tmp_path / "e.json")
    assert code == 0 and "features.0" in out
    report = json.loads((tmp_path / "e.json").read_text())
    assert (report["timesteps"], report["samples"]) == (3, 5)
    unfolded = spikesim(*words, "--no-fold", "--json", tmp_path / "u.json")
    assert unfolded[0] == 0
    assert json.loads((tmp_path / "u.json").read_text())["energy"]["network"] > report["energy"]["network"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["audit", "no_such:factory", "--input-shape", "4"], "cannot import 'no_such'"),
        (["audit", "digits_cnn"], "either --input-shape, such as 1,28,28, or --calibration FILE"),
        (["audit", "digits_cnn", "--input-shape", "1,8,x"], "given '1,8,x', expected positive sizes"),
        (["audit", "digits_cnn", "--input-shape", "1,8,8", "--set", "width"], "expected NAME=VALUE"),
        (["audit", "digits_cnn", "--input-shape", "1,8,8", "--weights", "no.ckpt"], "no.ckpt does not exist"),
        (["audit", "digits_cnn", "--input-shape", "1,8,8", "--weights", "WEIGHTS"], "does not fit DigitsCNN"),
        (["convert", "digits_cnn", "--calibration", "no.npz"], "no.npz does not exist"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--timesteps", "0"], "timesteps is 0"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--granularity", "net"], "granularity is 'net'"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--evaluate", "PLAIN"], "holds no labels"),
        (["energy", "digits_cnn", "--calibration", "IMAGES", "--profile", "none"], "none"),
        (["energy", "digits_cnn", "--calibration", "IMAGES", "--input", "x"], "expected analog, analog_once"),
        (["energy", "digits_cnn", "--calibration", "IMAGES", "--timesteps", "0"], "timesteps is 0"),
        (["energy", "conv_snn", "--recordings", "no/folder"], "no/folder"),
        (["energy", "conv_snn", "--recordings", "x", "--calibration", "IMAGES"], "give one kind of input"),
        (["energy", "conv_snn", "--input-shape", "2,34,34", "--timesteps", "0"], "timesteps is 0"),
        (["energy", "conv_snn", "--calibration", "IMAGES", "--timesteps", "4"], "is a spiking network already"),
        (["energy", "conv_snn", "--input-shape", "1,34,34"], "fails on the inputs of uniform random noise"),
        (["energy", "digits_cnn", "--recordings", "x"], "--recordings are for a spiking network"),
        (["energy", "digits_cnn", "--calibration", "OTHER"], "[N, ...] = [4, 3, 8, 8]"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--readout", "rate"], "expected 'membrane', 'count'"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--plot", "p.png"], "--plot draws accuracy"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--json", "p.txt"], "the ending is '.txt'"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--early-exit", "2"], "agreement is 2.0"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--exact", "--early-exit", "0.9"], "leave out one"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--evaluate", "IMAGES", "--profile", "x"], "no profile"),
        (["compare", "digits_cnn", "--calibration", "IMAGES", "--evaluate", "IMAGES", "--output", "p.txt"], "'.txt'"),
        (["convert", "digits_cnn", "--calibration", "OTHER"], "DigitsCNN fails on the inputs of"),
        (["convert", "digits_cnn", "--calibration", "IMAGES", "--evaluate", "OTHER"], "DigitsCNN fails on the inputs"),
        (["audit", "digits_cnn", "--input-shape", "3,8,8"], "DigitsCNN fails on the inputs of --input-shape"),
    ],
)
def test_bad_input_is_one_message(spikesim, tmp_path, weights, images, words, message):
    np.save(tmp_path / "plain.npy", np.ones((4, 1, 8, 8), np.float32))
    np.savez(tmp_path / "other.npz", x=np.ones((4, 3, 8, 8), np.float32), y=np.zeros(4, np.int64))
    files = {"WEIGHTS": weights, "IMAGES": images, "PLAIN": tmp_path / "plain.npy", "OTHER": tmp_path / "other.npz"}
    code, _, err = spikesim(*(files.get(word, word) for word in words))
    assert code == 1, err
    assert message in err and "Traceback" not in err
