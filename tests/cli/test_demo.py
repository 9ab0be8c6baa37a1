import json

import pytest


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "out"


def test_quick_demo_shows_and_writes_everything(spikesim, out):
    code, said, told = spikesim("demo", "--quick", "--out", out)
    assert code == 0, told
    for part in ("converted for this T", "zero-skipping ANN", "held-out recordings", "Spiking", "summary.html"):
        assert part in said
    names = {path.name for path in out.iterdir()}
    assert names == {
        "summary.json", "summary.png", "summary.html", "ndigits", "energy_digits.html", "energy_events.html",
        "digits_cnn.safetensors", "digits.safetensors", "conv_snn.safetensors",
    }  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    assert summary["quick"] is True and summary["schema"] == 1
    digits, events = summary["digits"], summary["events"]
    assert digits["timesteps"] == [1, 2, 4, 8, 16, 32]
    assert len(digits["accuracy_converted_for_each"]) == len(digits["accuracy_one_run"]) == 6
    # Both are the network converted for T=32, read after 32 steps.
    assert digits["accuracy_converted_for_each"][-1] == digits["accuracy_one_run"][-1]
    assert digits["ann_accuracy"] > 0.6
    assert sum(events["samples"].values()) == 200 and 0 <= events["test_accuracy"] <= 1
    for part in (digits, events):
        layers = part["energy"]["layers"]
        assert sum(row["network"] for row in layers) == pytest.approx(part["energy"]["energy"]["network"])
        assert sum(row["dense_ann"] for row in layers) == pytest.approx(part["energy"]["energy"]["dense_ann"])
    page = (out / "summary.html").read_text()
    assert "data:image/png;base64" in page and 'src="http' not in page and "quick" in page
    assert (out / "summary.png").read_bytes().startswith(b"\x89PNG")


def test_what_the_demo_leaves_is_usable(spikesim, out):
    trained = ["--weights", out / "digits_cnn.safetensors", "--calibration", out / "digits.safetensors"]
    code, said, _ = spikesim("convert", "digits_cnn", *trained, "--timesteps", 4)
    assert code == 0 and "spiking layers" in said
    words = ["--set", "width=4", "--weights", out / "conv_snn.safetensors", "--recordings", out / "ndigits"]
    code, said, _ = spikesim("energy", "conv_snn", *words, "--samples", 4)
    assert code == 0 and "Spiking" in said
