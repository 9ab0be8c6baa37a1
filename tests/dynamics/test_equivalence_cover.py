"""Which combinations are compared: every pair of levels in the cover, everything in the product."""

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import spikesim.neurons
from spikesim.dynamics.equivalence_cover import DTYPES, Blend, Case, build, cover, product, subject
from spikesim.dynamics.pairwise import pairwise
from spikesim.dynamics.surrogates import CATALOGUE, Box, Triangle
from spikesim.errors import ConfigError
from spikesim.neurons import IF, LI, LIF, QIF, BurstIF, Lapicque

SUBJECTS = {"LIF": subject(LIF), "IF": subject(IF), "LI": subject(LI), "QIF": subject(QIF), "BurstIF": subject(BurstIF)}


def _pairs(rows):
    return {pair for row in rows for pair in itertools.combinations(row, 2)}


rows_of_some_product = st.lists(st.integers(1, 4), min_size=2, max_size=5).flatmap(
    lambda sizes: st.sets(st.tuples(*(st.integers(0, n - 1) for n in sizes)), min_size=1)
)


@given(rows_of_some_product)
def test_a_cover_has_every_pair_that_there_is(rows):
    named = sorted(tuple(f"{factor}{level}" for factor, level in enumerate(row)) for row in rows)
    chosen = pairwise(named, lambda row: row)
    assert set(chosen) <= set(named) and len(set(chosen)) == len(chosen)
    assert _pairs(chosen) == _pairs(named)
    assert pairwise(named, lambda row: row) == chosen


def test_a_cover_is_much_smaller_than_the_product():
    levels = [[f"{factor}{level}" for level in range(5)] for factor in range(6)]
    assert 25 <= len(pairwise(list(itertools.product(*levels)), lambda row: row)) <= 50  # of 15625


def test_a_dear_row_is_taken_only_where_it_must_be():
    rows = list(itertools.product("ab", "cd", "ef", "gh"))
    chosen = pairwise(rows, lambda row: row, cost=lambda row: 100.0 if row[:2] == ("a", "c") else 1.0)
    assert sum(row[:2] == ("a", "c") for row in chosen) == 1


def _factors(case):
    """Levels as the design names them, written down a second time."""
    backend = (case.device, case.memory)
    return [("neuron", case.neuron), ("reset", case.reset), ("dtype", case.dtype), ("direction", case.direction),
            ("backend", backend)] + [("surrogate", s) for s in case.surrogates.split("+")]  # fmt: skip


def test_the_cover_has_every_pair_of_the_product():
    found, wanted = cover(SUBJECTS), product(SUBJECTS)
    assert len(found) < len(wanted) / 5
    pairs = {frozenset(p) for c in found for p in itertools.combinations(_factors(c), 2) if p[0][0] != p[1][0]}
    assert {frozenset(p) for c in wanted for p in itertools.combinations(_factors(c), 2)} <= pairs


def test_the_cover_runs_every_surrogate_by_itself_in_lif():
    alone = {c.surrogates for c in cover(SUBJECTS) if c.neuron == "LIF" and "+" not in c.surrogates} - {"-"}
    assert alone == set(CATALOGUE)


def test_the_product_is_the_product():
    cases = product(SUBJECTS)
    assert len(set(cases)) == len(cases)
    counted = Counter((c.neuron, c.direction) for c in cases)
    for name, resets, surrogates in (("LIF", 4, 14), ("LI", 1, 1), ("QIF", 2, 14), ("BurstIF", 2, 1)):
        assert counted[name, "forward"] == resets * len(DTYPES)
        assert counted[name, "backward"] == resets * surrogates * len(DTYPES) * 2
    assert {c.device for c in product(SUBJECTS, ("cpu", "cuda"))} == {"cpu", "cuda"}
    assert {c.dtype for c in cover(SUBJECTS, dtypes=["float64"])} == {"float64"}


def test_a_forward_has_no_surrogate_and_keeps_nothing():
    for case in product(SUBJECTS):
        forward = case.direction == "forward"
        assert (case.memory == "-") == forward
        if forward:
            assert case.surrogates == "-"


def test_every_exported_neuron_can_be_combined():
    arguments = {"Lapicque": {"beta": 0.9}}
    for name in spikesim.neurons.__all__:
        kind = getattr(spikesim.neurons, name)
        if callable(getattr(kind, "step", None)):
            found = subject(kind, arguments.get(name))
            neuron = build(found, next(c for c in cover({name: found}) if c.direction == "backward"))
            learnt = [p for p in neuron.parameters() if p.requires_grad]
            assert bool(learnt) == bool(neuron.params) or name == "SigmaDelta"


def test_a_neuron_is_built_as_the_case_says():
    case = Case("LIF", "value", "float32", "backward", "cpu", "recompute", "Box+Triangle")
    neuron = build(SUBJECTS["LIF"], case)
    assert (neuron.reset_rule, neuron.reset_value, neuron.memory) == ("value", 0.25, "recompute")
    assert neuron.surrogate == Blend((Box(), Triangle())) and neuron.tau.requires_grad
    forward = build(SUBJECTS["LIF"], Case("LIF", "none", "float32", "forward", "cpu", "-", "-"))
    assert forward.reset_rule == "none" and not list(forward.parameters())
    assert build(SUBJECTS["QIF"], Case("QIF", "value", "float32", "forward", "cpu", "-", "-")).resets_to == "v_reset"


def test_a_blend_is_a_weighted_sum():
    u = torch.linspace(-2, 2, 41)
    parts = tuple(kind() for kind in CATALOGUE.values())
    expected = torch.zeros(41)
    for k, part in enumerate(parts):
        expected = expected + (1 + k / 8) * part.derivative(u)
    assert torch.allclose(Blend(parts).derivative(u), expected)
    assert math.isclose(Blend(parts[:1]).derivative(0.3), parts[0].derivative(0.3))


def test_what_cannot_be_built_is_refused_by_name():
    with pytest.raises(ConfigError, match="Lapicque"):
        subject(Lapicque)
