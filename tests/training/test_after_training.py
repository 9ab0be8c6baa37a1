"""A trained run measured again, streamed and redrawn."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from spikesim.datasets import Events, Frames, read_bin, stated_sensor, write_events
from spikesim.errors import CheckpointError, ConfigError, DatasetError, EventError, EventFileError
from spikesim.models import conv_snn
from spikesim.training import evaluate_run, load_run, predict, redraw
from spikesim.training.metrics_csv import read_metrics

LIMIT = 1e-5  # networks round differently with other chunk sizes


@pytest.fixture(scope="module")
def run(unbroken):
    return load_run(unbroken.folder)


@pytest.fixture(scope="module")
def lively(run):
    """The run with a network whose layers all fire."""
    torch.manual_seed(0)
    network = conv_snn(width=4).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.mul_(6)
    return replace(run, network=network)


def _files(recordings):
    return sorted((recordings / "Test").rglob("*.bin"))


def test_a_run_is_measured_again_as_it_was(run, unbroken, recordings):
    again = evaluate_run(run)
    assert again.evaluation.accuracy == unbroken.test_accuracy
    assert again.evaluation.accuracy_at == unbroken.accuracy_at
    assert again.split == again.trained_on == unbroken.split
    validation = evaluate_run(run, recordings, "validation")
    assert validation.evaluation.accuracy == pytest.approx(unbroken.val_accuracy)
    assert evaluate_run(run, part="training").evaluation.samples == 36


def test_a_checkpoint_alone_is_enough(run, unbroken, tmp_path):
    moved = tmp_path / "weights.ckpt"
    moved.write_bytes(unbroken.best_checkpoint.read_bytes())
    alone = load_run(moved)
    assert alone.classes == run.classes and alone.shape == (2, 34, 34) and not alone.network.training
    again = evaluate_run(alone)
    assert again.evaluation.accuracy == unbroken.test_accuracy and again.trained_on is None


@pytest.mark.parametrize("by", ["time", "count"])
def test_a_stream_says_what_the_whole_says(lively, recordings, by):
    run = replace(lively, config=lively.config.but(frames=by))
    changed = 0.0
    for path in _files(recordings)[:4]:
        events = read_bin(path)
        frames = torch.from_numpy(Frames(3, by)(events)).unsqueeze(1).float()
        with torch.no_grad():
            y = run.network.unread(frames)
        changed += float((y[1:] - y[:-1]).abs().max())
        said = list(predict(run, path))
        assert [one.step for one in said] == [1, 2, 3]
        assert sum(one.events for one in said) == len(events) and said[-1].until_us == events.t[-1]
        assert [one.until_us for one in said] == sorted(one.until_us for one in said)
        for t, one in enumerate(said, 1):
            expected = y[:t].mean(0)[0].softmax(0)
            assert np.allclose(one.scores, expected, atol=LIMIT)
            assert one.confidence == pytest.approx(float(expected.max()), abs=LIMIT)
            assert one.named == run.classes[int(expected.argmax())]
    assert changed > 0.1  # the output layer is reached


@pytest.mark.parametrize("length", [{"window_us": 40_000}, {"window_events": 700}])
def test_windows_of_a_fixed_length_cover_all_and_read_out_the_last(lively, recordings, length):
    run = lively
    path = _files(recordings)[0]
    events = read_bin(path)
    said = list(predict(run, path, **length))
    assert sum(one.events for one in said) == len(events) and len(said) > 3
    # the same from events in memory as from the file
    assert said == list(predict(run, events, **length))
    session = run.network.stream()
    scores, start = [], 0
    with torch.no_grad():
        for one in said:
            part = events.select(slice(start, start + one.events))
            start += one.events
            scores.append(session(torch.from_numpy(Frames(1)(part)).unsqueeze(1).float())[0, 0])
            assert np.allclose(one.scores, torch.stack(scores[-3:]).mean(0).softmax(0), atol=LIMIT)


def test_a_readout_that_waits_names_nothing_at_first(run, recordings):
    from spikesim.nn import DelayedMean, Network

    waiting = replace(run, network=Network(run.network.module, readout=DelayedMean(2)))
    named = [one.named for one in predict(waiting, _files(recordings)[0])]
    assert named[:2] == [None, None] and named[2] in run.classes


def test_recordings_that_do_not_fit_are_named(run, tmp_path):
    wide = tmp_path / "wide.npz"
    write_events(wide, Events.from_columns([100], [50], [5], [1], (346, 260, 2)))
    assert stated_sensor(wide) == (346, 260, 2)
    nothing = tmp_path / "nothing.bin"
    write_events(nothing, Events.empty((34, 34, 2)))
    for windows in ({}, {"window_us": 1000}, {"window_events": 10}):
        with pytest.raises(EventError, match=r"is of a 346 x 260 sensor, but .*best.ckpt was trained on 34 x 34; crop"):
            list(predict(run, wide, **windows))
        with pytest.raises(EventError, match="holds no event"):
            list(predict(run, nothing, **windows))
        with pytest.raises(EventError, match="holds no event"):
            list(predict(run, Events.empty((34, 34, 2)), **windows))
    with pytest.raises(EventFileError, match=r"missing\.aedat4"):
        list(predict(run, tmp_path / "missing.aedat4"))
    with pytest.raises(ConfigError, match="not both"):
        predict(run, wide, window_us=1, window_events=1)
    with pytest.raises(ConfigError, match="window_us is 0"):
        predict(run, wide, window_us=0)


def test_other_recordings_have_to_fit(run, tmp_path):
    with pytest.raises(DatasetError, match="there is no folder"):
        evaluate_run(run, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="part is 'all'"):
        evaluate_run(run, part="all")
    with pytest.raises(ConfigError, match=r"data: .* has 10 classes \(0, 1, .*\), but .* names 2 \(cat, dog\)"):
        evaluate_run(replace(run, classes=("cat", "dog")))
    with pytest.raises(ConfigError, match=r"are 34 x 34 pixels of 2 polarities, but .* was trained on 64 x 64"):
        evaluate_run(replace(run, shape=(2, 64, 64)))


def test_what_is_no_run_is_named(unbroken, tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_run(tmp_path / "none")
    with pytest.raises(ConfigError, match="holds no run"):
        load_run(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="has not completed an epoch"):
        load_run(tmp_path)
    plain = tmp_path / "plain.pt"
    torch.save({"weight": torch.zeros(1)}, plain)
    with pytest.raises(CheckpointError, match="was not written by `spikesim train`"):
        load_run(plain)
    content = torch.load(unbroken.best_checkpoint, weights_only=True)
    about = content["spikesim"]
    for change, message in [
        ({"schema": 1}, "has schema 1, .* older ones do not name the classes"),
        ({"schema": 99}, "has schema 99, .* use the version that wrote it"),
        ({"shape": [2, 34]}, "its frames have the shape"),
        ({"config": "{"}, "is damaged"),
        ({"classes": ["a", "b"]}, "does not fit"),
    ]:
        torch.save({**content, "spikesim": {**about, **change}}, plain)
        with pytest.raises(CheckpointError, match=message):
            load_run(plain)


def test_pictures_are_drawn_again_from_files_alone(unbroken, tmp_path):
    finished = {"curves.png", "rate_curves.png", "accuracy.png", "confusion.png", "rates.png"}
    made = redraw(unbroken.folder, tmp_path / "pictures")
    assert {path.name for path in made} == finished
    for path in made:
        assert path.read_bytes() == (unbroken.folder / path.name).read_bytes()
    under_way = tmp_path / "under_way"
    under_way.mkdir()
    (under_way / "metrics.csv").write_bytes((unbroken.folder / "metrics.csv").read_bytes())
    assert {path.name for path in redraw(under_way)} == {"curves.png", "rate_curves.png"}


def test_the_marked_epoch_is_the_selected_one(unbroken):
    from spikesim.training.redrawing import over_epochs

    axis = over_epochs(read_metrics(unbroken.folder / "metrics.csv"))["curves.png"].axes[0]
    assert f"kept: epoch {unbroken.best_epoch}" in [text.get_text() for text in axis.get_legend().get_texts()]


def test_files_that_cannot_be_drawn_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"metrics.csv does not exist"):
        redraw(tmp_path)
    (tmp_path / "metrics.csv").write_text("epoch,other\n1,2\n")
    with pytest.raises(ConfigError, match="is not the log of a run"):
        redraw(tmp_path)
    (tmp_path / "metrics.csv").write_text("epoch\n")
    with pytest.raises(ConfigError, match="is not the log of a run"):
        redraw(tmp_path)
    columns = "epoch,train_loss,train_accuracy,val_loss,val_accuracy"
    (tmp_path / "metrics.csv").write_text(f"{columns}\n1,2,0.1,2,0.1\n")
    (tmp_path / "result.json").write_text(json.dumps({"confusion": [[1]]}))
    with pytest.raises(ConfigError, match=r"result.json is damaged"):
        redraw(tmp_path)
