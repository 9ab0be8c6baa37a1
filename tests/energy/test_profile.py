"""Profiles are data, and a broken one says which field."""

import re
from pathlib import Path

import pytest
from oracles.near import near

from spikesim.energy import Ledger, load_profile, price, profile_names
from spikesim.energy.profile import Profile
from spikesim.errors import ConfigError

GOOD = """
schema = 1
name = "mine"
title = "a chip"
scope = "{scope}"
citation = "a paper"
[constants.{constant}]
value = {value}
low = 0.5
high = 2.0
unit = "{unit}"
node_nm = 22
voltage = 0.8
precision = "int8"
kind = "{kind}"
scope = "{inner}"
citation = "table 1"
"""

MEMORY = """
[memory.dram]
value = 1.0
low = 1.0
high = 1.0
unit = "nJ"
bits = 64
node_nm = 22
voltage = "not stated"
precision = "64-bit access"
kind = "estimated"
scope = "per-term"
citation = "table 2"
"""
STATIC = """
[static.power]
value = 1.0
low = 1.0
high = 1.0
unit = "mW"
node_nm = 22
voltage = 0.8
precision = "not stated"
kind = "measured"
scope = "static"
citation = "table 3"
"""
POINT = """
[operating_point]
synops_per_second = 1e6
tolerance = 0.1
reason = "measured there"
"""


def text(**changed):
    values = {
        "scope": "per-term",
        "constant": "mac",
        "value": "1.0",
        "unit": "pJ",
        "kind": "measured",
        "inner": "per-term",
    }
    return GOOD.format(**{**values, **changed})


def write(tmp_path, content):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    return path


def test_every_shipped_profile_is_valid_and_named_after_its_file():
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name and len(profile.digest) == 64
        assert all(c.low <= c.value <= c.high for c in profile.constants.values())


def test_a_users_file_in_another_unit(tmp_path):
    profile = load_profile(write(tmp_path, text(unit="fJ")))
    assert profile.constants["mac"].joules == near(1e-15)
    assert load_profile(str(tmp_path / "mine.toml")).digest == profile.digest


@pytest.mark.parametrize(
    "content,named",
    [
        (text(value="-1.0"), "constants.mac.value"),
        (text(value='"much"'), "constants.mac.value"),
        (text(value="3.0"), "low <= value <= high"),
        (text(value="nan"), "constants.mac.value"),
        (text(unit="cal"), "constants.mac.unit"),
        (text(kind="guessed"), "constants.mac.kind"),
        (text(constant="teleport"), "constants.teleport"),
        (text(inner="all-in"), "constants.mac.scope"),
        (text(scope="all-in", inner="all-in"), "synaptic operations only"),
        (text().replace('citation = "table 1"', ""), "constants.mac.citation: Field required"),
        (text().replace("schema = 1", "schema = 9"), "schema"),
        (text() + "colour = 3\n", "constants.mac.colour"),
        (text(kind="from memory"), "constants.mac.kind: Value error, 'from memory' is refused"),
        (text(inner="static"), "constants.mac.scope"),
        (text().replace("voltage = 0.8", 'voltage = "low"'), "constants.mac.voltage"),
        (text() + MEMORY, "weight_bits is missing"),
        ("weight_bits = 8\n" + text() + MEMORY.replace("bits = 64\n", ""), "memory.dram.bits: Field required"),
        ("weight_bits = 8\n" + text() + MEMORY.replace("per-term", "all-in"), "memory.dram.scope is 'all-in'"),
        (text(scope="affine", inner="incremental", constant="synop"), "static.power is missing"),
        (text(scope="all-in", inner="all-in", constant="synop") + STATIC, "leave static out"),
        (text() + STATIC.replace('scope = "static"', 'scope = "per-term"'), "static.power.scope"),
        (text() + "[static]\nclock_hz = 1e6\n", "static.power is missing"),
        (text() + POINT, "operating_point belongs to all-in figures"),
        ('model = "lemaire"\n' + text(), "model 'lemaire' needs constants.add, constants.mul, constants.access"),
        (text() + "[parameters]\nsize = 3\n", "no parameter size"),
        (text() + "[defaults]\ncolour = 3\n", "defaults.colour"),
        ("defaults = 3\n" + text(), "defaults must be a table"),
        ("schema = ", "not valid TOML"),
        ("schema = 1\n", "name: Field required"),
    ],
)
def test_a_broken_field_is_named(tmp_path, content, named):
    with pytest.raises(ConfigError, match=r"profile .*mine.toml") as caught:
        load_profile(write(tmp_path, content))
    assert named in str(caught.value)


def test_a_missing_profile_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no profile 'loihi9'; shipped are .*horowitz45-fp32"):
        load_profile("loihi9")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_profile(tmp_path / "none.toml")


def test_counts_without_a_price_are_listed(tmp_path):
    import torch

    ledger = Ledger.record(torch.nn.Linear(2, 3), torch.ones(1, 2), input="analog")
    priced = price(ledger, load_profile(write(tmp_path, text())))
    assert priced.unpriced == {"bias_adds": 3}
    assert priced.total == near(6e-12)


def test_the_digest_follows_the_contents_only(tmp_path):
    first = load_profile(write(tmp_path, text()))
    assert load_profile(write(tmp_path, "# a comment\n" + text())).digest == first.digest
    assert load_profile(write(tmp_path, text(value="1.5"))).digest != first.digest
    assert isinstance(first, Profile)


def test_defaults_are_shared_and_can_be_overridden(tmp_path):
    content = """
schema = 2
name = "mine"
title = "a chip"
scope = "per-term"
citation = "a paper"
weight_bits = 4
[defaults]
node_nm = 22
voltage = "not stated"
precision = "int4"
kind = "measured"
scope = "per-term"
citation = "table 1"
unit = "fJ"
[constants.mac]
value = 3
low = 3
high = 3
[constants.synop]
value = 1
low = 1
high = 1
unit = "pJ"
citation = "table 2"
[memory.sram]
value = 9
low = 9
high = 9
bits = 32
"""
    profile = load_profile(write(tmp_path, content))
    mac, synop = profile.constants["mac"], profile.constants["synop"]
    assert (mac.joules, mac.citation, mac.voltage) == (near(3e-15), "table 1", "not stated")
    assert (synop.joules, synop.citation) == (near(1e-12), "table 2")
    assert (profile.memory["sram"].bits, profile.memory["sram"].joules) == (32, near(9e-15))
    assert set(profile.figures()) == {"mac", "synop", "memory.sram"}


def test_the_profile_of_the_guide_is_one(tmp_path):
    guide = (Path(__file__).resolve().parents[2] / "docs" / "energy_counting.md").read_text()
    [content] = re.findall(r"```toml\n(.*?)```", guide, flags=re.DOTALL)
    profile = load_profile(write(tmp_path, content))
    assert profile.static.power.watts == near(0.02) and profile.memory["sram"].bits == 32
