"""Surrogates against their textbook formulas, in numbers, tensors and kernels."""

import copy
import itertools
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import surrogates as oracle
from oracles.surrogates import TEXTBOOK

from spikesim.dynamics import surrogates
from spikesim.dynamics.surrogates import CATALOGUE, by_name, describe
from spikesim.errors import ConfigError

NAMES = sorted(CATALOGUE)
DTYPES = [torch.float32, torch.float64]
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
CONSTANT = st.floats(0.05, 20.0)


def _tensor(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def _derivative(chosen, u):
    """As a tensor, also where it is one number for all u."""
    return chosen.derivative(u) * torch.ones_like(u)


@st.composite
def _any(draw, name):
    """A surrogate of that name with any constants, and those constants."""
    constants = {key: draw(CONSTANT) for key in vars(CATALOGUE[name]())}
    return CATALOGUE[name](**constants), constants


def test_every_surrogate_has_a_textbook_formula():
    assert set(TEXTBOOK) == set(CATALOGUE)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(data=st.data())
def test_derivative_equals_the_textbook(name, data):
    chosen, constants = data.draw(_any(name))
    points = [*data.draw(st.lists(st.floats(-5, 5), max_size=5)), 0.0]
    expected = [TEXTBOOK[name].derivative(u, **constants) for u in points]
    numbers = [chosen.derivative(u) for u in points]
    assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert _derivative(chosen, _tensor(points)).tolist() == pytest.approx(numbers, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_the_edges_of_pieces_fall_as_in_the_textbook(name):
    chosen = CATALOGUE[name]()
    bends = TEXTBOOK[name].bends(**vars(chosen))
    expected = [TEXTBOOK[name].derivative(u, **vars(chosen)) for u in bends]
    assert [chosen.derivative(float(u)) for u in bends] == expected
    assert _derivative(chosen, _tensor(bends)).tolist() == expected


@pytest.mark.parametrize("name", NAMES)
def test_even_where_it_should_be(name):
    u = torch.linspace(0.01, 3.0, 50, dtype=torch.float64)
    same = torch.equal(_derivative(CATALOGUE[name](), u), _derivative(CATALOGUE[name](), -u))
    assert same == TEXTBOOK[name].even


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5)
@given(data=st.data())
def test_primitive_is_the_integral_of_the_derivative(name, data):
    chosen, constants = data.draw(_any(name))
    a, b = sorted(data.draw(st.tuples(st.floats(-3, 3), st.floats(-3, 3))))
    expected = oracle.integral(chosen.derivative, a, b, TEXTBOOK[name].bends(**constants))
    assert chosen.primitive(b) - chosen.primitive(a) == pytest.approx(expected, rel=1e-8, abs=1e-10)
    pair = chosen.primitive(_tensor([a, b]))
    assert pair.tolist() == pytest.approx([chosen.primitive(a), chosen.primitive(b)], rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_total_area_is_what_the_docstring_says(name):
    chosen = CATALOGUE[name]()
    expected = TEXTBOOK[name].area(**vars(chosen))
    area, wider = (chosen.primitive(far) - chosen.primitive(-far) for far in (1e7, 1e9))
    if math.isinf(expected):
        assert wider > area + 1
    else:
        assert [area, wider] == pytest.approx([expected, expected], rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["number", *DTYPES], ids=str)
@settings(max_examples=10)
@given(data=st.data())
def test_far_and_undefined_potentials(name, kind, data):
    chosen, constants = data.draw(_any(name))
    points = [-1e30, 1e30, -math.inf, math.inf, math.nan]
    if kind == "number":
        found = [chosen.derivative(u) for u in points]
    else:
        found = _derivative(chosen, _tensor(points, kind)).tolist()
    low, high = TEXTBOOK[name].tails(**constants)
    assert found[:4] == pytest.approx([low, high, low, high], rel=1e-6, abs=1e-25)
    assert math.isnan(found[4]) != (name == "StraightThrough")


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan, 1e-40, "2", None, torch.tensor(2.0)], ids=repr)
def test_constants_are_positive_finite_numbers(bad):
    for name in NAMES:
        for key in vars(CATALOGUE[name]()):
            if not (key == "leak" and isinstance(bad, float) and bad == 0):
                with pytest.raises(ConfigError, match=f"{name}: {key} is"):
                    CATALOGUE[name](**{key: bad})


