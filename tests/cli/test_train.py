import json

import pytest

from spikesim.training import TrainConfig

_TINY = ["--width", 2, "--timesteps", 3, "--epochs", 1, "--threads", 1, "--device", "cpu", "--val-fraction", 0.25]


def test_every_setting_is_a_flag_with_its_default(spikesim):
    _, out, _ = spikesim("train", "--help")
    text = " ".join(out.replace("│", " ").split())
    for name, field in TrainConfig.model_fields.items():
        if name == "data":
            continue
        assert f"--{name.replace('_', '-')}" in text
        assert f"Default: {field.default}." in text or field.default is None


def test_it_trains_and_says_where(spikesim, recordings, tmp_path):
    out = tmp_path / "run"
    code, said, told = spikesim("train", recordings, "--out", out, *_TINY)
    assert code == 0
    result = json.loads((out / "result.json").read_text())
    assert f"test accuracy {100 * result['test_accuracy']:.2f} %" in said
    assert f"split {result['split']}: 36 training, 12 validation, 12 test" in said
    assert "epoch   1/1" in told and "T=3 (time)" in told
    code, again, _ = spikesim("train", "--resume", out)
    assert code == 0 and again == said
    code, _, error = spikesim("train", recordings, "--out", out, *_TINY)
    assert code == 1 and "already holds a run" in error


def test_it_trains_on_a_dataset_by_name(spikesim, recordings, tmp_path):
    words = ["--dataset", "nmnist", "--protocol", "random", "--out", tmp_path / "run", *_TINY]
    code, said, _ = spikesim("train", recordings, *words)
    assert code == 0 and "training" in said
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["split_rule"].startswith("nmnist in the layout of tonic, split random (")
    assert "--dataset nmnist --protocol random" in (tmp_path / "run" / "README.md").read_text()
    code, _, error = spikesim("train", recordings, "--dataset", "EBSSA", "--out", tmp_path / "other")
    assert code == 1 and "not in the catalogue" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no/such/folder"], "there is no folder no/such/folder"),
        (["x", "--timesteps", 0], "timesteps: given 0, input should be greater than or equal to 1"),
        (["x", "--lr", -1, "--frames", "events"], "frames: given 'events'"),
        ([], "no recordings given"),
        (["--resume", "no/such/run"], "no/such/run/config.json does not exist"),
        (["x", "--resume", "runs/a", "--lr", 1], "leave out DATA, --lr"),
        (["x", "--model", "digits"], "'digits' names no network"),
    ],
)
def test_bad_input_is_one_message(spikesim, recordings, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    if "--model" in words:
        words = [recordings, *words[1:]]
    code, out, err = spikesim("train", *words)
    assert code == 1 and not out
    assert message in err and "Traceback" not in err
    assert not list(tmp_path.rglob("config.json"))
