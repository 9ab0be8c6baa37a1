"""Energy models beyond counts times constants, against the published formulas written out."""

import pytest
import torch
from oracles import energy_models as oracle
from oracles.near import near
from torch import nn

from spikesim.energy import Included, energy_report, load_profile
from spikesim.neurons import IF, LIF
from spikesim.nn import Constant, Mean, Network

SAMPLES, STEPS = 5, 4


@pytest.fixture(params=[IF, LIF])
def network(request):
    torch.manual_seed(0)
    neuron = request.param
    layers = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, bias=False), neuron(threshold=0.05), nn.Flatten(), nn.Linear(36, 7)
    )
    return Network(layers, readout=Mean())


def events():
    torch.manual_seed(1)
    return torch.randint(0, 2, (STEPS, SAMPLES, 2, 8, 8))


def picojoules(report, *layers):
    return 1e12 * sum(report.priced.layer(layer) for layer in layers)


def test_the_analytic_model_of_a_spiking_network(network):
    report = energy_report(network, events(), input="events", profile="lemaire45")
    ledger = report.ledger
    arrived = int(events().sum()) / SAMPLES
    emitted = ledger["1"]["spikes_out"] / SAMPLES
    assert emitted > 0
    conv = oracle.spiking_convolution(2, 4, 3, 2, 3, arrived, STEPS)
    leak = type(network.module[1]) is LIF
    neurons = oracle.spiking_neurons(emitted, STEPS * 36, leak)
    linear = oracle.spiking_linear(36, 7, emitted, STEPS, bias=True)
    assert picojoules(report, "0") == near(conv, rel=1e-12)
    assert picojoules(report, "1") == near(neurons, rel=1e-12)
    assert picojoules(report, "3") == near(linear, rel=1e-12)


def test_the_analytic_model_of_an_ann():
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 7, bias=False))
    report = energy_report(ann, torch.rand(3, 2, 8, 8), input="analog", profile="lemaire45")
    assert picojoules(report, "0") == near(oracle.formal_convolution(2, 4, 3, 8, 6, bias=True), rel=1e-12)
    assert picojoules(report, "3") == near(oracle.formal_linear(144, 7, bias=False), rel=1e-12)
    zeros = 1 - report.ledger["3"]["mac_effective"] / report.ledger["3"]["mac_dense"]
    assert zeros > 0
    saved = zeros * 144 * 7 * (oracle.access(144 * 7) + oracle.MAC)
    skipping = 1e12 * (report.dense_ann - report.zero_skipping_ann)
    assert skipping == near(saved, rel=1e-9)  # the input holds no zeros


def test_a_constant_input_is_read_once(network):
    static = Network(network.module, encoder=Constant(STEPS), readout=Mean())
    report = energy_report(static, torch.rand(SAMPLES, 2, 8, 8), input="analog", profile="lemaire45")
    ann_like = oracle.formal_convolution(2, 4, 3, 8, 3, bias=False) - 36 * oracle.access(36)  # written as potentials
    potentials = 2 * STEPS * 36 * oracle.access(36) + STEPS * 36 * oracle.ADD
    assert picojoules(report, "0") == near(ann_like + potentials, rel=1e-12)


def test_memory_dominates_in_the_analytic_model(network):
    report = energy_report(network, events(), input="events", profile="lemaire45")
    memory = sum(report.priced.term(term) for term in ("weight memory", "state memory", "input memory"))
    assert memory > 0.9 * report.energy


def test_crossbars_cost_the_same_with_and_without_spikes(network):
    busy = energy_report(network, events(), input="events", profile="spikesim65")
    silent = energy_report(network, 0 * events(), input="events", profile="spikesim65")
    expected = oracle.crossbars(2, 4, 3, 3, STEPS) + oracle.crossbars(36, 7, 1, 1, STEPS)
    assert picojoules(busy, "0", "3") == near(expected, rel=1e-12)
    assert busy.energy == near(silent.energy)
    assert busy.verdict.startswith("No verdict: profile spikesim65 prices no MACs")