def test_a_leak_may_be_zero():
    u = torch.linspace(-2, 2, 41, dtype=torch.float64)
    box, leaky = surrogates.Box(width=1.5), surrogates.PiecewiseLeakyReLU(width=1.5, leak=0)
    assert torch.equal(box.derivative(u), leaky.derivative(u))


def test_surrogates_compare_by_their_constants():
    assert surrogates.ATan(2) == surrogates.ATan(2.0) != surrogates.ATan(3.0)
    assert len({surrogates.ATan(2), surrogates.ATan(2.0), surrogates.Sigmoid(2.0)}) == 2
    assert surrogates.SuperSpike is surrogates.FastSigmoid


@pytest.mark.parametrize("name", NAMES)
def test_surrogates_survive_pickle_and_deepcopy(name):
    chosen = CATALOGUE[name]().scaled(2.0).stretched(3.0)
    assert pickle.loads(pickle.dumps(chosen)) == copy.deepcopy(chosen) == chosen


def test_the_import_paths_of_everyday_use():
    import spikesim
    import spikesim.dynamics
    from spikesim.dynamics.surrogates import ATan

    assert spikesim.surrogates is surrogates
    assert spikesim.surrogates.ATan is spikesim.dynamics.ATan is ATan


# Height and width


@given(st.floats(-4, 4), CONSTANT, CONSTANT)
def test_stretched_and_scaled(u, width, factor):
    made = surrogates.Gaussian(1.0).stretched(width).scaled(factor)
    expected = surrogates.Gaussian(width)
    assert made.derivative(u) == pytest.approx(factor * expected.derivative(u), rel=1e-9, abs=1e-12)
    assert made.primitive(u) == pytest.approx(factor * expected.primitive(u), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("make", ["stretched", "scaled"])
@pytest.mark.parametrize("bad", [0, -1.0, math.inf, math.nan])
def test_a_stretch_or_scale_is_positive(make, bad):
    with pytest.raises(ConfigError, match=f"{make}: .* is {bad}"):
        getattr(surrogates.ATan(), make)(bad)


def test_a_smoothed_surrogate_stays_smooth():
    smooth = surrogates.ATan().smoothed()
    assert smooth.smooth and smooth.stretched(2.0).smooth and smooth.scaled(2.0).smooth
    assert not surrogates.ATan().stretched(2.0).scaled(2.0).smooth


@pytest.mark.parametrize("name", NAMES)
def test_every_surrogate_is_described(name):
    found = describe(CATALOGUE[name])
    assert name in found.name.split(", ")
    assert found.equation and any(c.isdigit() for c in found.source)  # a source has a year
    settings = found.parameters.replace(" ", "")
    assert by_name(f"{name}:{settings}".lower() if settings else name) == CATALOGUE[name]()


@pytest.mark.parametrize(
    "text,message",
    [
        ("Foo", r"'Foo'; known are ATan, Box, .*SuperSpike"),
        ("ATan:beta=2", "sets 'beta', but ATan takes alpha"),
        ("StraightThrough:a=2", "StraightThrough has no parameters"),
        ("ATan:alpha=x", "alpha to 'x', but it must be a number"),
        ("ATan:alpha=0", "must be positive"),
        ("ATan:alpha=nan", "must be positive"),
    ],
)
def test_wrong_names_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        by_name(text)


def test_all_alphas_and_all_widths_grow_the_way_their_name_says():
    """A larger alpha or slope is narrower, a larger width is wider: measured half-way down the peak."""
    u = torch.linspace(0, 10, 10001, dtype=torch.float64)
    for name, key in itertools.product(NAMES, ("alpha", "slope", "width")):
        if key in vars(CATALOGUE[name]()) and name != "S2NN":
            reach = []
            for value in (0.5, 1.0, 2.0):
                curve = CATALOGUE[name](**{key: value}).derivative(u)
                reach.append(int((curve > curve[0] / 2).sum()))
            assert reach == sorted(reach, reverse=key != "width"), name
