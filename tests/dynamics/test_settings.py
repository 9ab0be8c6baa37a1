"""What a neuron is built from and given: every mistake has an error that names it, and leaves the neuron whole."""

import numpy as np
import pytest
import torch

from spikesim.dynamics import Neuron, SpikeType, State
from spikesim.errors import ConfigError, ShapeError, StateError, TraceError
from spikesim.neurons import LIF


def _neuron(step=None, **declared):
    body = {"states": {"v": State()}, "params": {}, "emits": SpikeType("analog"), "step": step or _add}
    return type("Custom", (Neuron,), body | declared)()


def _add(self, x, *, v, **params):
    return v + x, {"v": v + x}


@pytest.mark.parametrize(
    "declared,message",
    [
        ({"emits": "binary"}, "must be a SpikeType"),
        ({"states": {"v": 0.0}}, "must be a State"),
        ({"states": ["v"]}, "must be a dict"),
        ({"params": {"tau": 2.0}}, "must be a Param"),
        ({"params": ("tau",)}, "must be a dict"),
        ({"draws": "u"}, "tuple of names"),
        ({"substeps": True}, "whole number"),
        ({"substeps": 1.5}, "whole number"),
    ],
)
def test_declarations_of_another_type_are_refused(declared, message):
    with pytest.raises(ConfigError, match=message):
        _neuron(**declared)


@pytest.mark.parametrize(
    "given,message",
    [
        ({"learnable": 3}, "a name or several"),
        ({"initial": 3}, "must be a dict"),
        ({"initial": {"v": "a"}}, "must be a number"),
        ({"tau": torch.tensor(1j)}, "must be a number"),
        ({"detach_reset": "no"}, "True or False"),
        ({"strict": 1}, "True or False"),
        ({"scale_input": None}, "True or False"),
    ],
)
def test_arguments_of_another_type_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        LIF(**given)


@pytest.mark.parametrize(
    "flag,value",
    [
        ("surrogate", 3),
        ("reset_rule", "zap"),
        ("strict", "yes"),
        ("substeps", 0),
        ("emits", "binary"),
        ("reset", "zero"),
    ],
)
def test_a_flag_that_is_refused_leaves_the_neuron_as_it_was(flag, value):
    neuron, x = LIF(), torch.rand(5, 3) * 3
    text, expected = neuron.program_text(), neuron(x)
    with pytest.raises(ConfigError):
        setattr(neuron, flag, value)
    assert neuron.program_text() == text and torch.equal(neuron(x), expected)
    neuron.strict = True
    assert neuron.program_text() != text


def test_a_flag_on_which_the_step_fails_is_taken_back():
    def step(self, x, *, v):
        return x * self.gains["a"], {"v": v}

    neuron = _neuron(step, gains={"a": 2.0})
    with pytest.raises(TraceError, match="KeyError"):
        neuron.gains = {}
    assert neuron(torch.ones(1, 1)).item() == 2.0
    neuron.gains = {"a": 3.0}
    assert neuron(torch.ones(1, 1)).item() == 3.0


@pytest.mark.parametrize("value", [0.5, float("nan"), None, "a", torch.tensor(0.5), torch.tensor([2.0, 0.1])])
@pytest.mark.parametrize("learnable", [(), ("tau",)])
def test_an_assigned_parameter_stays_within_its_bounds(value, learnable):
    neuron = LIF(learnable=learnable)
    with pytest.raises(ConfigError, match="tau"):
        neuron.tau = value
    assert neuron.tau.item() == 2.0


def test_an_assigned_parameter_acts():
    neuron, learnt = LIF(), LIF(learnable="tau")
    held = learnt.tau
    neuron.tau = [2.0, 3.0]
    assert neuron.tau.tolist() == [2.0, 3.0]
    learnt.tau = torch.tensor(3.0)
    assert learnt.tau is held and held.item() == 3.0 and isinstance(held, torch.nn.Parameter)
    with pytest.raises(ConfigError, match="what is learnt has"):
        learnt.tau = [2.0, 3.0]
    learnt.tau = torch.nn.Parameter(torch.tensor([2.0, 3.0]))
    assert learnt(torch.rand(3, 1, 2)).requires_grad


@pytest.mark.parametrize("name", ["tau", "initial_v"])
def test_a_checkpoint_of_nan_is_refused(name):
    neuron = LIF()
    with pytest.raises(RuntimeError, match=f"{name} is nan"):
        neuron.load_state_dict(neuron.state_dict() | {name: torch.tensor(float("nan"))})


@pytest.mark.parametrize(
    "x,message",
    [
        (torch.zeros(2, 3, dtype=torch.complex64), "x.real"),
        (torch.zeros(2, 3, dtype=torch.int32), r"x.float\(\)"),
        (torch.nested.nested_tensor([torch.rand(2, 3), torch.rand(3, 3)]), "to_padded_tensor"),
        (torch.zeros(2, 3).to_sparse(), "to_dense"),
        (np.zeros((2, 3)), "takes a tensor"),
    ],
)
def test_an_input_of_another_kind_names_its_remedy(x, message):
    with pytest.raises(ShapeError, match=message):
        LIF()(x)


@pytest.mark.parametrize("mask", [[[True] * 3] * 2, np.ones((2, 3), bool), torch.ones(2, 3), torch.ones(3, 2).bool()])
def test_a_mask_of_another_kind_is_refused(mask):
    with pytest.raises(ShapeError, match="mask is"):
        LIF().run_rows(torch.rand(6, 4), 2, mask=mask)


@pytest.mark.parametrize(
    "state,message",
    [
        (torch.zeros(3, 4), "must be a dict"),
        ([torch.zeros(3, 4)], "must be a dict"),
        ({"v": torch.zeros(3, 4, dtype=torch.complex64)}, "floating-point"),
        ({"v": torch.zeros(3, 4), "w": torch.zeros(3, 4)}, "holds w"),
        ({}, "lacks 'v'"),
    ],
)
def test_a_state_of_another_kind_is_refused(state, message):
    with pytest.raises(StateError, match=message):
        LIF().run_rows(torch.rand(6, 4), 2, state=state)


def test_torch_jit_trace_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"torch\.export"):
        torch.jit.trace(LIF(), torch.rand(2, 3))