def test_many_crossbars():
    wide = nn.Sequential(nn.Conv2d(65, 130, 3, padding=1, bias=False))
    report = energy_report(wide, torch.rand(1, 65, 4, 4), input="analog", profile="spikesim65")
    assert 1e12 * report.energy == near(oracle.crossbars(65, 130, 3, 4, 1), rel=1e-12)
    assert 1e12 * report.energy == near(6 * oracle.crossbars(64, 64, 3, 4, 1), rel=1e-12)


def traffic(report, weights, state_reads_and_writes):
    """Weights and potentials of every layer, counted out: bits over 64 times the tier."""
    total = {}
    ledger = report.ledger
    for name, layer in ledger.layers.items():
        synops = sum(layer[f"synops_{kind}"] for kind in ("binary", "signed", "graded"))
        fetched = synops + layer["mac_dense"]
        moved = state_reads_and_writes(synops, layer["neuron_updates"])
        total[name] = (weights * fetched / ledger.samples, moved / ledger.samples)
    return total


def test_traffic_by_tier(network):
    include = Included(weights="dram", potentials="sram-8k")
    report = energy_report(network, events(), input="events", profile="horowitz45-int8", include=include)
    # 8-bit weights; potentials are kept in 32 bits, read and written once per addition and once per update.
    expected = traffic(report, 8 / 64 * 1950e-12, lambda synops, updates: (synops + updates) * 64 / 64 * 10e-12)
    for name, (weights, potentials) in expected.items():
        terms = report.priced.layers[name]
        assert terms.get("weight memory", 0) == near(weights)
        assert terms.get("state memory", 0) == near(potentials)
    assert report.priced.term("weight memory") > 0 and report.priced.term("state memory") > 0
    content = report.to_dict()
    assert content["include"]["weights"] == "dram"
    assert content["conventions"]["left out"] == "communication, control and static power"
    plain = energy_report(network, events(), input="events", profile="horowitz45-int8")
    added = sum(report.priced.term(term) for term in ("weight memory", "state memory"))
    assert report.energy == near(plain.energy + added)


def test_a_zero_skipping_ann_reads_fewer_weights(network):
    include = Included(weights="sram-1m")
    report = energy_report(network, events(), input="events", profile="horowitz45-fp32", include=include)
    ann, plain = report.ann_ledger.total(), energy_report(network, events(), input="events")
    skipped = (ann["mac_dense"] - ann["mac_effective"]) / SAMPLES
    assert skipped > 0
    saved = (report.dense_ann - report.zero_skipping_ann) - (plain.dense_ann - plain.zero_skipping_ann)
    assert saved == near(skipped * 32 / 64 * 100e-12)


def test_static_power_is_power_times_latency(network):
    quiet = energy_report(network, events(), input="events", profile="loihi1")
    loud = energy_report(network, events(), input="events", profile="loihi1", include=Included(latency=0.01, chips=3))
    assert loud.energy - quiet.energy == near(3 * 0.104 * 0.01)
    assert loud.priced.layers["(static)"] == {"static": near(3.12e-3)}
    assert "static power" in quiet.to_dict()["conventions"]["left out"]
    content = loud.to_dict()
    assert content["conventions"]["static power"] == "of 3 chip(s) for 0.01 s per inference"
    assert content["layers"][-1]["name"] == "(static)"


def test_neurons_of_a_chip_are_updated_as_a_whole(network):
    report = energy_report(network, events(), input="events", profile="loihi1")
    neurons = report.ledger["1"]
    expected = 52e-12 * neurons["neuron_updates"] + 1.7e-12 * neurons["spikes_out"]
    assert report.priced.layer("1") == near(expected / SAMPLES)
    assert "update_add" not in report.priced.unpriced
    assert load_profile("loihi1").static.power.watts == near(0.104)
