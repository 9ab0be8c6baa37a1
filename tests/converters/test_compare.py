"""The comparison of methods: what it measures, how it is written, what it refuses."""

from __future__ import annotations

import csv
import io

import pytest
import torch
from rich.console import Console
from torch import nn

from spikesim.converters import Comparison, compare, convert
from spikesim.converters.compare import METHODS
from spikesim.errors import ConfigError


@pytest.fixture(scope="module")
def task() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.rand(200, 6)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    return model, x, model(x).argmax(1)


def test_all_methods_run_and_say_what_a_conversion_says(task, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task
    found = compare(model, x[:100], (x, y), timesteps=[1, 4])
    assert [(r.method, r.timesteps) for r in found.rows] == [(m, t) for m in METHODS for t in (1, 4)]
    assert found.ann == 1.0 and found.samples == 200
    by = {(r.method, r.timesteps): r for r in found.rows}
    report = convert(model, x[:100], timesteps=4, evaluate=(x, y), neuron="group").report
    row = by["group + bias", 4]
    assert row.accuracy == report.accuracy.snn[-1]
    assert row.spikes == pytest.approx(sum(layer.spikes_per_sample for layer in report.layers))
    assert by["exact", 4].latency > 4 and by["mse", 4].latency == 4
    assert by["multi_threshold + bias", 1].lost <= by["percentile", 1].lost
    found.save(tmp_path / "a.csv")
    found.save(tmp_path / "a.json")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert len(lines) == len(found.rows) and float(lines[0]["accuracy"]) == found.rows[0].accuracy
    assert Comparison.model_validate_json((tmp_path / "a.json").read_text()) == found
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(found)
    text = console.export_text()
    assert "ANN 100.00% on 200 samples" in text and "exact" in text and "steps)" in text


def test_own_settings(task) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task
    found = compare(model, x, (x, y), timesteps=[2], methods={"mine": {"neuron": "burst(3)", "threshold": "ltb(50)"}})
    assert [r.method for r in found.rows] == ["mine"]


def test_what_cannot_be_compared(task) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task
    with pytest.raises(ConfigError, match="'best'"):
        compare(model, x, (x, y), methods=["best"])
    with pytest.raises(ConfigError, match="nothing to compare"):
        compare(model, x, (x, y), timesteps=[])
    with pytest.raises(ConfigError, match="nothing to compare"):
        compare(model, x, (x, y), methods=[])
