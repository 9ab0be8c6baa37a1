"""The capacity-matched baseline, where spiking loses, break-even and other profiles."""

import io
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles.made_ledgers import ledger_of
from oracles.near import near
from rich.console import Console
from torch import nn

from spikesim.energy import (
    EnergyReport,
    Included,
    Ledger,
    energy_report,
    load_profile,
    matched_bits,
    profile_names,
    read_report,
)
from spikesim.energy.breakeven import LIMITS, BreakEven
from spikesim.errors import LedgerError
from spikesim.neurons import IF, MultiThresholdIF
from spikesim.nn import Constant, Count, DelayedMean, Mean, Network

ADD, CMP, MAC = 0.9e-12, 0.9e-12, 4.6e-12


def small(threshold=0.2, steps=3, **options):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 10), IF(threshold), nn.Linear(10, 3))
    network = Network(layers, encoder=Constant(steps), readout=Mean())
    return energy_report(network, torch.rand(20, 6), input="analog", **options)


@given(st.integers(1, 10**6))
def test_bits_for_as_many_levels_as_spike_counts(timesteps):
    bits = matched_bits(timesteps)
    assert 2**bits >= timesteps + 1 > 2 ** (bits - 1)


@pytest.mark.parametrize("steps,product", [(1, ADD), (3, 2 * ADD), (15, 4 * ADD), (31, 5 * ADD), (63, MAC)])
def test_the_third_baseline_by_hand(steps, product):
    """Products of few bits cost that many additions, at most a multiply-accumulate; the image stays as it is."""
    report = small(steps=steps)
    effective = report.ann_ledger["2"]["mac_effective"] / 20
    expected = report.zero_skipping_ann - effective * (MAC - product)
    assert 0 < effective < 30
    assert report.capacity_matched == near(expected, rel=1e-12)
    assert report.ratio("capacity_matched") == near(report.energy_zero_skipping / report.capacity_matched)


def test_it_is_never_dearer_than_the_zero_skipping_ann():
    for name in ("horowitz45-fp16", "horowitz45-int32", "horowitz45-int8", "lemaire45"):
        report = small(profile=name)
        assert report.capacity_matched <= report.zero_skipping_ann <= report.dense_ann


def test_where_the_mapping_does_not_hold_is_said():
    ann = ledger_of({"l": (["analog"], {"mac_dense": [100], "mac_effective": [40]})})

    def departures(**columns):
        own = ledger_of({"l": (["binary"], {"synapses": [400], **columns})}, timesteps=4)
        return EnergyReport(own, ann, "an ANN", load_profile("horowitz45-fp32")).departures

    assert departures(synops_binary=[40]) == []  # 0.1 is the least, 0.4 / 4
    assert departures(synops_binary=[160]) == []  # 0.4 is the most
    assert departures(synops_binary=[39]) == ["l: rate 0.0975 is below the range 0.1 to 0.4"]
    assert departures(synops_binary=[161]) == ["l: rate 0.403 is above the range 0.1 to 0.4"]
    assert departures(synops_signed=[3]) == ["spikes are signed, and the mapping was shown for binary ones"]


def test_the_verdict_names_the_layers_that_lose():
    busy = small(threshold=0.01, steps=32)
    assert busy.verdict.startswith("Spiking loses")
    assert "the capacity-matched quantised ANN of 6 bits" in busy.verdict
    rows = {row.layer: row for row in busy.rows}
    assert rows["2"].loses_to == ("dense_ann", "zero_skipping_ann", "capacity_matched")
    assert "It loses to the zero-skipping ANN in" in busy.verdict and " 2 (" in busy.verdict
    silent = small(threshold=1e6, steps=1)
    assert {row.layer: row for row in silent.rows}["2"].loses_to == ()
    content = busy.to_dict()
    named = {layer["name"]: layer["loses_to"] for layer in content["layers"]}
    assert named["2"] == ["dense_ann", "zero_skipping_ann", "capacity_matched"]
    assert content["rows"][0]["layer"] == "0"


def test_rows_add_up_to_the_totals():
    report = small()
    for column in ("network", "network_zero_skipping", "dense_ann", "zero_skipping_ann", "capacity_matched"):
        assert sum(getattr(row, column) for row in report.rows) == near(report.energies[column])


def test_break_even_is_where_energies_meet():
    """Scale the spikes of a ledger by what the panel says, price again, and compare."""
    report = small(threshold=0.3, steps=4)
    scale = report.break_even.scale["dense_ann"]
    totals = report.ledger.total()
    assert scale > 0 and totals["spikes_out"]
    synops = report.priced.term("synops")
    assert report.energy + (scale - 1) * synops == near(report.dense_ann)
    rate, per_synapse = report.break_even.at("dense_ann")
    assert rate == near(scale * totals["spikes_out"] / (20 * 4 * 10))
    assert per_synapse == near(scale * totals["synops_binary"] / (20 * 30))


