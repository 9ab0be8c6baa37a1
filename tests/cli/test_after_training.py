import json

import pytest

from spikesim.datasets import Events, write_events
from spikesim.training import TrainConfig, train


@pytest.fixture(scope="module")
def run(recordings, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    tiny = {"width": 2, "timesteps": 3, "epochs": 1, "threads": 1, "device": "cpu", "val_fraction": 0.25}
    return train(TrainConfig(data=recordings, out=out, **tiny))


def test_evaluate_says_what_training_said(spikesim, run, tmp_path):
    code, out, err = spikesim("evaluate", run.folder, "--json", tmp_path / "e.json", "--device", "cpu")
    assert code == 0 and f"{100 * run.test_accuracy:.2f} %" in out and not err
    content = json.loads((tmp_path / "e.json").read_text())
    assert content["accuracy"] == run.test_accuracy and content["split"] == content["split_of_training"] == run.split
    code, out, _ = spikesim("evaluate", run.best_checkpoint, "--recordings", run.folder / "none")
    assert code == 1 and not out


def test_evaluate_warns_of_another_split(spikesim, run, tmp_path):
    import shutil

    copied = shutil.copytree(run.folder, tmp_path / "run")
    content = json.loads((copied / "result.json").read_text())
    (copied / "result.json").write_text(json.dumps({**content, "split": "other"}))
    code, _, err = spikesim("evaluate", copied)
    assert code == 0 and "was trained under other" in err


def test_predict_gives_a_line_per_window(spikesim, run, recordings):
    path = next((recordings / "Test" / "4").glob("*.bin"))
    code, out, _ = spikesim("predict", run.folder, path)
    assert code == 0 and len(out.splitlines()) == 3 and "window    3" in out
    code, out, _ = spikesim("predict", run.folder, path, "--json", "--window", 50_000)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [line["window"] for line in lines] == list(range(1, len(lines) + 1)) and len(lines) > 3
    assert all(line["scores"][line["class"]] == line["confidence"] for line in lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "nowhere"], "nowhere does not exist"),
        (["evaluate", "RUN", "--device", "tpu"], "expected auto, cpu or cuda"),
        (["predict", "RUN", "nowhere.bin"], "nowhere.bin"),
        (["predict", "RUN", "wide.npz"], "of a 346 x 260 sensor"),
        (["predict", "RUN", "empty.npz"], "holds no event"),
        (["predict", "RUN", "empty.npz", "--window", 5, "--events", 5], "not both"),
        (["plot", "nowhere"], "metrics.csv does not exist"),
    ],
)
def test_bad_input_is_one_message(spikesim, run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    write_events("wide.npz", Events.from_columns([100], [50], [5], [1], (346, 260, 2)))
    write_events("empty.npz", Events.empty((34, 34, 2)))
    code, out, err = spikesim(*[run.folder if word == "RUN" else word for word in words])
    assert code == 1 and not out and message in err and "Traceback" not in err


def test_plot_names_what_it_wrote(spikesim, run, tmp_path):
    code, out, _ = spikesim("plot", run.folder, "--output", tmp_path)
    assert code == 0 and str(tmp_path / "curves.png") in out.splitlines()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
