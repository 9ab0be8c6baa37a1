"""``spikesim datasets list | verify | doctor | preview``."""

import json


def test_list_names_every_dataset(spikesim, tmp_path):
    code, shown, _ = spikesim("datasets", "list", "--json", tmp_path / "list.json")
    names = [row["name"] for row in json.loads((tmp_path / "list.json").read_text())["datasets"]]
    assert code == 0 and "cifar10dvs" in shown
    assert "nmnist" in names and len(names) == len(set(names)) >= 10


def test_doctor_tells_what_is_odd_and_fails(spikesim, recordings, tmp_path):
    code, shown, error = spikesim("datasets", "doctor", "nmnist", recordings, "--json", tmp_path / "d.json")
    report = json.loads((tmp_path / "d.json").read_text())
    assert code == 3 and "findings" in error and "nmnist in the layout of tonic" in shown
    assert report["recordings"] == {"train": 48, "test": 12} and not report["unreadable"]
    assert report["split"].startswith("official (48 train, 12 test") and report["shared"] == []
    assert any("60000 were published" in finding for finding in report["findings"])


def test_doctor_reports_recordings_none_of_which_can_be_read(spikesim, tmp_path):
    (tmp_path / "Train" / "0").mkdir(parents=True)
    (tmp_path / "Train" / "0" / "1.bin").write_bytes(b"cut")
    code, _, _ = spikesim("datasets", "doctor", "nmnist", tmp_path, "--json", tmp_path / "d.json")
    report = json.loads((tmp_path / "d.json").read_text(), parse_constant=lambda name: 1 / 0)
    assert code == 3 and report["on_share"] is None and list(report["unreadable"]) == ["1.bin"]


def test_preview_draws_one_recording(spikesim, recordings, tmp_path):
    code, shown, _ = spikesim(
        "datasets", "preview", "nmnist", recordings, "--index", "3", "--output", tmp_path / "p.png"
    )
    assert code == 0 and (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG") and "events" in shown
    for option, value in (("--index", 60), ("--frames", 0), ("--output", "p.jpg")):
        code, _, error = spikesim("datasets", "preview", "nmnist", recordings, option, value)
        assert code == 1 and option in error


def test_verify_says_what_is_missing(spikesim, tmp_path):
    code, _, error = spikesim("datasets", "verify", "nmnist", tmp_path)
    assert code == 3 and "train.zip, test.zip: not there, so there is nothing to compare" in error
    assert "deleted after unpacking" in error and "spikesim datasets doctor nmnist" in error
    (tmp_path / "NMNIST").mkdir()
    (tmp_path / "NMNIST" / "train.zip").write_bytes(b"damaged")
    code, _, error = spikesim("datasets", "verify", "nmnist", tmp_path)
    assert code == 3 and "train.zip: not as published; download again" in error
    code, _, error = spikesim("datasets", "verify", "ncars", tmp_path)
    assert code == 1 and "no checksum of ncars" in error
