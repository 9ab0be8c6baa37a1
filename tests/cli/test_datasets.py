import json


def test_generate_and_look(spikesim, tmp_path):
    root = tmp_path / "nd"
    code, out, _ = spikesim("datasets", "ndigits", root, "--samples", 20, "--seed", 3)
    assert code == 0 and "16 training and 4 test recordings" in out
    code, out, _ = spikesim("datasets", "info", root, "--json", tmp_path / "info.json")
    assert code == 0 and "34x34x2" in out
    info = json.loads((tmp_path / "info.json").read_text())
    assert info["train"]["recordings"] == sum(info["train"]["per_class"].values()) == 16
    events = info["test"]["events"]
    assert 0 < events["min"] <= events["median"] <= events["max"]
    assert 250 < info["test"]["duration_ms"] < 350


def test_missing_and_damaged_recordings_are_named(spikesim, tmp_path):
    code, _, err = spikesim("datasets", "info", tmp_path / "nothing")
    assert code == 1 and "nothing" in err and "Traceback" not in err
    spikesim("datasets", "ndigits", tmp_path / "nd", "--samples", 20)
    damaged = next((tmp_path / "nd" / "Train").rglob("*.bin"))
    damaged.write_bytes(damaged.read_bytes()[:-2])
    code, _, err = spikesim("datasets", "info", tmp_path / "nd")
    assert code == 1 and damaged.name in err and "Traceback" not in err
