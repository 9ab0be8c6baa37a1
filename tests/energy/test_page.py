"""The page of a report: one file, its own arithmetic, escaped names; what a browser makes of it is in test_browser."""

import json
import re
import shutil
import subprocess
from importlib import resources

import pytest
import torch
from oracles.near import near
from oracles.page_reports import page_reports
from torch import nn

from spikesim.energy import energy_report, load_profile
from spikesim.energy.html import html
from spikesim.energy.page_data import page_data
from spikesim.errors import ConfigError
from spikesim.neurons import IF
from spikesim.nn import Constant, Mean, Network


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


@pytest.mark.parametrize("name", page_reports())
def test_the_pages_own_arithmetic_gives_the_totals_of_the_package(name, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here to run the page's arithmetic without a browser")
    report = page_reports()[name]()
    data = page_data(report, None)
    pricing = resources.files("spikesim.energy.page").joinpath("pricing.js").read_text()
    script = tmp_path / "price.js"
    told = (
        "console.log(JSON.stringify(data.profiles.map((p) => [priceAll(data, p), price(data, p, 'network').unpriced])))"
    )
    script.write_text(f"{pricing}\nconst data = {json.dumps(data)};\n{told}")
    found = json.loads(subprocess.run([node, script], capture_output=True, check=True, text=True).stdout)
    assert len(found) == len(data["profiles"]) >= 4
    elsewhere = {one.profile: one for one in report.elsewhere}
    for profile, (priced, unpriced) in zip(data["profiles"], found, strict=True):
        assert priced["worst"] < 1e-9
        assert priced["energies"]["network"] == near(elsewhere[profile["name"]].energy, rel=1e-9)
        for baseline, ratio in elsewhere[profile["name"]].ratios.items():
            beside = data["baselines"][baseline]["beside"]
            assert priced["energies"][beside] / priced["energies"][baseline] == near(ratio, rel=1e-9)
        listed = {
            u["operation"]: u["results"] for u in profile["unpriced"] if u["layer"] == "(all)" and u["of"] == "network"
        }
        assert unpriced == listed
    own = found[0][0]["energies"]
    assert own == {side: near(joules, rel=1e-9) for side, joules in report.to_dict()["energy"].items() if side in own}


def test_the_page_loads_nothing():
    whole = page_reports()["converted"]().to_html()
    page = re.sub(r'id="data">.*?<', "<", whole, flags=re.DOTALL)  # citations may name addresses
    assert 20_000 < len(page) < len(whole)
    for outside in ("https?://(?!www.w3.org/2000/svg)", "src=", "<link", "@import", r"url\(", r"fetch\(", "innerHTML"):
        assert not re.search(outside, page), outside
    assert "default-src 'none'" in page


def test_names_end_no_script_and_open_no_element():
    evil = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
    layers = nn.ModuleDict({evil: nn.Linear(4, 3)})

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.neuron = layers, IF(0.2)

        def forward(self, x):
            return self.neuron(self.layers[evil](x))

    net = Network(Odd(), encoder=Constant(3), readout=Mean())
    page = energy_report(net, torch.rand(2, 4), input="analog", source=evil + "{{DATA}}").to_html()
    assert evil not in page and "alert(1)</script>" not in page
    assert page.count("<script") == page.count("</script>") == 2 and "<img" not in page
    data = data_of(page)
    assert data["input"]["source"] == evil + "{{DATA}}"
    assert any(evil in layer["name"] for layer in data["ledgers"]["network"])


def test_profiles_that_may_not_be_applied_say_why():
    report = page_reports()["converted"]()
    data = page_data(report, None)
    applied, refused = {p["name"] for p in data["profiles"]}, {r["name"]: r["reason"] for r in data["refused"]}
    assert applied.isdisjoint(refused) and "odin" in refused and "latency" in refused["odin"]
    assert "lemaire45" in applied and data["profiles"][0]["name"] == report.profile.name


def test_a_profile_of_ones_own_stands_first(tmp_path):
    text = load_profile("horowitz45-int8").model_dump_json(by_alias=True)
    own = type(load_profile("horowitz45-int8")).model_validate({**json.loads(text), "name": "mine <b>"})
    net = Network(nn.Sequential(nn.Linear(4, 3), IF(0.2)), encoder=Constant(3), readout=Mean())
    data = data_of(energy_report(net, torch.rand(2, 4), input="analog", profile=own).to_html())
    assert data["profiles"][0]["name"] == "mine <b>" and "horowitz45-int8" in {p["name"] for p in data["profiles"]}


@pytest.mark.parametrize("accuracies", [[0.5], [0.1, 0.2, float("nan")], [0.1, 0.2, 97.0]])
def test_accuracies_must_fit_the_steps(accuracies):
    net = Network(IF(), encoder=Constant(3), readout=Mean())
    with pytest.raises(ConfigError, match="accuracies"):
        html(energy_report(net, torch.rand(2, 4), input="analog"), accuracies)
