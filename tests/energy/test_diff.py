"""Differences of two reports, and reports read back from JSON."""

import io
import json

import pytest
import torch
from oracles.near import near
from oracles.page_reports import page_reports
from rich.console import Console
from torch import nn

from spikesim.energy import Included, energy_diff, energy_report, load_profile, read_report
from spikesim.errors import ConfigError
from spikesim.neurons import IF
from spikesim.nn import Constant, Mean, Network


def report(threshold=0.2, names=("a", "b", "c"), extra=False, steps=4, **options):
    torch.manual_seed(0)
    layers = nn.Sequential()
    layers.add_module(names[0], nn.Linear(6, 10))
    layers.add_module(names[1], IF(threshold))
    layers.add_module(names[2], nn.Linear(10, 3))
    if extra:
        layers.add_module("more", nn.Linear(3, 2))
    x = torch.rand(5, 6, generator=torch.Generator().manual_seed(1))
    return energy_report(Network(layers, encoder=Constant(steps), readout=Mean()), x, input="analog", **options)


def shown(diff):
    out = io.StringIO()
    diff.show(Console(file=out, width=150, color_system=None))
    return out.getvalue()


@pytest.mark.parametrize("name", page_reports())
def test_a_saved_report_is_the_report(name, tmp_path):
    made = page_reports()[name]()
    read = read_report(made.save(tmp_path / "r.json"))
    assert read.energies == made.energies and read.digest == made.digest
    assert read.ledger.to_dict() == made.ledger.to_dict() and read.verdict == made.verdict
    assert [row.to_dict() for row in read.rows] == [row.to_dict() for row in made.rows]
    assert [one.to_dict() for one in read.elsewhere] == [one.to_dict() for one in made.elsewhere]
    diff = energy_diff(made, read)
    assert diff.total.status == "same" and not diff.settings and not diff.baselines
    assert "No difference" in shown(diff)


def test_other_counts_at_the_same_prices():
    before, after = report(0.2), report(0.5)
    diff = energy_diff(before, after)
    assert diff.total.energy_b - diff.total.energy_a == near(diff.total.by_counts) and diff.total.by_prices == 0
    spikes = [one.ledger["b"]["spikes_out"] / 5 for one in (before, after)]
    layer = {change.a: change for change in diff.layers}
    assert layer["b"].counts["spikes_out"] == tuple(spikes) and layer["a"].status == "same"
    assert set(diff.settings) == set()
    text = shown(diff)
    assert "other 2 layers are the same" in text and "spikes" in text and "%" in text


def test_other_prices_at_the_same_counts():
    diff = energy_diff(report(), report(profile="horowitz45-int8"))
    assert diff.total.by_counts == 0 and diff.total.by_prices == near(diff.total.energy_b - diff.total.energy_a)
    assert diff.settings["profile"] == ("horowitz45-fp32", "horowitz45-int8")
    assert diff.settings["constant mac"] == ("4.6 pJ", "0.23 pJ")
    assert not diff.total.counts and set(diff.baselines) == {"dense_ann", "zero_skipping_ann", "capacity_matched"}
    assert "constant mac: 4.6 pJ -> 0.23 pJ" in shown(diff)


@pytest.mark.parametrize("options", [{}, {"profile": "lemaire45"}, {"include": Included(weights="dram")}])
def test_the_parts_add_up_layer_by_layer(options):
    diff = energy_diff(report(), report(0.5, steps=6, **options))
    for change in [*diff.layers, diff.total]:
        assert change.by_counts + change.by_prices == near(change.energy_b - change.energy_a, abs=1e-24)
    for part in ("energy_a", "energy_b", "by_counts", "by_prices"):
        assert sum(getattr(change, part) for change in diff.layers) == near(getattr(diff.total, part), abs=1e-24)
    assert diff.settings["time steps"] == (4, 6)


def test_layers_come_go_and_change_their_names():
    diff = energy_diff(report(names=("a", "b", "c")), report(names=("first", "b", "c"), extra=True))
    status = {change.name: change.status for change in diff.layers}
    assert status["a -> first"] == "renamed" and status["more"] == "added" and status["b"] == "same"
    back = energy_diff(report(extra=True), report())
    gone = next(change for change in back.layers if change.status == "removed")
    assert gone.name == "more" and gone.energy_b == 0 and back.layers[-1] is gone
    assert "renamed" in shown(diff) and "added" in shown(diff) and "removed" in shown(back)


def test_a_layer_of_other_sizes_is_no_renamed_one():
    layers = [Network(nn.Sequential(nn.Linear(6, 4), IF())), Network(nn.ModuleDict({"x": nn.Linear(6, 5)})["x"])]
    a, b = (energy_report(net, torch.ones(2, 1, 6), input="events") for net in layers)
    assert {change.status for change in energy_diff(a, b).layers} == {"added", "removed"}


def test_where_counts_and_prices_cannot_be_told_apart():
    busy, quiet = report(0.01), report(0.5)
    work, less = (one.ledger.total()["synops_binary"] / 5 for one in (busy, quiet))
    assert work > 2 * less > 0
    there = Included(latency=less / load_profile("truenorth-26").operating_point.synops_per_second)
    diff = energy_diff(busy, report(0.5, profile="truenorth-26", include=there))
    assert diff.total.by_counts is None and diff.total.by_prices is None
    assert "cannot be told apart" in shown(diff) and "?" in shown(diff)
    assert diff.settings["option latency"] == (None, there.latency)


def _damaged(content):
    del content["ledger"]["layers"][0]["counts"]


def _counted(content):
    content["ledger"]["layers"][0]["counts"]["mac_dense"][0] += 1


def _priced(content):
    content["energy"]["network"] *= 2


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda c: c.update(schema=1), "has schema 1, this version reads 2"),
        (lambda c: c.pop("ledger"), "is no energy report"),
        (lambda c: c.update(package="other"), "is no energy report"),
        (_damaged, "damaged report"),
        (_counted, "was edited"),
        (_priced, "energy of network does not follow"),
        (lambda c: c["profile"].update(scope="all-in"), "damaged report"),
        (lambda c: c["include"].update(weights="tape"), "no such memory"),
        (lambda c: c.update(include={"latency": -1}), "damaged report"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, change, message):
    path = report().save(tmp_path / "r.json")
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=message) as caught:
        energy_diff(report(), path)
    assert "r.json" in str(caught.value)


@pytest.mark.parametrize("text,message", [("[1, 2]", "no energy report"), ("{", "not JSON"), ("", "not JSON")])
def test_files_of_another_kind_are_refused(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_report(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_report(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not JSON"):
        read_report(tmp_path / "binary.json")


def test_the_diff_is_json_too(tmp_path):
    content = energy_diff(report(), report(0.5)).to_dict()
    assert json.loads(json.dumps(content, allow_nan=False))["layers"][1]["status"] == "changed"
    assert content["unit"] == "J" and content["total"]["energy_a"] == near(report().energy)
