"""A call that is recognised gives what it would give if nothing were remembered."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from spikesim.dynamics import Neuron, SpikeType, State, repeated
from spikesim.errors import DeviceError, ShapeError
from spikesim.neurons import LI, LIF


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(repeated, "_known", {})


def _outcome(neuron, x):
    """Emissions, and where one is recorded the gradients to input and parameters."""
    leaf = x.detach().requires_grad_()
    neuron.zero_grad()
    out = neuron(leaf)
    if out.requires_grad:
        out.sum().backward()
    return [out.detach(), leaf.grad, *(p.grad for p in neuron.parameters())]


def _same_as_anew(neuron, x):
    """Twice with what is remembered, once without."""
    known = dict(repeated._known)
    first, second = _outcome(neuron, x), _outcome(neuron, x)
    repeated._known.clear()
    anew = _outcome(neuron, x)
    for found in (first, second):
        for a, b in zip(found, anew):
            assert (a is None) == (b is None)
            assert a is None or (a.dtype == b.dtype and a.stride() == b.stride() and torch.equal(a, b))
    repeated._known.update(known)


def _changes():
    """Everything that a call may differ in from the one before, one after the other on one neuron."""

    def halve(neuron):
        with torch.no_grad():
            neuron.tau /= 1.5

    def assign(name, value):
        return lambda neuron: setattr(neuron, name, value)

    return {
        "another value": halve,
        "a flag": assign("strict", True),
        "evaluation": lambda neuron: neuron.eval(),
        "frozen": lambda neuron: neuron.tau.requires_grad_(False),
        "one threshold per channel": assign("threshold", torch.rand(5) + 0.5),
        "a shaped single value": assign("threshold", torch.tensor([0.7])),
        "an initial value": assign("initial_v", torch.tensor(0.4)),
        "initial values": assign("initial_v", torch.rand(5)),
        "double precision": lambda neuron: neuron.double(),
        "recomputing": assign("memory", "recompute"),
        "below its bound": lambda neuron: neuron.tau.data.fill_(0.5),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_whatever_changes_between_two_calls(dtype):
    neuron, x = LIF(2.0, learnable=("tau",)), torch.randn(4, 3, 5).to(dtype) + 0.5
    _same_as_anew(neuron, x)
    for change in _changes().values():
        change(neuron)
        _same_as_anew(neuron, x)


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(4, 3, 5, 6, 7).to(memory_format=torch.channels_last_3d),
        torch.randn(3, 4, 300).transpose(0, 1),
        torch.randn(4, 3, 300)[:, :, ::2],
        torch.randn(4, 0, 5),
        torch.randn(1, 1).expand(4, 3),
    ],
    ids=["channels last", "batch first", "every other", "no sample", "one value"],
)
def test_however_the_input_lies(x):
    neuron = LIF(threshold=0.7)
    _same_as_anew(neuron, x)
    _same_as_anew(neuron, x.contiguous())
    _same_as_anew(neuron, x)


def test_a_known_call_is_recognised(monkeypatch):
    neuron, x = LIF(), torch.randn(4, 3)
    expected = neuron(x)
    monkeypatch.setattr(repeated, "remember", lambda *a: pytest.fail("worked out again"))
    monkeypatch.setattr("spikesim.dynamics.neuron.run_fused", lambda *a: pytest.fail("worked out again"))
    assert torch.equal(neuron(x), expected)
    assert torch.equal(LIF()(x), expected)  # another neuron with the same equations


def test_equal_equations_that_emit_another_type():
    class Count(Neuron):
        states = {"v": State()}
        emits = SpikeType("graded", bits=4)

        def step(self, x, *, v):
            return v + x, {"v": v + x}

    class Level(Count):
        emits = SpikeType("analog")

    x = torch.ones(2, 3, dtype=torch.bfloat16)
    assert [Count()(x).dtype for _ in range(2)] == [torch.bfloat16] * 2
    assert [Level()(x).dtype for _ in range(2)] == [torch.float32] * 2


def test_values_put_in_from_outside():
    neuron, x = LIF(learnable=("threshold",)), torch.rand(5, 2, 3) * 2
    plain = neuron(x)
    lower = {"threshold": torch.tensor(0.2)}
    called = torch.func.functional_call(neuron, lower, (x,))
    assert called.sum() > plain.sum()
    assert torch.equal(torch.func.functional_call(neuron, lower, (x,)), called)
    assert torch.equal(neuron(x), plain)


class _Halved(nn.Module):
    def forward(self, value):
        return value / 2


def test_a_parametrisation_acts_in_every_call():
    neuron, x = LIF(threshold=1.0, learnable=("threshold",)), torch.rand(5, 2, 3) * 2
    whole = neuron(x)
    parametrize.register_parametrization(neuron, "threshold", _Halved())
    halved = [neuron(x) for _ in range(2)]
    assert torch.equal(*halved) and halved[0].sum() > whole.sum()


def test_the_reference_path_can_be_asked_for_at_any_time(monkeypatch):
    neuron, x = LIF(), torch.randn(4, 3)
    expected = neuron(x)
    monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
    monkeypatch.setattr(repeated, "repeat", lambda *a: pytest.fail("a kernel ran"))
    assert torch.equal(neuron(x), expected)


def test_a_mistake_is_told_every_time():
    neuron = LIF(threshold=torch.ones(7))
    for _ in range(3):
        with pytest.raises(ShapeError, match="threshold has shape"):
            neuron(torch.zeros(4, 2, 5))
    good = LIF()
    good(torch.zeros(4, 2, 5))
    good.to("meta")
    for _ in range(2):
        with pytest.raises(DeviceError):
            good(torch.zeros(4, 2, 5))


def test_what_is_remembered_has_an_end(monkeypatch):
    monkeypatch.setattr(repeated, "_MOST", 3)
    for n in range(1, 9):
        assert LI()(torch.ones(2, n)).shape == (2, n)
        assert len(repeated._known) <= 3
