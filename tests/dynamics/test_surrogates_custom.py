"""Surrogates made of a function: in kernels, in checks, in pickles."""

import copy
import pickle

import pytest
import torch
from oracles import surrogates as oracle

from spikesim.dynamics import ops, surrogates
from spikesim.dynamics.equivalence import check_neuron
from spikesim.dynamics.surrogates import surrogate
from spikesim.errors import ConfigError, TraceError
from spikesim.neurons import LIF


def _shape(neuron):
    """The recorded operations, whatever their values are called."""
    places = {i.name: k for k, i in enumerate(neuron.program().body)}
    return [(i.primitive, *(places.get(a, a) for a in i.args)) for i in neuron.program().body]


def test_a_custom_surrogate_makes_the_kernel_of_the_built_in_one():
    def triangle(u):
        return (1 / 0.5) * (1.0 - abs(ops.clip(u * (1 / 0.5), -1.0, 1.0)))

    custom, known = LIF(surrogate=surrogate(triangle)), LIF(surrogate=surrogates.Triangle(0.5))
    assert _shape(custom) == _shape(known) != _shape(LIF())


def test_a_custom_surrogate_equals_its_equations():
    chosen = surrogate(lambda u: ops.where(u < 0.0, ops.exp(u), 1.0 / (1.0 + u * u)))
    check_neuron(LIF(surrogate=chosen), dtype=torch.float64).require(1e-12)


def test_a_custom_primitive_is_the_smoothed_step():
    u = torch.randn(5, dtype=torch.float64)
    smooth = surrogate(oracle.bump, ops.atan).smoothed()
    assert torch.equal(ops.spike(u, smooth), torch.atan(u))
    with pytest.raises(TraceError, match="no primitive"):
        LIF(surrogate=surrogate(oracle.bump).smoothed()).program()


def test_custom_surrogates_compare_by_their_functions():
    first, second = surrogate(oracle.bump), surrogate(oracle.bump)
    assert first == second and hash(first) == hash(second)
    assert first != surrogate(oracle.bump, ops.atan)
    assert surrogate(lambda u: u * u) != surrogate(lambda u: u * u)
    assert repr(surrogate(oracle.bump, ops.atan)) == "surrogate(bump, atan)"


@pytest.mark.parametrize(
    "chosen", [surrogate(oracle.bump), surrogate(oracle.bump, ops.atan), oracle.decorated], ids=str
)
def test_named_functions_can_be_pickled(chosen):
    assert pickle.loads(pickle.dumps(chosen)) == chosen
    neuron = pickle.loads(pickle.dumps(LIF(surrogate=chosen)))
    assert neuron.surrogate == chosen


def test_a_lambda_cannot_be_pickled_and_says_so():
    for chosen in (surrogate(lambda u: 1.0 - u * u), surrogate(oracle.bump, lambda u: u)):
        with pytest.raises(ConfigError, match=r"lambda.* cannot be pickled.*top of a module"):
            pickle.dumps(LIF(surrogate=chosen))
        assert copy.deepcopy(LIF(surrogate=chosen)).surrogate is chosen


@pytest.mark.parametrize(
    "bad", [(None,), (2.0,), ("u * u",), (oracle.bump, 2.0)], ids=["None", "number", "text", "integral"]
)
def test_a_custom_surrogate_needs_functions(bad):
    with pytest.raises(ConfigError, match="must be a function of u"):
        surrogate(*bad)


def test_a_branch_on_the_potential_is_refused_with_its_line():
    with pytest.raises(TraceError, match=r"test_surrogates.*branch"):
        LIF(surrogate=surrogate(lambda u: 1.0 if u > 0 else 0.0)).program()


def test_a_surrogate_without_a_derivative_is_refused():
    class Empty(surrogates.Surrogate):
        pass

    with pytest.raises(TraceError, match="Empty defines no derivative"):
        LIF(surrogate=Empty()).program()
