import json

import numpy as np
import pytest
from oracles.events import saccade_movie

from spikesim.datasets import PixelModel, generate_ndigits, load_nmnist, ndigits, read_bin, simulate_events
from spikesim.datasets.simulator.saccade import triangle_path
from spikesim.errors import ConfigError, DatasetError


def content(root):
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(tmp_path):
    one = generate_ndigits(tmp_path / "one", samples=30, threads=1)
    four = generate_ndigits(tmp_path / "four", samples=30, threads=4)
    other = generate_ndigits(tmp_path / "other", samples=30, seed=1)
    assert content(one) == content(four)
    assert content(one) != content(other)


def test_layout_manifest_and_recordings(tmp_path):
    root = generate_ndigits(tmp_path / "deep" / "made", samples=50)
    train, test = load_nmnist(root)
    manifest = json.loads((root / "ndigits.json").read_text())
    assert (manifest["schema"], manifest["train"], manifest["test"]) == (1, len(train), len(test)) == (1, 40, 10)
    assert manifest["pixel"]["threshold"] == 0.3
    recordings = [sample for part in (train, test) for sample in part]
    assert sum(len(events) for events, _ in recordings) == manifest["events"]
    for events, label in recordings:
        assert events.sorted
        assert 2000 < len(events) < 12_000
        assert 250_000 < events.duration_us <= 300_000
        assert 0 <= label <= 9
    assert sorted(path.name for path in train.files + test.files) == [f"{i:05d}.bin" for i in range(50)]
    assert [entry.name for entry in root.parent.iterdir()] == ["made"]


def test_a_digit_is_what_the_simulator_sees_of_its_movie(tmp_path):
    from sklearn.datasets import load_digits

    model = PixelModel(threshold_std=0, noise=0)
    root = generate_ndigits(tmp_path / "made", samples=1, test_fraction=0, model=model)
    path = next((root / "Train").rglob("*.bin"))
    shifts, times = triangle_path()
    movie = saccade_movie(load_digits().images[0] / 16, 2.6, shifts, 34)
    expected = simulate_events(movie, times, model)
    made = read_bin(path)
    # Rounding of the interpolation moves a crossing by a microsecond, or a near tie over the threshold.
    assert abs(len(made) - len(expected)) <= 2
    for axis in ("x", "y", "p"):
        near = np.bincount(made.data[axis], minlength=34) - np.bincount(expected.data[axis], minlength=34)
        assert abs(near).max() <= 2
    assert abs(np.sort(made.t)[:100] - np.sort(expected.t)[:100]).max() <= 1


def test_finished_recordings_are_not_made_again(tmp_path):
    root = generate_ndigits(tmp_path / "made", samples=10)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert generate_ndigits(root, samples=10) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("at", [1, 7, 21])
def test_an_interrupted_run_leaves_nothing_and_can_be_repeated(tmp_path, monkeypatch, at):
    whole = generate_ndigits(tmp_path / "whole", samples=20, threads=1)
    calls = []
    write = ndigits.write_whole

    def interrupt(*arguments):
        calls.append(arguments)
        if len(calls) == at:
            raise KeyboardInterrupt
        write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(ndigits, "write_whole", interrupt)
        with pytest.raises(KeyboardInterrupt):
            generate_ndigits(tmp_path / "made", samples=20, threads=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["whole"]
    assert content(generate_ndigits(tmp_path / "made", samples=20)) == content(whole)


def test_other_options_need_overwrite(tmp_path):
    root = generate_ndigits(tmp_path / "made", samples=20)
    with pytest.raises(DatasetError, match="was made with samples 20; choose another folder or pass overwrite"):
        generate_ndigits(root, samples=10)
    generate_ndigits(root, samples=10, overwrite=True)
    assert len(list(root.rglob("*.bin"))) == 10
    assert [entry.name for entry in tmp_path.iterdir()] == ["made"]


def test_lost_files_are_noticed(tmp_path):
    root = generate_ndigits(tmp_path / "made", samples=10)
    next(root.rglob("*.bin")).unlink()
    with pytest.raises(DatasetError, match="has lost some of its files"):
        generate_ndigits(root, samples=10)


def test_foreign_folders_and_damaged_manifests_are_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("important")
    with pytest.raises(DatasetError, match="something other than N-Digits"):
        generate_ndigits(tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "important"
    root = generate_ndigits(tmp_path / "made", samples=10)
    (root / "ndigits.json").write_text("{")
    with pytest.raises(DatasetError, match=r"ndigits.json is damaged"):
        generate_ndigits(root, samples=10)


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "made").mkdir()
    assert len(load_nmnist(generate_ndigits(tmp_path / "made", samples=10)).train) == 8


@pytest.mark.parametrize("option", [{"samples": 0}, {"samples": 1798}, {"test_fraction": 1.5}, {"threads": 0}], ids=str)
def test_bad_options(tmp_path, option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        generate_ndigits(tmp_path / "made", **option)
