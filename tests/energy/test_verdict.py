"""The verdict claims no more than what was priced, and the report says what it was counted on."""

import io

import pytest
import torch
from rich.console import Console
from torch import nn

from spikesim.energy import energy_report, load_profile
from spikesim.neurons import IF
from spikesim.nn import Constant, Mean, Network


def network(*end):
    torch.manual_seed(0)
    return Network(nn.Sequential(nn.Linear(64, 8), IF(), nn.Linear(8, 64), *end), encoder=Constant(2), readout=Mean())


@pytest.mark.parametrize("layer,name", [(nn.Softmax(-1), "_softmax"), (nn.Tanh(), "tanh")])
def test_unpriced_work_makes_a_lower_bound(layer, name):
    report = energy_report(network(layer), torch.rand(5, 64), input="analog")
    # The sums and products of a softmax have a price, its exponentials have none.
    wins = "Spiking wins only in part" if name == "_softmax" else "Spiking wins"
    assert report.verdict.startswith(f"{wins}, as far as operations are priced: ")
    assert report.verdict.endswith(
        f"Lower bounds: operations not priced, 640 of the network and 320 of the ANN: {name}."
    )
    assert "ower bound" not in energy_report(network(), torch.rand(5, 64), input="analog").verdict


@pytest.fixture
def synops_only():
    full = load_profile("horowitz45-fp32")
    return full.model_copy(update={"name": "no-macs", "constants": {"synop": full.constants["synop"]}})


def test_no_verdict_without_a_price_of_macs(synops_only):
    report = energy_report(network(), torch.rand(5, 64), input="analog", profile=synops_only)
    assert report.verdict.startswith("No verdict: profile no-macs prices no MACs")
    assert "not priced" in report.verdict and "infx" not in report.verdict
    plain = energy_report(nn.Linear(3, 2), torch.rand(2, 3), input="analog", profile=synops_only)
    assert plain.verdict.startswith("No verdict")
    out = io.StringIO()
    report.show(Console(file=out, width=200, color_system=None))
    assert not {"inf", "infx"} & set(out.getvalue().split())


def test_no_verdict_against_a_baseline_without_macs():
    report = energy_report(Network(IF()), torch.zeros(2, 1, 3), input="analog", ann=nn.ReLU())
    assert report.verdict.startswith("No verdict: the baseline (source ANN ReLU) does no priced MACs")


def test_the_source_of_the_input_is_kept_and_shown():
    report = energy_report(network(), torch.rand(5, 64), input="analog", source="uniform noise")
    assert report.to_dict()["input"] == {"kind": "analog", "source": "uniform noise"}
    out = io.StringIO()
    report.show(Console(file=out, width=200, color_system=None))
    assert "Input (analog): uniform noise." in out.getvalue()
