"""Saving and loading converted networks."""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from oracles.conversion_networks import randomised, structures
from safetensors.torch import load_file, save_file

from spikesim.converters import convert, load_converted
from spikesim.errors import CheckpointError, ConfigError

CASES = structures()


@pytest.mark.parametrize("name", CASES)
def test_what_is_loaded_is_what_was_saved(name: str, tmp_path: Path) -> None:
    model, shape = CASES[name]
    x = torch.rand(6, *shape)
    done = convert(randomised(copy.deepcopy(model)), x, timesteps=4)
    done.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "network.json",
        "probe.safetensors",
        "report.json",
        "weights.safetensors",
    ]
    network, report = load_converted(tmp_path)
    assert torch.equal(network(x), done.network(x)) and report == done.report


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model, shape = CASES["relu6"]
    convert(model, torch.rand(6, *shape), timesteps=4).save(tmp_path)
    return tmp_path


def test_missing_file(saved: Path) -> None:
    (saved / "report.json").unlink()
    with pytest.raises(CheckpointError, match=r"missing report\.json"):
        load_converted(saved)


@pytest.mark.parametrize("name", ["network.json", "probe.safetensors", "report.json", "weights.safetensors"])
def test_truncated_file(saved: Path, name: str) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="save it again"):
        load_converted(saved)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"Linear"', '"Bilinear"'), ('"timesteps"', '"steps"')],
)
def test_foreign_graphs_are_refused(saved: Path, old: str, new: str) -> None:
    path = saved / "network.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_converted(saved)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (("settings", "groups"), 5),
        (("settings", "kernel_size"), []),
        (("settings", "padding"), "wide"),
        (("inputs",), []),
        (("inputs",), ["nobody"]),
        (("inputs",), ["x", "x"]),
    ],
)
def test_graphs_that_cannot_be_built_are_refused(saved: Path, field: tuple[str, ...], value: object) -> None:
    path = saved / "network.json"
    graph = json.loads(path.read_text())
    place = next(node for node in graph["nodes"] if node["kind"].startswith("Conv"))
    for key in field[:-1]:
        place = place[key]
    place[field[-1]] = value
    path.write_text(json.dumps(graph))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_converted(saved)


@pytest.mark.parametrize("version", ["2", "99", '"three"', "null"])
def test_other_versions_say_so(saved: Path, version: str) -> None:
    path = saved / "network.json"
    path.write_text(path.read_text().replace('"schema_version": 3', f'"schema_version": {version}'))
    with pytest.raises(CheckpointError, match="this spikesim reads 3"):
        load_converted(saved)
    (saved / "probe.safetensors").unlink()  # as in folders of version 2
    with pytest.raises(CheckpointError, match="this spikesim reads 3"):
        load_converted(saved)


def _resign(saved: Path, name: str) -> None:
    """Make a changed file the one that belongs there, as far as digests tell."""
    path = saved / "network.json"
    graph = json.loads(path.read_text())
    graph["sha256"][name] = hashlib.sha256((saved / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(graph))


def test_the_probe_finds_the_layer_that_changed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)
    )
    x = torch.rand(40, 4)
    done = convert(model, x, timesteps=4)
    done.save(tmp_path)
    weights = load_file(tmp_path / "weights.safetensors")
    for name, message in [("linear_2.weight", "layer 'relu_3' sends"), ("linear_4.bias", "behind the last neuron")]:
        save_file({**weights, name: -weights[name]}, tmp_path / "weights.safetensors")
        with pytest.raises(CheckpointError, match=r"weights\.safetensors in .* is damaged"):
            load_converted(tmp_path)
        _resign(tmp_path, "weights.safetensors")
        with pytest.raises(CheckpointError, match=message) as caught:
            load_converted(tmp_path)
        assert "verify=False" in str(caught.value)
        assert load_converted(tmp_path, verify=False).report == done.report


def test_a_probe_that_cannot_be_put_is_no_crash(saved: Path) -> None:
    probe = load_file(saved / "probe.safetensors")
    x = probe["input.0"]
    for wrong in ({**probe, "input.0": x[..., :1]}, {**probe, "spikes": probe["spikes"][:0]}, {"input.0": x}):
        save_file({k: v.contiguous() for k, v in wrong.items()}, saved / "probe.safetensors")
        _resign(saved, "probe.safetensors")
        with pytest.raises(CheckpointError):
            load_converted(saved)


def test_the_probe_wakes_every_layer_and_holds_no_data(tmp_path: Path) -> None:
    model, shape = CASES["relu6"]
    x = 1000 * torch.rand(20, *shape)  # inputs of quite another size than noise
    convert(randomised(copy.deepcopy(model)), x, timesteps=4).save(tmp_path)
    probe = load_file(tmp_path / "probe.safetensors")
    assert (probe["spikes"] > 0).any() and probe["input.0"].abs().max() < 400


def test_a_full_disk_leaves_what_was_there(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p.name: p.read_bytes() for p in saved.iterdir()}
    model, shape = CASES["relu6"]
    other = convert(model, torch.rand(6, *shape), timesteps=5)
    written = []

    def full(handle: int) -> None:
        written.append(handle)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        other.save(saved)
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == before
    assert load_converted(saved).report.timesteps == 4


def test_files_of_two_generations_are_told_apart(saved: Path, tmp_path: Path) -> None:
    model, shape = CASES["relu6"]
    convert(model, torch.rand(6, *shape), timesteps=5).save(tmp_path / "other")
    (saved / "report.json").write_bytes((tmp_path / "other" / "report.json").read_bytes())
    with pytest.raises(CheckpointError, match=r"report\.json in .* belongs to another network"):
        load_converted(saved)


def test_the_report_knows_its_calibration_data() -> None:
    model, shape = CASES["relu6"]
    x = torch.rand(6, *shape)
    digests = [convert(model, data, timesteps=2).report.calibration_digest for data in (x, [x[:2], x[2:]], x.flip(0))]
    assert digests[0] == digests[1] != digests[2]
