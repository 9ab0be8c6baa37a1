"""The constants that ship, against the published tables, and the uses that are refused."""

import pytest
from oracles.made_ledgers import spikes_only
from oracles.near import near

from spikesim.energy import Included, load_profile, load_reference, price, profile_names, reference_names
from spikesim.errors import ConfigError, LedgerError, PricingError

PUBLISHED = {
    "horowitz45-fp32": {"add": 0.9e-12, "mul": 3.7e-12, "mac": 4.6e-12, "synop": 0.9e-12},
    "horowitz45-fp16": {"add": 0.4e-12, "mul": 1.1e-12, "mac": 1.5e-12, "synop": 0.4e-12},
    "horowitz45-int32": {"add": 0.1e-12, "mul": 3.1e-12, "mac": 3.2e-12, "synop": 0.1e-12},
    "horowitz45-int8": {"add": 0.03e-12, "mul": 0.2e-12, "mac": 0.23e-12, "synop": 0.03e-12},
    "lemaire45": {"add": 0.1e-12, "mul": 3.1e-12, "access": 13.2e-12, "access_bit": 1.09e-17},
    "yan22": {"add": 0.05448e-12, "cmp": 0.05448e-12, "synop": 0.05448e-12},
    "loihi1": {"synop": 23.6e-12, "update": 52e-12, "spike": 1.7e-12},
    "truenorth-26": {"synop": 26e-12},
    "truenorth-affine": {"synop": 2.297e-12},
    "odin": {"synop": 8.43e-12},
    "darwin3": {"synop": 5.47e-12},
    "spinnaker1": {"synop": 13.3e-9, "update": 26e-9},
    "spinnaker2-proto": {"synop": 450e-12, "update": 2.19e-9},
    "spikesim65": {"crossbar": 1.76423e-12, "adc": 2.03084e-12, "tile_buffer": 397e-12},
}


def test_all_that_is_published_ships_and_nothing_else():
    assert set(profile_names()) == set(PUBLISHED)
    assert reference_names() == ["brainscales2", "speck", "xylo"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_constants_are_the_published_ones(name):
    profile = load_profile(name)
    assert profile.name == name
    for constant, joules in PUBLISHED[name].items():
        assert profile.constants[constant].joules == near(joules)
    for figure in profile.figures().values():
        assert figure.low <= figure.value <= figure.high
        assert figure.citation and figure.precision and figure.kind
        assert figure.node_nm and figure.voltage


@pytest.mark.parametrize("name", [n for n in PUBLISHED if n.startswith("horowitz")])
def test_tiers_of_memory(name):
    profile = load_profile(name)
    picojoules = {tier: round(1e12 * constant.joules, 6) for tier, constant in profile.memory.items()}
    assert picojoules == {"sram-8k": 10, "sram-32k": 20, "sram-1m": 100, "dram": 1950}
    assert all(tier.bits == 64 for tier in profile.memory.values())
    dram = profile.memory["dram"]
    assert (dram.low, dram.high) == (1300, 2600)
    assert profile.weight_bits == {"fp32": 32, "fp16": 16, "int32": 32, "int8": 8}[name.split("-")[1]]
    total = profile.constants["mul"].value + profile.constants["add"].value
    assert profile.constants["mac"].value == near(total)


def test_only_measurements_of_arithmetic_compare_with_an_ann():
    with_ann = {name for name in profile_names() if load_profile(name).has_baseline}
    assert with_ann == {n for n in PUBLISHED if n.startswith("horowitz")} | {"lemaire45"}


@pytest.mark.parametrize(
    "name,reason",
    [("loihi2", "no energy per operation has been published"), ("speck", "never multiplied by counts")],
)
def test_what_may_not_be_multiplied_is_refused(name, reason):
    with pytest.raises(PricingError, match=reason):
        load_profile(name)
    assert issubclass(PricingError, LedgerError)


def test_reference_points_say_what_they_are():
    xylo = load_reference("xylo")
    assert xylo.figures["dynamic_power"].si == near(291e-6)
    assert load_reference("speck").figures["power"].si == near(0.7e-3)
    stradmann = load_reference("brainscales2").figures
    assert (stradmann["energy_per_inference"].si, stradmann["latency"].si) == near((192e-6, 276e-6))
    assert {f.scope for f in stradmann.values()} == {"system"}
    with pytest.raises(ConfigError, match="no reference point 'loihi1'; shipped are brainscales2"):
        load_reference("loihi1")


def test_an_all_in_figure_holds_at_its_operating_point_only():
    profile, rate = load_profile("truenorth-26"), 1_048_576 * 20 * 128
    priced = price(spikes_only(rate), profile, include=Included(latency=1.0))
    assert priced.total == near(rate * 26e-12)
    assert priced.total == near(72e-3, rel=0.05)
    assert price(spikes_only(rate), profile, include=Included(latency=0.5, chips=2)).total == near(priced.total)
    with pytest.raises(PricingError, match="nobody knows whether this network runs there"):
        price(spikes_only(rate), profile)
    for busy, latency in ((rate, 2.0), (rate // 2, 1.0), (2 * rate, 1.0)):
        with pytest.raises(PricingError, match=r"but this network runs .* take an affine profile"):
            price(spikes_only(busy), profile, include=Included(latency=latency))


def test_an_affine_profile_asks_for_the_latency():
    with pytest.raises(PricingError, match="give the latency"):
        price(spikes_only(1000), load_profile("odin"))


def test_an_all_in_figure_is_not_mixed_with_updates():
    counts = spikes_only(1_048_576 * 20 * 128, neuron_updates=10**6, update_add=10**6, mac_dense=5)
    priced = price(counts, load_profile("truenorth-26"), include=Included(latency=1.0))
    assert set(priced.layers["layer"]) == {"synops"}
    assert priced.unpriced == {"mac_dense": 5}


@pytest.mark.parametrize(
    "options,name",
    [({"latency": 0.0}, "latency"), ({"chips": 0}, "chips"), ({"clock_hz": float("inf")}, "clock_hz")],
)
def test_options_that_make_no_sense(options, name):
    with pytest.raises(ConfigError, match=f"{name} is"):
        Included(**options)


def test_terms_that_a_profile_does_not_have():
    profile = load_profile("horowitz45-fp32")
    with pytest.raises(PricingError, match=r"weights='sram-9k'.*it has sram-8k, sram-32k, sram-1m, dram"):
        price(spikes_only(1), profile, include=Included(weights="sram-9k"))
    with pytest.raises(PricingError, match="no static power; leave it out"):
        price(spikes_only(1), profile, include=Included(latency=1.0))
    with pytest.raises(PricingError, match="it has none"):
        price(spikes_only(1), load_profile("spinnaker1"), include=Included(potentials="dram"))
    with pytest.raises(PricingError, match="traffic with dram cannot be charged: the ledger holds no weight_fetches"):
        price(spikes_only(1), profile, include=Included(weights="dram"))


def test_layers_without_a_shape_are_priced_by_their_operations():
    counts = spikes_only(7, mac_dense=3)
    assert price(counts, load_profile("spikesim65")).unpriced == {"synops_binary": 7, "mac_dense": 3}
    added = price(counts, load_profile("lemaire45"))
    assert added.total == near(7 * 0.1e-12 + 3 * 3.2e-12) and not added.unpriced
