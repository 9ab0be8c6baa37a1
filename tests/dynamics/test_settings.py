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


def test_values_loaded_by_assignment_take_the_place_of_meta_tensors():
    saved = LIF(3.0, threshold=torch.tensor([0.5, 1.5]), initial={"v": 0.25})
    with torch.device("meta"):
        neuron = LIF(threshold=torch.ones(2))
    neuron.load_state_dict(saved.state_dict(), assign=True)
    x = torch.rand(6, 3, 2) * 3
    assert torch.equal(neuron(x), saved(x))


def test_an_assigned_tensor_keeps_its_graph_but_is_not_shared():
    tau = torch.tensor(3.0, requires_grad=True)
    one, other = LIF(), LIF()
    one.tau = tau
    (one(torch.rand(6, 3) * 3).sum()).backward()
    assert tau.grad is not None
    plain = torch.tensor([2.0, 3.0])
    one.tau, other.tau = plain, plain
    one.tau = 5.0
    assert plain.tolist() == other.tau.tolist() == [2.0, 3.0] and one.tau.unique().tolist() == [5.0]
    one.tau = torch.tensor(4)
    assert one.tau.dtype == torch.float32


def test_what_torch_takes_out_it_may_put_back():
    neuron = LIF(learnable="tau")
    del neuron.tau
    neuron.tau = torch.tensor(0.25)  # as replicas and sharding do; it acts within its bounds
    torch.nn.utils.parametrize.register_parametrization(LIF(learnable="threshold"), "threshold", torch.nn.Softplus())


def test_a_mode_in_which_the_step_fails_is_not_taken():
    def step(self, x, *, v):
        return (x if self.training else x[0]), {"v": v}

    neuron = _neuron(step)
    with pytest.raises(TraceError):
        neuron.eval()
    assert neuron.training and neuron(torch.ones(1, 1)).item() == 1.0
    with pytest.raises(ConfigError):
        neuron.memory = "all"


def test_a_refused_module_is_not_kept():
    def step(self, x, *, v):
        return (x if getattr(self, "part", None) is None else x[0]), {"v": v}

    neuron = _neuron(step)
    with pytest.raises(TraceError):
        neuron.part = torch.nn.Linear(1, 1)
    assert "part" not in neuron._modules and neuron(torch.ones(1, 1)).item() == 1.0


def test_an_initial_value_is_checked_when_assigned():
    neuron = LIF()
    for bad in (float("nan"), torch.tensor(float("nan")), "a"):
        with pytest.raises(ConfigError, match="initial v"):
            neuron.initial_v = bad
    neuron.initial_v = 0.75
    assert neuron(torch.full((1, 1), 1.25)).item() == 1.0


def test_width_needs_a_neuron_built_with_it():
    with pytest.raises(ConfigError, match="build a new one"):
        LIF().width = 2.0
    neuron = LIF(width=2.0, learnable=(name for name in ["tau"]))
    assert neuron.tau.requires_grad
    neuron.width = 3.0
    assert neuron.width.item() == 3.0
