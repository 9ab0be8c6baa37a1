import re

import pytest
import torch

from spikesim.dynamics import Neuron, Param, SpikeType, State, ops
from spikesim.dynamics.program import parse
from spikesim.errors import ConfigError, TraceError
from spikesim.neurons import IF, LIF


def _neuron(step, states=("v",), params=()):
    body = {
        "states": {s: State() for s in states},
        "params": {p: Param(1.0) for p in params},
        "emits": SpikeType("analog"),
        "step": step,
    }
    return type("Custom", (Neuron,), body)


def _branch(self, x, *, v):
    return (x, {"v": v}) if x > 0 else (v, {"v": v})


def _in_place(self, x, *, v):
    v += x
    return v, {"v": v}


def _unknown(self, x, *, v):
    return torch.fft.fft(x), {"v": v}


def _tensor(self, x, *, v):
    return x * torch.ones(2), {"v": v}


def _iterates(self, x, *, v):
    a, b = x
    return a, {"v": b}


@pytest.mark.parametrize(
    "step,message",
    [
        (_branch, "branch on data"),
        (_in_place, "in-place"),
        (_unknown, "not a primitive"),
        (_tensor, "plain numbers"),
        (_iterates, "unpacked"),
        (lambda self, x, *, v: (x**0.5, {"v": v}), "whole powers"),
        (lambda self, x, *, v: ((x > 0) + (x > 1), {"v": v}), "condition"),
        (lambda self, x, *, v: (x > 0, {"v": v}), "condition"),
        (lambda self, x, *, v: (ops.where(x, 1.0, 0.0), {"v": v}), "condition"),
        (lambda self, x, *, v: (ops.clip(x, 0.0, v), {"v": v}), "bounds of clip"),
    ],
)
def test_what_is_no_equation_is_refused_when_built(step, message):
    with pytest.raises(TraceError, match=message):
        _neuron(step)()


@pytest.mark.parametrize("step", [_branch, _in_place, _unknown])
def test_the_refusal_names_the_line(step):
    with pytest.raises(TraceError) as caught:
        _neuron(step)()
    where = re.match(r"(.*):(\d+): ", str(caught.value))
    assert where and where[1] == __file__
    assert abs(int(where[2]) - step.__code__.co_firstlineno) <= 2


def test_a_step_must_return_what_it_declares():
    with pytest.raises(TraceError, match="declares"):
        _neuron(lambda self, x, *, v: (x, {"w": v}))()
    with pytest.raises(TraceError, match="must return"):
        _neuron(lambda self, x, *, v: x)()
    with pytest.raises(ConfigError, match="must define step"):
        type("Empty", (Neuron,), {})()


@pytest.mark.parametrize("name", ["real", "max", "grad_v", "_v", "lambda", "v_row"])
def test_names_of_the_kernel_are_refused(name):
    with pytest.raises(ConfigError, match=name):
        _neuron(lambda self, x, **states: (x, states), states=(name,))()


def test_names_of_the_field_are_free():
    names = ("n", "m", "h", "i", "t", "last", "size", "steps", "exp", "b", "c0")
    neuron = _neuron(lambda self, x, **states: (x + states["n"], {k: v + x for k, v in states.items()}), states=names)()
    assert neuron(torch.ones(3, 1)).flatten().tolist() == [1.0, 2.0, 3.0]


def test_equal_equations_are_one_kernel_and_flags_change_it():
    assert LIF(3.0).program_text() == LIF(5.0, 2.0).program_text()
    neuron = LIF()
    before = neuron.program_text()
    neuron.strict = True
    assert neuron.program_text() != before
    assert parse(before).text() == before


def test_a_program_reads_as_its_equations():
    assert str(IF(reset="none").program()).splitlines()[-2:] == ["emit spike", "v' = add"]


def test_a_user_neuron_gets_kernels_and_gradients():
    class Integrator(Neuron):
        states = {"v": State()}
        params = {"gain": Param(2.0, learnable=True)}
        emits = SpikeType("analog")

        def step(self, x, *, v, gain):
            v = v + gain * x
            return v, {"v": v}

    neuron = Integrator()
    x = torch.ones(3, 1, requires_grad=True)
    neuron(x).sum().backward()
    assert x.grad.flatten().tolist() == [6.0, 4.0, 2.0]
    assert neuron.gain.grad.item() == 6.0
    assert "def block(" in neuron.kernel_source("cpu", "backward")
    with pytest.raises(ConfigError, match="cpu"):
        neuron.kernel_source("tpu")


def test_a_flag_of_training_mode_changes_the_equations():
    neuron = _neuron(lambda self, x, *, v: (x * (1.0 if self.training else 10.0), {"v": v}))()
    assert neuron(torch.ones(1, 1)).item() == 1.0
    assert neuron.eval()(torch.ones(1, 1)).item() == 10.0


def test_a_learnt_parameter_per_channel_must_be_given_per_channel():
    class Gain(Neuron):
        states = {"v": State()}
        params = {"gain": Param(1.0, per="channel", learnable=True)}
        emits = SpikeType("analog")

        def step(self, x, *, v, gain):
            return gain * x, {"v": v}

    with pytest.raises(ConfigError, match="one value per channel"):
        Gain()
    neuron = Gain(gain=torch.tensor([1.0, 2.0]))
    neuron(torch.ones(3, 1, 2)).sum().backward()
    assert neuron.gain.grad.tolist() == [3.0, 3.0]


def test_a_learnt_parameter_stays_within_its_bounds():
    neuron = LIF(tau=torch.nn.Parameter(torch.tensor(2.0)), learnable="tau")
    with torch.no_grad():
        neuron.tau.fill_(0.25)
    expected = LIF(1.0)(torch.full((3, 1), 0.7))
    assert torch.equal(neuron(torch.full((3, 1), 0.7)), expected)
    with pytest.raises(RuntimeError, match=r"tau is 0\.25, but it must be at least 1"):
        LIF().load_state_dict(neuron.state_dict())
