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


def test_classes_that_are_there_are_counted(spikesim, recordings, tmp_path):
    for digit in ("3", "8"):
        (tmp_path / "few" / "Train" / digit).mkdir(parents=True)
        (tmp_path / "few" / "Test" / digit).mkdir(parents=True)
        file = next((recordings / "Train" / digit).iterdir())
        for part in ("Train", "Test"):
            (tmp_path / "few" / part / digit / "1.bin").write_bytes(file.read_bytes())
    for words in ([tmp_path / "few"], ["nmnist", tmp_path / "few"]):
        code, out, _ = spikesim("datasets", "info", *words, "--json", tmp_path / "i.json")
        info = json.loads((tmp_path / "i.json").read_text())
        assert code == 0 and "2 of 10" in out and info["train"]["per_class"]["3"] == 1
        assert sum(info["test"]["per_class"].values()) == 2
    assert info["split"].startswith("official (2 train, 2 test")


def test_a_name_says_what_is_known(spikesim, tmp_path, monkeypatch):
    code, out, _ = spikesim("datasets", "info", "N-TIDIGITS", "--json", tmp_path / "i.json")
    info = json.loads((tmp_path / "i.json").read_text())
    assert code == 0 and "64x1x1" in out and "size not published" in out and info["archives"][0]["size"] is None
    assert info["layouts"][0]["expected"] == "NTIDIGITS18/n-tidigits.hdf5" and "subjects" in info["splits"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shd").mkdir()
    code, out, _ = spikesim("datasets", "info", "shd")
    assert code == 0 and "700x1x1" in out
    code, _, err = spikesim("datasets", "info", "./shd")
    assert code == 1 and "shd" in err
    code, _, err = spikesim("datasets", "info", "EBSSA")
    assert code == 1 and "not in the catalogue" in err and "two cameras" in err
    code, _, err = spikesim("datasets", "info", "nowhere")
    assert code == 1 and "expected one of nmnist" in err
    code, _, err = spikesim("datasets", "info", ".", "--protocol", "random")
    assert code == 1 and "--protocol needs the name" in err
    code, _, err = spikesim("datasets", "info", "nmnist", tmp_path)
    assert code == 1 and "is no nmnist in" in err
