"""Intervals against what is known in closed form, and against resampling written out."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles.made_ledgers import ledger_of
from oracles.near import near

from spikesim.energy import EnergyReport, energy_report, load_profile
from spikesim.energy.figures import EnergyConstant
from spikesim.energy.prices import drawn_prices
from spikesim.errors import ConfigError, PricingError

SYNOP, MAC = 0.9e-12, 4.6e-12


def report_of(synops, macs, profile="horowitz45-fp32", **options):
    """A network of synaptic operations beside an ANN of multiply-accumulates, counts per sample."""
    own = ledger_of({"l": (["binary"], {"synops_binary": synops})}, samples=len(synops))
    ann = ledger_of({"l": (["analog"], {"mac_dense": macs, "mac_effective": macs})}, samples=len(synops))
    chosen = profile if not isinstance(profile, str) else load_profile(profile)
    return EnergyReport(own, ann, "an ANN", chosen, **options)


def ranged(low, high):
    """float32 prices with a range on synaptic operations."""
    full = load_profile("horowitz45-fp32")
    synop = full.constants["synop"].model_copy(update={"low": low, "high": high})
    return full.model_copy(update={"constants": {**full.constants, "synop": synop}})


def test_the_spread_over_samples_is_that_of_their_mean():
    generator = np.random.default_rng(0)
    synops = generator.integers(1000, 9000, 400)
    report = report_of(synops, [5000] * 400)
    found = report.spread(draws=8000)
    energy = found.counts["network"]
    assert energy.median == near(SYNOP * synops.mean(), rel=0.005)
    standard_error = SYNOP * synops.std() / math.sqrt(400)
    assert energy.high - energy.low == near(2 * 1.96 * standard_error, rel=0.06)
    dense = found.counts["dense_ann"]
    assert dense.low == near(dense.high) == near(5000 * MAC)


def test_samples_are_resampled_whole_and_in_pairs():
    """Where network and ANN rise and fall together, their ratio is sure though neither energy is."""
    busy = np.array([100, 200, 300, 400, 1000, 5000])
    found = report_of(10 * busy, busy).uncertainty
    ratio = found.counts["ratio_dense_ann"]
    assert ratio.low == near(ratio.high) == near(10 * SYNOP / MAC)
    assert found.counts["network"].high > 2 * found.counts["network"].low


def test_layers_of_one_sample_stay_together():
    """Two layers that make up for each other have a sure sum and unsure parts."""
    first = np.array([0, 100, 200, 300])
    own = ledger_of(
        {"a": (["binary"], {"synops_binary": first}), "b": (["binary"], {"synops_binary": 300 - first})}, samples=4
    )
    ann = ledger_of({"a": (["analog"], {"mac_dense": [1] * 4})}, samples=4)
    found = EnergyReport(own, ann, "an ANN", load_profile("horowitz45-fp32")).uncertainty
    assert found.counts["network"].low == near(found.counts["network"].high)
    assert found.layers["a"].high > found.layers["a"].low
    assert set(found.layers) == {"a", "b"}


def test_resampling_agrees_with_a_loop():
    synops = [10, 20, 90]
    found = report_of(synops, [100] * 3).spread(draws=4000, seed=3).counts["network"]
    every = sorted(SYNOP * (a + b + c) / 3 for a in synops for b in synops for c in synops)
    assert found.median == near(np.quantile(every, 0.5), rel=0.01)
    assert (found.low, found.high) == near((every[0], every[-1]))  # each has 1/27, more than 2.5 %


def test_the_same_seed_gives_the_same_numbers(monkeypatch):
    report = report_of([10, 20, 90, 40], [100, 20, 30, 10], profile=ranged(0.5, 2.0))
    first = report.spread(draws=500, seed=1)
    assert first == report.spread(draws=500, seed=1)
    assert first != report.spread(draws=500, seed=2)
    assert report.uncertainty == report.spread(seed=0)
    monkeypatch.setattr("spikesim.energy.uncertainty._BLOCK", 40)
    assert report.spread(draws=500, seed=1) == first  # blocks are a matter of memory


def test_one_sample_says_nothing_about_samples():
    found = report_of([10], [100]).uncertainty
    assert found.counts is None and found.layers is None and found.constants is None and found.wins is None
    ranges = report_of([10], [100], profile=ranged(0.5, 2.0)).uncertainty
    assert ranges.counts is None and ranges.constants["network"].low < ranges.constants["network"].high
    assert ranges.wins["dense_ann"] == 1.0


def test_counts_without_samples_are_not_resampled():
    own = ledger_of({"l": (["binary"], {"synops_binary": [3, 4]})}, samples=2)
    object.__setattr__(own["l"], "tables", {})
    report = EnergyReport(own, own, "itself", load_profile("horowitz45-fp32"))
    assert report.uncertainty.counts is None


def test_a_range_that_nothing_uses_is_no_uncertainty():
    assert report_of([10], [100], "horowitz45-fp32").uncertainty.constants is None  # DRAM has one


def test_the_probability_of_winning_by_hand():
    """The network wins where its constant falls below 2 pJ; under log-uniform over 1 to 4 that is one half."""
    report = report_of([2300] * 5, [1000] * 5, profile=ranged(1.0, 4.0).model_copy(update={"name": "mine"}))
    profile = report.profile
    mid = profile.constants["synop"].model_copy(update={"value": 2.0})
    report = report_of(
        [2300] * 5, [1000] * 5, profile.model_copy(update={"constants": {**profile.constants, "synop": mid}})
    )
    found = report.spread(draws=20000, distribution="log-uniform")
    assert found.wins["dense_ann"] == near(0.5, abs=0.015)
    assert report.spread(draws=20000).wins["dense_ann"] == near(1 / 3, abs=0.015)  # triangular, peak at 2


def constant(low, value, high):
    common = {"unit": "pJ", "node_nm": 1, "voltage": 1, "precision": "int8", "kind": "assumed", "scope": "per-term"}
    return EnergyConstant(low=low, value=value, high=high, citation="none", **common)


@given(st.lists(st.floats(0.01, 100), min_size=3, max_size=3), st.sampled_from(["triangular", "log-uniform"]))
def test_draws_stay_between_low_and_high_and_rise_together(ends, distribution):
    low, value, high = sorted(ends)
    full = load_profile("horowitz45-fp32")
    profile = full.model_copy(update={"constants": {"a": constant(low, value, high), "b": constant(1, 2, 3)}})
    quantiles = np.linspace(0, 1, 101)
    prices = drawn_prices(profile, quantiles, distribution)
    drawn = np.broadcast_to(prices["a"], 101) * 1e12
    assert drawn.min() >= low * (1 - 1e-9) and drawn.max() <= high * (1 + 1e-9)
    assert (np.diff(drawn) >= -1e-12 * high).all() and (np.diff(prices["b"]) > 0).all()
    if low < high:
        assert (drawn[0], drawn[-1]) == near((low, high))


def test_triangular_draws_follow_their_distribution():
    u = np.random.default_rng(0).random(200_000)
    profile = load_profile("horowitz45-fp32").model_copy(update={"constants": {"a": constant(1.0, 2.0, 6.0)}})
    drawn = drawn_prices(profile, u, "triangular")["a"] * 1e12
    assert drawn.mean() == near((1 + 2 + 6) / 3, rel=0.005)
    assert drawn.var() == near((1 + 4 + 36 - 2 - 6 - 12) / 18, rel=0.02)


def test_bad_input():
    report = report_of([10, 20], [100, 100])
    with pytest.raises(ConfigError, match="draws is 1"):
        report.spread(draws=1)
    with pytest.raises(ConfigError, match="distribution is 'normal'"):
        report.spread(distribution="normal")
    with pytest.raises(PricingError, match="synop ranges from 0"):
        report_of([10, 20], [100, 100], profile=ranged(0.0, 2.0)).spread(distribution="log-uniform")


def test_the_report_carries_it(tmp_path):
    from spikesim.neurons import IF
    from spikesim.nn import Constant, Mean, Network

    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(6, 10), IF(0.2), torch.nn.Linear(10, 3))
    report = energy_report(
        Network(layers, encoder=Constant(4), readout=Mean()), torch.rand(20, 6), input="analog", seed=5
    )
    content = report.to_dict()["uncertainty"]
    assert (content["samples"], content["draws"], content["seed"]) == (20, 2000, 5)
    spread = content["counts"]["network"]
    assert spread["low"] < report.energy < spread["high"]
    assert content["wins"].keys() == {"dense_ann", "zero_skipping_ann", "capacity_matched"}
    assert content["counts"]["ratio_capacity_matched"]["low"] > 0
    assert content["layers"]["2"]["high"] > content["layers"]["2"]["low"]