def test_break_even_with_memory_moves_the_traffic_of_spikes():
    include = Included(weights="sram-8k", potentials="sram-8k")
    report = small(threshold=0.3, steps=4, include=include)
    scale = report.break_even.scale["zero_skipping_ann"]
    spikes = report.ledger["2"]["synops_binary"] / 20
    driven = spikes * (ADD + 32 / 64 * 10e-12 + 64 / 64 * 10e-12)
    assert report.energy_zero_skipping + (scale - 1) * driven == near(report.zero_skipping_ann)


def test_no_activity_breaks_even_where_silence_costs_more():
    report = small(threshold=0.2, steps=200)
    assert report.break_even.scale["dense_ann"] <= 0
    assert report.break_even.at("dense_ann") is None
    out = io.StringIO()
    report.show(Console(file=out, width=200, color_system=None))
    assert "none, a silent network costs more already" in out.getvalue()


def test_nothing_breaks_even_without_a_baseline_or_without_spikes():
    assert set(small(profile="loihi1").break_even.scale.values()) == {None}
    assert set(small(threshold=1e6).break_even.scale.values()) == {None}
    plain = energy_report(nn.Linear(3, 2), torch.rand(2, 3), input="analog")
    assert set(plain.break_even.scale.values()) == {None} and plain.break_even.firing_rate == 0


@pytest.mark.parametrize(
    "timesteps,rate,per_synapse,expected",
    [
        (5, 0.01, 0.1, ["below", "below", "below"]),
        (5, 0.06, 1.0, ["below", "within", "within"]),
        (5, 0.2, 2.0, ["above", "above", "above"]),
        (8, 0.2, 1.5, ["below", "above", "another T"]),
    ],
)
def test_published_limits(timesteps, rate, per_synapse, expected):
    assert [where for _, where in BreakEven(timesteps, rate, per_synapse, {}).beside()] == expected
    assert [(limit.low, limit.high) for limit in LIMITS] == [(1.72, 1.72), (0.15, 1.38), (0.0341, 0.108)]


def test_masked_steps_are_no_steps_of_an_inference():
    torch.manual_seed(0)
    network = Network(nn.Sequential(nn.Linear(6, 10), IF(0.2)), readout=Mean())
    x = torch.randint(0, 2, (5, 4, 6))
    mask = torch.zeros(5, 4, dtype=torch.bool)
    mask[:3] = True
    whole, cut = (
        energy_report(network, x, input="events", mask=mask),
        energy_report(network, x[:3], input="events"),
    )
    assert whole.break_even.spikes_per_synapse == near(cut.break_even.spikes_per_synapse)
    assert whole.break_even.firing_rate == near(cut.break_even.firing_rate)


def test_every_profile_is_tried_and_refusals_are_kept():
    report = small()
    found = {one.profile: one for one in report.elsewhere}
    assert list(found) == ["horowitz45-fp32", *(n for n in profile_names() if n != "horowitz45-fp32")]
    assert found["horowitz45-fp32"].energy == near(report.energy)
    assert found["odin"].energy is None and "latency" in found["odin"].refused
    assert found["truenorth-26"].energy is None
    assert found["spinnaker1"].ratios == {}
    for name in ("horowitz45-int8", "lemaire45", "loihi1"):
        assert found[name].energy == near(small(profile=name).energy)


def test_a_verdict_that_hangs_on_the_profile_is_marked():
    own = ledger_of({"l": (["binary"], {"synops_binary": [30]})}, timesteps=4)
    ann = ledger_of({"l": (["analog"], {"mac_dense": [6], "mac_effective": [5]})})
    report = EnergyReport(own, ann, "an ANN", load_profile("horowitz45-fp32"))
    ratios = {one.profile: one.ratios["dense_ann"] for one in report.elsewhere if one.ratios}
    assert ratios["horowitz45-fp32"] == near(30 * 0.9 / (6 * 4.6)) and ratios["horowitz45-fp32"] < 1
    assert ratios["horowitz45-fp16"] == near(30 * 0.4 / (6 * 1.5))
    assert report.flips["dense_ann"] == (max(ratios.values()) >= 1)
    loud = ledger_of({"l": (["binary"], {"synops_binary": [28]})}, timesteps=4)
    certain = EnergyReport(loud, ann, "an ANN", load_profile("horowitz45-fp16"))
    assert {one.profile: one.ratios["dense_ann"] < 1 for one in certain.elsewhere if "dense_ann" in one.ratios} == {
        "horowitz45-fp16": False,
        "horowitz45-fp32": True,
        "horowitz45-int32": True,
        "horowitz45-int8": True,
        "lemaire45": True,
    }
    assert certain.flips["dense_ann"]


