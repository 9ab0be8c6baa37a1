"""Saving and loading converted networks."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from oracles.conversion_networks import randomised, structures

from spikesim.converters import convert, load_converted
from spikesim.errors import CheckpointError

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
    [('"schema_version": 3', '"schema_version": 2'), ('"Linear"', '"Bilinear"'), ('"timesteps"', '"steps"')],
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
