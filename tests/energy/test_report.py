"""The report: energies by hand, baselines on the same input, table and JSON."""

import io
import json

import pytest
import torch
from oracles.near import near
from rich.console import Console
from torch import nn

import spikesim
from spikesim.energy import energy_report, format_energy, relu_twin
from spikesim.errors import ConfigError, LedgerError
from spikesim.neurons import IF, LI
from spikesim.nn import Constant, Mean, Network

ADD, MUL, CMP, MAC, SYNOP = 0.9e-12, 3.7e-12, 0.9e-12, 4.6e-12, 0.9e-12


def static_net(threshold=1.0, steps=4):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10), IF(threshold), nn.Linear(10, 3), LI())
    return Network(module, encoder=Constant(steps), readout=Mean())


def test_energies_add_up_by_hand():
    network, x = static_net(0.2), torch.rand(5, 6)
    report = energy_report(network, x, input="analog")
    ledger = report.ledger
    spikes = ledger["1"]["spikes_out"]
    assert spikes > 0
    synops = 3 * spikes
    expected = (
        5 * 60 * MAC + 5 * 10 * ADD  # first layer, once
        + 5 * 4 * 10 * (ADD + CMP) + spikes * ADD  # IF
        + synops * SYNOP + 5 * 4 * 3 * ADD  # second layer, bias at every step
        + 5 * 4 * 3 * (2 * ADD + MUL)  # LI
        + 5 * 4 * 3 * ADD  # readout
    )  # fmt: skip
    assert report.energy == near(expected / 5, rel=1e-12)
    dense = 60 * MAC + 10 * ADD + 10 * CMP + 30 * MAC + 3 * ADD
    assert report.dense_ann == near(dense, rel=1e-12)
    assert report.ratio_dense == near(report.energy / dense)
    assert report.zero_skipping_ann <= report.dense_ann


def test_energy_is_the_sum_of_its_layers_and_terms():
    report = energy_report(static_net(0.2), torch.rand(5, 6), input="analog")
    content = report.to_dict()
    assert sum(layer["energy"] for layer in content["layers"]) == near(report.energy)
    assert sum(content["energy"]["by_term"].values()) == near(report.energy)


def test_the_source_ann_is_run_on_the_same_samples():
    network, x = static_net(), torch.rand(5, 6)
    ann = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 3))
    report = energy_report(network, x, input="analog", ann=ann)
    assert report.ann_ledger.total()["mac_dense"] == 5 * (120 + 60)
    assert report.ann_name == "source ANN Sequential"
    assert report.ann_ledger["0"]["mac_effective"] == 20 * int((x != 0).sum())
    with pytest.raises(LedgerError, match="on 2 samples and the network on 5"):
        energy_report(network, x, input="analog", ann=ann, ann_input=torch.rand(2, 6))


def test_an_event_network_is_compared_on_its_mean_frame():
    torch.manual_seed(0)
    network = Network(nn.Sequential(nn.Conv2d(2, 3, 3), IF(), nn.Flatten(), nn.Linear(48, 2), LI()), readout=Mean())
    x = torch.randint(0, 2, (5, 2, 2, 6, 6), dtype=torch.uint8)
    mask = torch.tensor([[True, True]] * 3 + [[True, False]] * 2)
    report = energy_report(network, x, input="events", mask=mask)
    assert report.ann_ledger.timesteps == 1
    assert report.ann_ledger["0"]["mac_dense"] == 2 * 16 * 3 * 18
    frames = torch.stack([x[:, 0].float().mean(0), x[:3, 1].float().mean(0)])
    conv = torch.nn.functional.conv2d((frames != 0).double(), torch.ones(3, 2, 3, 3, dtype=torch.float64))
    assert report.ann_ledger["0"]["mac_effective"] == int(conv.sum())


def test_the_verdict_says_who_loses():
    x = torch.rand(5, 6)
    silent = energy_report(static_net(1e6, steps=1), x, input="analog")
    assert silent.ratio_dense < 1 and silent.verdict.startswith("Spiking wins")
    busy = energy_report(static_net(0.01, steps=64), x, input="analog")
    assert busy.ratio_dense > 1 and busy.verdict.startswith("Spiking loses")
    assert "ReLU twin" in busy.verdict and "T = 64" in busy.verdict
    plain = energy_report(nn.Linear(3, 2), torch.rand(2, 3), input="analog")
    assert plain.ratio_dense == 1.0 and plain.verdict.startswith("No spikes")


def test_the_twin_shares_weights_and_leaves_the_network():
    network = static_net()
    twin = relu_twin(network)
    assert twin[0].weight is network.module[0].weight
    assert [type(m).__name__ for m in twin] == ["Linear", "ReLU", "Linear", "Identity"]
    assert isinstance(network.module[1], IF)
    assert isinstance(relu_twin(Network(IF())), nn.ReLU)


def test_json_is_complete_and_written_whole(tmp_path):
    report = energy_report(static_net(0.2), torch.rand(5, 6), input="analog")
    path = report.save(tmp_path / "deep" / "report.json")
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]
    content = json.loads(path.read_text())
    assert content == json.loads(json.dumps(report.to_dict()))
    assert (content["schema"], content["version"], content["unit"]) == (2, spikesim.__version__, "J")
    assert content["profile"]["digest"] == report.profile.digest
    assert {"padding", "bias", "input", "pooling", "residual"} <= set(content["conventions"])
    assert content["ledger"]["layers"][0]["input"] == "analog_once"
    with pytest.raises(ConfigError, match="cannot write"):
        report.save("/proc/none/report.json")


def test_json_of_a_silent_baseline_holds_no_infinity(tmp_path):
    report = energy_report(Network(IF()), torch.zeros(2, 1, 3), input="analog", ann=nn.Identity())
    content = json.loads(report.save(tmp_path / "r.json").read_text())
    assert content["ratio"]["dense_ann"] is None


def test_the_terminal_shows_layers_baselines_and_what_is_missing():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10), nn.Softmax(-1), IF(0.2), nn.Linear(10, 3), LI())
    report = energy_report(Network(module, encoder=Constant(4), readout=Mean()), torch.rand(5, 6), input="analog")
    out = io.StringIO()
    report.show(Console(file=out, width=200, color_system=None))
    shown = out.getvalue()
    for expected in (
        "analog_once",
        "readout",
        "dense ANN",
        "zero-skipping ANN",
        "Not priced",
        "_softmax",
        "pJ",
        "share",
    ):
        assert expected in shown
    assert report.verdict in " ".join(shown.split())
    with pytest.raises(LedgerError, match="_softmax"):
        energy_report(Network(module, encoder=Constant(4)), torch.rand(5, 6), input="analog", strict=True)


@pytest.mark.parametrize(
    "joules,text",
    [
        (0.99999e-9, "1.000 nJ"),
        (999.4e-12, "999.4 pJ"),
        (12344e-9, "12.34 µJ"),
        (5e-17, "0.050 fJ"),
        (1234.0, "1234 J"),
        (-2e-3, "-2.000 mJ"),
        (float("inf"), "inf J"),
    ],
)
def test_si_prefixes(joules, text):
    assert format_energy(joules) == text


def test_the_table_fits_a_narrow_terminal():
    out = io.StringIO()
    energy_report(static_net(0.2), torch.rand(5, 6), input="analog").show(
        Console(file=out, width=80, color_system=None)
    )
    shown = out.getvalue()
    assert "100.0 %" in shown and "analog_once" in shown and "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