def test_the_terminal_and_the_json_say_how_sure(tmp_path):
    report = small()
    out = io.StringIO()
    report.show(Console(file=out, width=200, color_system=None))
    shown = out.getvalue()
    for expected in (
        "ANN of 2 bits",
        "P(network less)",
        "95 % over samples",
        "gives no ranges",
        "Activity:",
        "Davidson and Furber",
        "Break-even with",
    ):
        assert expected in shown
    content = json.loads(report.save(tmp_path / "r.json").read_text())
    assert content["capacity_matched"]["bits"] == 2 and content["capacity_matched"]["full_precision"] == ["0"]
    assert "binary spikes" in content["capacity_matched"]["validity"]
    assert {one["profile"] for one in content["profiles"]["priced"]} == set(profile_names())
    assert {one["name"] for one in content["references"]} == {"speck", "xylo", "brainscales2"}
    assert len(content["break_even"]["published"]) == 3
    assert content["profile"]["memory"]["dram"]["high"] == 2600
    assert content["shapes"]["network"]["0"]["weights"] == 60


def test_without_a_price_of_macs_no_baseline_is_shown():
    out = io.StringIO()
    small(profile="spinnaker1").show(Console(file=out, width=200, color_system=None))
    assert "baseline costs" not in out.getvalue() and "No verdict" in out.getvalue()


def test_steps_that_the_readout_leaves_out_are_no_capacity():
    """Of 8 steps the last 3 are read: 2 bits, not 4; what ran before them costs energy all the same."""
    layers, x = nn.Sequential(nn.Linear(6, 10), IF(0.2), nn.Linear(10, 3)), torch.rand(4, 6)
    for readout in (DelayedMean(5), Count(5)):
        network = Network(layers, encoder=Constant(8), readout=readout)
        report = energy_report(network, x, input="analog")
        assert (report.ledger.timesteps, report.ledger.counted, report.matched.bits) == (8, (5, 8), 2)
    assert energy_report(Network(layers, encoder=Constant(8)), x, input="analog").matched.bits == 4


def test_masked_steps_are_no_capacity():
    network, x = Network(nn.Sequential(nn.Linear(6, 4), IF()), readout=DelayedMean(2)), torch.ones(9, 3, 6)
    mask = torch.arange(9)[:, None] < torch.tensor([3, 5, 4])
    assert energy_report(network, x, input="events", mask=mask).matched.bits == matched_bits(3)
    nothing = torch.zeros(9, 3, dtype=torch.bool)
    assert Ledger.record(network, x, input="events", mask=nothing).counted_steps == 1


def test_ledgers_that_count_other_steps_do_not_add_up():
    layers, x = nn.Sequential(nn.Linear(6, 4), IF()), torch.ones(9, 3, 6)
    late, whole = (Ledger.record(Network(layers, readout=r), x, input="events") for r in (DelayedMean(2), Mean()))
    assert (late + late).levels == late.levels == 7 and late.until(4).counted == (2, 4)
    with pytest.raises(LedgerError, match=r"the readout takes steps 3 to 9"):
        late + whole


@pytest.mark.parametrize(
    "steps,neuron,bits", [(1, MultiThresholdIF(levels=4), 4), (3, MultiThresholdIF(levels=2), 4), (3, IF(), 2)]
)
def test_spikes_of_several_values_are_more_capacity(tmp_path, steps, neuron, bits):
    """T spikes of at most 2**bits - 1 tell T (2**bits - 1) + 1 values apart."""
    network = Network(nn.Sequential(nn.Linear(6, 10), neuron, nn.Linear(10, 3)), encoder=Constant(steps))
    report = energy_report(network, 9 * torch.rand(4, 6), input="analog")
    assert report.matched.bits == bits
    assert read_report(report.save(tmp_path / "r.json")).matched.bits == bits


def test_departures_are_said_wherever_figures_are_read(tmp_path):
    network = Network(
        nn.Sequential(nn.Linear(6, 10), MultiThresholdIF(levels=3), nn.Linear(10, 3)), encoder=Constant(2)
    )
    report = energy_report(network, 9 * torch.rand(4, 6), input="analog")
    said = "the capacity-matched ANN is an approximation here (spikes are multibit"
    out = io.StringIO()
    report.show(Console(file=out, width=2000, color_system=None))
    assert said in report.verdict and said in out.getvalue()
    assert said[1:] in report.sentence
    latex, markdown = (report.save(tmp_path / f"r.{form}").read_text() for form in ("tex", "md"))
    printed = [line for line in latex.splitlines() if not line.startswith("%")]
    assert any(said in line for line in printed) and "capacity-matched ANN is an approximation" in markdown
    quiet = energy_report(network, 9 * torch.rand(4, 6), input="analog", profile="loihi1")
    assert "approximation" not in quiet.verdict + quiet.sentence
