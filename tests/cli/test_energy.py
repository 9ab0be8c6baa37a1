"""What spikesim energy counts on, and how fairly."""

import json

import pytest

_NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.c2, self.b2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.fc = nn.Linear(256, 10)

    def forward(self, x):
        x = torch.relu(self.b1(self.c1(x)))
        return self.fc(torch.relu(self.b2(self.c2(x)) + x).flatten(1))


def build():
    torch.manual_seed(0)
    return Net()


class Branching(nn.Sequential):
    def forward(self, x):
        return super().forward(x) if isinstance(x, torch.Tensor) else x[:, :2]


def branching():
    return Branching(nn.Linear(3, 4), nn.Tanh(), nn.BatchNorm1d(4), nn.Linear(4, 2))
"""


@pytest.fixture
def run(spikesim, tmp_path, monkeypatch):
    (tmp_path / "attribute_net.py").write_text(_NET)
    monkeypatch.chdir(tmp_path)

    def energy(*words):
        code, out, err = spikesim("energy", *words, "--json", tmp_path / "e.json")
        assert code == 0, err
        return json.loads((tmp_path / "e.json").read_text()), out, err

    return energy


def test_an_ann_of_attributes_is_folded_as_its_conversion_is(run, images):
    report, _, err = run("attribute_net:build", "--calibration", images, "--timesteps", 4, "--samples", 4)
    columns = {c for layer in report["ann_ledger"]["layers"] for c in layer["counts"]}
    assert "op_mul" not in columns and "batch-norm" not in err
    assert "op_mul" in {
        c
        for layer in run("attribute_net:build", "--calibration", images, "--no-fold")[0]["ledger"]["layers"]
        for c in layer["counts"]
    }


def test_a_norm_that_stays_is_named(run):
    _, _, err = run("attribute_net:branching", "--input-shape", "3")
    assert "batch-norm cannot be folded and is charged as layers of its own: 2" in err


def test_a_shape_is_that_of_one_step_of_one_sample(run):
    words = ["conv_snn", "--set", "width=2", "--set", "size=8", "--input-shape", "2,8,8"]
    report, out, _ = run(*words)
    assert (report["timesteps"], report["samples"]) == (10, 8)
    assert "uniform random noise" in out and "say little" in report["input"]["source"]
    report, out, _ = run(*words, "--timesteps", 3, "--samples", 20, "--input", "events")
    assert (report["timesteps"], report["samples"]) == (3, 20)
    assert report["input"]["kind"] == "events" and "random events" in out
    first = report["ledger"]["layers"][0]["counts"]
    assert sum(first["synops_graded"]) > 0 and "mac_dense" not in first


def test_data_is_named_as_the_source(run, images):
    report, out, _ = run("digits_cnn", "--set", "width=2", "--calibration", images, "--samples", 12)
    assert report["samples"] == 12 and report["input"]["source"] == str(images)
    assert "noise" not in out


def test_negative_samples_are_a_usage_error(spikesim):
    assert spikesim("energy", "digits_cnn", "--input-shape", "1,8,8", "--samples", -3)[0] == 2


def test_memory_and_latency_are_charged_where_they_are_named(run):
    shape = ("digits_cnn", "--input-shape", "1,8,8", "--samples", 2)
    plain, moved = run(*shape)[0], run(*shape, "--memory", "dram")[0]
    assert moved["energy"]["by_term"]["weight memory"] > plain["energy"]["dense_ann"]
    assert moved["include"]["potentials"] == "dram" and "weight memory" not in plain["energy"]["by_term"]


def test_every_format_is_written(spikesim, images, tmp_path):
    paths = {form: tmp_path / f"deep/report.{form}" for form in ("json", "html", "latex", "markdown", "csv")}
    words = [word for form, path in paths.items() for word in (f"--{form}", path)]
    code, _, err = spikesim("energy", "digits_cnn", "--calibration", images, "--timesteps", 2, *words)
    assert code == 0, err
    joules = json.loads(paths["json"].read_text())["energy"]["network"]
    assert paths["html"].read_text().startswith("<!doctype html>")
    assert "toprule" in paths["latex"].read_text() and "| total |" in paths["markdown"].read_text()
    rows = paths["csv"].read_text().splitlines()
    place = rows[0].split(",").index("network_J")
    assert sum(float(row.split(",")[place]) for row in rows[1:]) == pytest.approx(joules)


def test_two_reports_are_compared(spikesim, images, tmp_path):
    a, b, out = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "diff.json"
    for path, steps in ((a, 2), (b, 3)):
        code, _, err = spikesim("energy", "digits_cnn", "--calibration", images, "--timesteps", steps, "--json", path)
        assert code == 0, err
    code, shown, err = spikesim("energy", "diff", a, b, "--json", out)
    assert code == 0 and "time steps: 2 -> 3" in shown, err
    diff, joules = json.loads(out.read_text()), [json.loads(p.read_text())["energy"]["network"] for p in (a, b)]
    assert [diff["total"]["energy_a"], diff["total"]["energy_b"]] == pytest.approx(joules)
    code, _, err = spikesim("energy", "diff", a, images)
    assert code == 1 and "images.npz" in err and "not JSON" in err
    code, _, err = spikesim("energy", "diff", a)
    assert code == 2 and "Missing argument" in err


def test_the_model_needs_no_name_of_a_command(spikesim):
    code, shown, _ = spikesim("energy", "--help")
    assert code == 0 and "MODEL" in shown and "energy diff A.json B.json" in shown
    code, _, err = spikesim("energy")
    assert code == 2 and "MODEL" in err


def test_a_network_of_snntorch_is_counted_as_one_of_spikes(spikesim, tmp_path, monkeypatch):
    (tmp_path / "snn_net.py").write_text(
        "import snntorch as snn\nfrom torch import nn\n\n\ndef build():\n"
        "    first, second = snn.Leaky(0.9, init_hidden=True, threshold=0.1), snn.Leaky(0.9, init_hidden=True)\n"
        "    return nn.Sequential(nn.Linear(6, 10), first, nn.Linear(10, 3), second)\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["--input-shape", 6, "--timesteps", 5, "--samples", 4, "--json", tmp_path / "e.json"]
    code, shown, err = spikesim("energy", "snn_net:build", *words)
    assert code == 0 and "No spikes" not in shown, err
    report = json.loads((tmp_path / "e.json").read_text())
    assert report["timesteps"] == 5 and report["break_even"]["spikes_per_synapse"] > 0


def test_a_loop_over_time_is_counted_as_it_runs(spikesim, tmp_path, monkeypatch):
    (tmp_path / "loop_net.py").write_text(
        "import snntorch as snn\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.fc, self.norm, self.lif = nn.Linear(6, 3), nn.BatchNorm1d(3), snn.Leaky(0.9)\n\n"
        "    def forward(self, x):\n        mem = self.lif.init_leaky()\n"
        "        for _ in range(5):\n            spikes, mem = self.lif(self.norm(self.fc(x)), mem)\n"
        "        return spikes\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["--input-shape", 6, "--input", "analog_once", "--samples", 4, "--json", tmp_path / "e.json"]
    code, shown, err = spikesim("energy", "loop_net:Net", *words)
    assert code == 0 and "No spikes" not in shown and "charged as layers of its own: norm" in err
    assert json.loads((tmp_path / "e.json").read_text())["timesteps"] == 5
    code, _, err = spikesim("energy", "loop_net:Net", "--input-shape", 6, "--timesteps", 5)
    assert code == 1 and "a spiking network already" in err
