"""``spikesim simulate``."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from spikesim.datasets import Events, EventSimulator, PixelModel, read_events
from spikesim.datasets.simulator import saccade

rng = np.random.default_rng(0)
FRAMES = np.clip(np.cumsum(rng.normal(0, 20, (25, 30, 40)), 0) + 120, 0, 255).astype(np.uint8)


@pytest.fixture
def movie(tmp_path):
    np.save(tmp_path / "movie.npy", FRAMES)
    return tmp_path / "movie.npy"


def simulated(times, model, seed):
    camera = EventSimulator(model, seed=seed)
    first, last = camera.push(FRAMES, times), camera.finish()
    data = np.concatenate([first.events.data, last.events.data])
    return Events(data, (40, 30, 2)), np.concatenate([first.noise, last.noise])


def test_a_movie_becomes_the_events_of_the_library(spikesim, movie, tmp_path):
    options = ("--preset", "noisy", "--threshold", "0.15", "--refractory", "200", "--fps", "50", "--speed", "2")
    extra = ("--seed", "7", "--labels", tmp_path / "l.npy", "--json", tmp_path / "r.json")
    code, shown, _ = spikesim("simulate", movie, tmp_path / "out.aedat", *options, *extra)
    model = PixelModel.preset("noisy", threshold=0.15, threshold_off=0.15, refractory_us=200)
    expected, noise = simulated(np.arange(25) * 10_000, model, 7)
    assert code == 0 and read_events(tmp_path / "out.aedat", (40, 30, 2)) == expected
    assert (np.load(tmp_path / "l.npy") == noise).all() and noise.any()
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["events"], report["noise"]) == (len(expected), int(noise.sum()))
    assert report["on"] + report["off"] == len(expected) and report["sensor"] == [40, 30]
    for part in ("25 frames of 40 x 30 at 50 frames/s", "thresholds 0.15 / 0.15", "refractory period 200 us", "seed 7"):
        assert part in shown
    assert f"{len(expected)} (" in shown and f"{int(noise.sum())} (" in shown


@pytest.mark.parametrize("ending", ["bin", "dat", "es", "csv", "npz", "npy"])
def test_every_ending_that_can_be_written(spikesim, movie, tmp_path, ending):
    code, _, error = spikesim("simulate", movie, tmp_path / f"out.{ending}", "--size", "20x15")
    assert code == 0, error
    assert len(read_events(tmp_path / f"out.{ending}", (20, 15, 2))) > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["movie.npy", f"out.{ending}"]


def test_a_picture_is_moved(spikesim, tmp_path):
    iio = pytest.importorskip("imageio.v3")
    iio.imwrite(tmp_path / "p.png", FRAMES[0])
    code, shown, _ = spikesim("simulate", tmp_path / "p.png", tmp_path / "s.bin", "--seed", "2")
    assert code == 0 and "motion  saccade" in shown
    assert read_events(tmp_path / "s.bin", (40, 30, 2)) == saccade(FRAMES[0], seed=2).events
    counts = {}
    for motion, options in (
        ("translate", ("--velocity", "-50,20")),
        ("rotate", ("--rate", "180", "--duration", "0.1")),
    ):
        words = (tmp_path / "p.png", tmp_path / "m.dat", "--motion", motion, *options, "--size", "34x34")
        assert spikesim("simulate", *words)[0] == 0
        counts[motion] = read_events(tmp_path / "m.dat", (34, 34, 2))
    assert all(len(events) > 500 for events in counts.values())
    assert counts["rotate"].t.max() <= 100_000 < counts["translate"].t.max() <= 200_000


def test_a_still_movie_gives_an_empty_recording(spikesim, tmp_path):
    np.save(tmp_path / "m.npy", np.full((3, 4, 5), 99, np.uint8))
    code, shown, _ = spikesim("simulate", tmp_path / "m.npy", tmp_path / "e.csv")
    assert code == 0 and "0 (0 ON, 0 OFF)" in shown
    assert len(read_events(tmp_path / "e.csv")) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("out.foo",), "no format is written as '.foo'"),
        (("nowhere/out.dat",), "nowhere/out.dat: cannot be written"),
        (("folder",), "is a folder"),
        (("movie.npy",), "movie.npy is INPUT"),
        (("out.dat", "--size", "20"), "--size: given '20'"),
        (("out.dat", "--size", "0x20"), "--size: given '0x20'"),
        (("out.bin", "--size", "300x20"), "out.bin: event 0 has x = 299.*each row of 300 x 20"),
        (("out.dat", "--fps", "0"), "fps is 0"),
        (("out.dat", "--speed", "0"), "speed is 0"),
        (("out.dat", "--speed", "1e9"), "both shown at 0 us"),
        (("out.dat", "--preset", "loud"), "expected one of ideal, clean, noisy"),
        (("out.dat", "--threshold", "0"), "threshold is 0"),
        (("out.dat", "--shot-noise", "-1"), "shot_noise_hz is -1"),
        (("out.dat", "--threads", "-1"), "--threads: given -1"),
        (("out.dat", "--motion", "jump"), "--motion: given 'jump'"),
        (("out.dat", "--rate", "9"), "--rate: means nothing for a movie as it is; expected --motion rotate"),
        (("out.dat", "--motion", "rotate", "--velocity", "1,2"), "--velocity: means nothing for rotate"),
        (("out.dat", "--motion", "saccade", "--speed", "2"), "expected a movie without --motion"),
        (("out.dat", "--motion", "translate", "--velocity", "3"), "--velocity: given '3'"),
        (("out.dat", "--motion", "rotate", "--duration", "0"), "--duration: given 0"),
        (("out.dat", "--labels", "l.txt"), "--labels: given 'l.txt'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_told_before_the_work_and_leave_nothing(spikesim, movie, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    code, _, error = spikesim("simulate", movie, *words)
    assert code == 1
    __import__("re").search(message, error) or pytest.fail(error)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "movie.npy"]


def test_missing_and_single_frames(spikesim, tmp_path):
    code, _, error = spikesim("simulate", tmp_path / "none.mp4", tmp_path / "o.dat")
    assert code == 1 and "no such file or folder" in error
    np.save(tmp_path / "one.npy", FRAMES[:1])
    code, _, error = spikesim("simulate", tmp_path / "one.npy", tmp_path / "o.dat")
    assert code == 1 and "holds one frame" in error
    assert not (tmp_path / "o.dat").exists()


def test_a_full_disk_leaves_the_old_file_and_nothing_else(spikesim, movie, tmp_path, monkeypatch):
    (tmp_path / "o.dat").write_bytes(b"old")
    write = Path.write_bytes

    def full(self, content):
        if len(content) < 4000:
            return write(self, content)
        write(self, content[:4000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, error = spikesim("simulate", movie, tmp_path / "o.dat")
    assert code == 1 and "cannot be written (No space left on device)" in error
    assert (tmp_path / "o.dat").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["movie.npy", "o.dat"]


def test_help_names_presets_and_memory(spikesim):
    code, shown, _ = spikesim("simulate", "--help")
    assert code == 0 and "ideal, clean or noisy" in shown and "13 bytes each" in shown
