"""The comparison of methods: what it measures, how it is written, what it refuses."""

from __future__ import annotations

import csv
import io

import pytest
import torch
from rich.console import Console
from torch import nn

from spikesim.converters import Comparison, compare, convert
from spikesim.converters.recipes import METHODS, recipe
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
    assert row.accuracy == report.accuracy.snn[-1] and row.latency == report.latency
    assert (row.spikes, row.energy) == report.accuracy.expense.whole
    assert by["exact", 4].steps > 4 and by["mse", 4].steps == 4
    assert not found.failures and found.ann_energy == report.accuracy.expense.ann
    assert by["multi_threshold + bias", 1].lost <= by["percentile", 1].lost
    found.save(tmp_path / "a.csv")
    found.save(tmp_path / "a.json")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert len(lines) == len(found.rows) and float(lines[0]["accuracy"]) == found.rows[0].accuracy
    assert Comparison.model_validate_json((tmp_path / "a.json").read_text()) == found
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(found)
    text = console.export_text()
    assert "ANN 100.00%" in text and "200 samples" in text and "to settle)" in text and "nJ" in text


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


def test_a_failure_is_a_row(task, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task

    def broken(histogram):  # type: ignore[no-untyped-def]
        raise ZeroDivisionError("of my own")

    seen = []
    methods = {"bad": {"threshold": broken}, "never": {"neuron": "parallel", "readout": "delayed"}, "mse": {}}
    found = compare(model, x, (x, y), timesteps=[2], methods=methods, watch=seen.append)
    assert seen == found.rows and [row.failed is None for row in found.rows] == [False, False, True]
    assert found.rows[0].failed == "ZeroDivisionError: of my own"
    assert found.rows[1].failed.startswith("readout is 'delayed'") and found.rows[1].accuracy is None
    for ending in ("csv", "json", "png", "svg"):
        found.save(tmp_path / f"a.{ending}")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert lines[0]["failed"].startswith("Zero") and lines[0]["accuracy"] == "" and lines[2]["latency"] == "2"
    with pytest.raises(ConfigError, match="expected \\.csv"):
        found.save(tmp_path / "a.doc")
    none = compare(model, x, (x, y), timesteps=[2], methods={"bad": {"threshold": broken}})
    assert none.ann is None and none.samples == 200
    with pytest.raises(ConfigError, match="nothing to draw"):
        none.figure()


def test_early_exits_are_compared_too(task) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task
    whole, early = compare(model, x, (x, y), timesteps=[8], methods=["mse + bias", "early_exit=0.8"]).rows
    assert early.steps < whole.steps == 8 and early.latency.steps == 8
    assert early.energy < whole.energy and early.spikes < whole.spikes


def test_recipes() -> None:
    assert recipe("exact=true, calibrate=weights,bias") == {"exact": True, "calibrate": "weights,bias"}
    for text in ("neuron=", "=if", "neuron=if,", "a b=1"):
        with pytest.raises(ConfigError, match="expected a name, or settings"):
            recipe(text)


@pytest.mark.parametrize("methods", [["neurn=if"], {"mine": {"timesteps": 4}}, {"mine": {"evaluate": None}}])
def test_settings_that_convert_does_not_take(task, methods) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task
    with pytest.raises(ConfigError, match="expected settings out of"):
        compare(model, x, (x, y), timesteps=[2], methods=methods)
