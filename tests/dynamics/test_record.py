import cProfile
import math
import re
import sys

import numpy as np
import pytest
import torch

from spikesim.dynamics import Neuron, Param, SpikeType, State, ops
from spikesim.dynamics.equivalence import check_neuron
from spikesim.dynamics.naming import AuthorNames
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
        (lambda self, x, *, v: (np.exp(x), {"v": v}), "TypeError, while the step"),
        (lambda self, x, *, v: (x * np.ones(2), {"v": v}), "not an array"),
        (lambda self, x, *, v: (int(x), {"v": v}), "TypeError, while the step"),
        (lambda self, x: (x, {"v": x}), "unexpected keyword argument 'v'"),
    ],
)
def test_what_is_no_equation_is_refused_when_built(step, message):
    with pytest.raises(TraceError, match=message):
        _neuron(step)()


def test_numbers_of_numpy_are_numbers():
    plain = _neuron(lambda self, x, *, v: (2.0 * x + v * 0.5, {"v": v}))()
    numpy = _neuron(lambda self, x, *, v: (np.float32(2) * x + v * np.float64(0.5), {"v": v}))()
    assert numpy.program_text() == plain.program_text()


def _numpy(self, x, *, v):
    return np.exp(x), {"v": v}


@pytest.mark.parametrize("step", [_branch, _in_place, _unknown, _numpy])
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
    assert str(IF(reset="none").program()).splitlines()[-2:] == ["emit s", "v' = u"]


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


class Awkward(Neuron):
    """Names that the kernels would like to use themselves."""

    states = {"exp": State(0.1), "exp_": State(0.2), "i": State(), "step": State()}
    params = {"tanh": Param(0.7, learnable=True), "k": Param(0.3)}
    emits = SpikeType("analog")

    def step(self, x, *, exp, exp_, i, step, tanh, k):
        tanh_ = ops.tanh(x * tanh)
        where = ops.exp(-exp_) + ops.exp(x * 0.1) + ops.tanh(exp)
        t = where * tanh_ + k
        return t + i, {"exp": 0.5 * exp + tanh_, "exp_": 0.3 * x, "i": 0.1 * t, "step": step + 1.0}


def test_awkward_names_change_nothing():
    check_neuron(Awkward(), dtype=torch.float64).require(1e-10)


def test_a_state_called_like_the_output_is_refused():
    with pytest.raises(ConfigError, match="out"):
        _neuron(lambda self, x, *, out: (x, {"out": x}), states=("out",))()


@pytest.mark.parametrize("step", [
    lambda self, x, *, v: (torch.clamp(x, 0.2), {"v": v.clamp(max=0.1)}),
    lambda self, x, *, v: (x.clamp(0.2, 0.4), {"v": v}),
])  # fmt: skip
def test_a_clamp_with_one_bound_is_an_equation(step):
    x = torch.randn(4, 7)
    neuron = _neuron(step)()
    assert torch.equal(neuron(x.unsqueeze(1)).squeeze(1), step(neuron, x, v=x)[0])


@pytest.mark.parametrize("call,remedy", [(round, "rounded"), (math.exp, "spikesim.dynamics")])
def test_functions_of_numbers_are_refused_with_a_remedy(call, remedy):
    with pytest.raises(TraceError, match=remedy):
        _neuron(lambda self, x, *, v: (call(x), {"v": v}))()


def test_a_step_may_emit_a_plain_number(monkeypatch):
    neuron = _neuron(lambda self, x, *, v: (1.0, {"v": 2.0}))()
    fast = neuron.run_rows(torch.zeros(3, 2), 3)
    monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
    slow = neuron.run_rows(torch.zeros(3, 2), 3)
    assert fast[0].tolist() == slow[0].tolist() == [[1.0, 1.0]] * 3 and fast[1]["v"].tolist() == slow[1]["v"].tolist()


def test_adding_spikes_of_substeps_are_not_binary():
    with pytest.raises(ConfigError, match="graded"):
        type("Fast", (IF,), {"substeps": 2})()


def test_assigning_a_parameter_or_a_flag():
    neuron = LIF(reset="zero")
    neuron.tau = 4.0
    assert neuron.tau.item() == 4.0
    with pytest.raises(ConfigError, match="at least 1"):
        neuron.tau = 0.5
    with pytest.raises(ConfigError, match="reset_rule"):
        neuron.reset = "subtract"
    with pytest.raises(ConfigError, match="must be one of"):
        neuron.reset_rule = "hard"
    with pytest.raises(ConfigError, match="build a new LIF"):
        neuron.refractory = 2
    neuron.reset_rule = "subtract"
    assert neuron.program_text() == LIF().program_text()


def test_going_to_and_fro_between_modes_records_once(monkeypatch):
    neuron = LIF()
    before = neuron.eval().program_text()
    monkeypatch.setattr("spikesim.dynamics.equations.record", lambda *_: pytest.fail("recorded again"))
    assert neuron.train().eval().program_text() == before


def test_a_frozen_parameter_acts_as_it_did(tmp_path):
    neuron = LIF(tau=2.0, learnable="tau")
    neuron.tau.data.fill_(0.4)
    x = torch.rand(5, 2, 9) * 3
    before = neuron(x).detach()
    assert torch.equal(neuron.requires_grad_(False)(x), before)
    copy = LIF(tau=2.0, learnable="tau")
    copy.load_state_dict(neuron.state_dict())
    assert torch.equal(copy(x), before) and "tau=1" in repr(copy)


def test_a_running_profiler_goes_on():
    def afterwards():
        pass

    profiler = cProfile.Profile()
    profiler.enable()
    with AuthorNames():
        pass
    afterwards()
    profiler.disable()
    assert any(entry.code is afterwards.__code__ for entry in profiler.getstats())
    assert sys.getprofile() is None
