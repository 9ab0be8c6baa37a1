"""Transformers from the command line: audit, conversion, energy; pictures and numbers of tokens."""

import json

import numpy as np

_VIT = ["--set", "size=8", "--set", "width=0.03125", "--set", "depth=1"]
_DECODER = ["--set", "tokens=7", "--set", "length=6", "--set", "features=4", "--set", "depth=1", "--set", "heads=1"]


def test_audit_says_what_stays_analog(spikesim, tmp_path):
    for name, options, shape in (("vit", _VIT, "3,8,8"), ("decoder", _DECODER, "6")):
        code, out, _ = spikesim("audit", name, *options, "--input-shape", shape, "--json", tmp_path / "a.json")
        rows = json.loads((tmp_path / "a.json").read_text())["rows"]
        assert code == 0 and "running means" in " ".join(out.split())
        assert [row["op"] for row in rows if row["verdict"] == "analog"][1] == "scaled_dot_product_attention"
        assert "unsupported" not in {row["verdict"] for row in rows}


def test_a_vit_converts_and_is_priced(spikesim, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((8, 3, 8, 8), np.float32), y=np.arange(8))
    words = ["convert", "vit", *_VIT, "--calibration", tmp_path / "x.npz", "--evaluate", tmp_path / "x.npz"]
    code, out, _ = spikesim(*words, "--timesteps", 2, "--output", tmp_path / "snn")
    assert code == 0 and "signed multi_threshold(4)" in out and "ANALOG" in out
    code, out, _ = spikesim("energy", tmp_path / "snn", "--input-shape", "3,8,8")
    assert code == 0 and "not priced" in " ".join(out.split())


def test_tokens_are_whole_numbers(spikesim, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).integers(0, 7, (8, 5)))
    words = ["convert", "decoder", *_DECODER, "--calibration", tmp_path / "x.npz"]
    code, out, _ = spikesim(*words, "--timesteps", 2, "--output", tmp_path / "snn")
    assert code == 0 and "signed multi_threshold(4)" in out
    code, _, _ = spikesim("energy", tmp_path / "snn", "--calibration", tmp_path / "x.npz")
    assert code == 0
    np.savez(tmp_path / "x.npz", x=np.full((8, 5), 7))
    code, _, err = spikesim(*words)
    assert code == 1 and "index out of range" in err and "Traceback" not in err
