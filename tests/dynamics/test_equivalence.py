"""The check of kernels against equations: it passes what is right, and finds every way of being wrong."""

from dataclasses import replace

import pytest
import torch
from oracles.every_neuron import EVERY_NEURON

from spikesim.dynamics import Neuron, Param, SpikeType, State, ops, surrogates
from spikesim.dynamics.equivalence import AMPLIFIED, check_neuron
from spikesim.dynamics.equivalence_compare import Comparison, Deviations, deviation, largest
from spikesim.dynamics.equivalence_reference import follow
from spikesim.dynamics.prepare import CLOCK
from spikesim.dynamics.reference import run_reference
from spikesim.errors import CheckFailed, ConfigError
from spikesim.neurons import LIF, EscapeLIF, Izhikevich

CLOCK_AT_0 = torch.tensor([0, 0])


def _check(neuron):
    return check_neuron(neuron, steps=8, neurons=64)


def _lif(kind=LIF, **flags):
    return kind(learnable=("tau", "threshold"), **flags)


def test_a_right_kernel_passes():
    found = _check(_lif())
    found.require(2e-6)
    assert found.compared == found.neurons == 64 and 0.02 < found.fired < 0.5
    assert found.rounding.worst == 0.0  # nothing to excuse
    assert found.gradient == largest([found.single.gradients, found.single.parameters, found.run.gradients,
                                      found.run.parameters])  # fmt: skip


@pytest.mark.parametrize("other", [LIF(scale_input=False), LIF(reset="zero")], ids=str)
def test_kernels_of_other_equations_are_found(other):
    neuron = _lif()
    neuron._text = other.program_text()
    with pytest.raises(CheckFailed, match="values of single steps"):
        check_neuron(neuron, steps=8, neurons=64, gradients=False).require(1e-3)


def test_a_wrong_surrogate_is_found_in_the_gradient_alone():
    neuron = _lif()
    neuron._text = _lif(surrogate=surrogates.Box()).program_text()
    found = _check(neuron)
    assert found.teacher_forced < 1e-6 and found.free_running < 1e-6
    with pytest.raises(CheckFailed, match="differ: gradients of single steps"):
        found.require(1e-3)


class Forgetful(LIF):
    """The state is lost after the second step."""

    def run_rows(self, x, timesteps, *, state=None, **rest):
        if timesteps < 3:
            return super().run_rows(x, timesteps, state=state, **rest)
        cut = 2 * len(x) // timesteps
        first, _ = super().run_rows(x[:cut], 2, state=state, **rest)
        second, final = super().run_rows(x[cut:], timesteps - 2, state=state, **rest)
        return torch.cat([first, second]), final


def test_a_state_that_is_not_carried_is_found_in_the_run_alone():
    found = _check(_lif(Forgetful))
    assert found.single.worst < 2e-6
    with pytest.raises(CheckFailed, match="values of whole runs"):
        found.require(1e-3)


class Truncated(LIF):
    """The gradient to the state is lost between the second and the third step."""

    def run_rows(self, x, timesteps, *, state=None, **rest):
        if timesteps < 3:
            return super().run_rows(x, timesteps, state=state, **rest)
        cut = 2 * len(x) // timesteps
        first, between = super().run_rows(x[:cut], 2, state=state, **rest)
        cut_off = {k: v.detach() for k, v in between.items()}
        second, final = super().run_rows(x[cut:], timesteps - 2, state=cut_off, **rest)
        return torch.cat([first, second]), final


def test_a_gradient_that_is_not_carried_is_found_in_the_run_alone():
    found = _check(_lif(Truncated))
    assert found.single.worst < 2e-6 and found.free_running < 1e-6
    with pytest.raises(CheckFailed, match="gradients of whole runs"):
        found.require(1e-3)


class Biased(LIF):
    """The gradient to tau is a little too large."""

    def run_rows(self, x, timesteps, **rest):
        out, final = super().run_rows(x, timesteps, **rest)
        return out + 1e-2 * (self.tau - self.tau.detach()), final


def test_a_wrong_gradient_to_a_parameter_is_found():
    found = _check(_lif(Biased))
    assert max(found.single.gradients, found.run.gradients) < 1e-6
    with pytest.raises(CheckFailed, match="gradients to parameters of single steps"):
        found.require(1e-4)


class OtherSeed(EscapeLIF):
    """The kernels draw other random numbers."""

    def run_rows(self, x, timesteps, *, state=None, **rest):
        return super().run_rows(x, timesteps, state=state | {CLOCK: state[CLOCK] + torch.tensor([1, 0])}, **rest)


def test_another_random_stream_is_found():
    check_neuron(EscapeLIF(), steps=8, neurons=64, gradients=False).require(1e-5)
    with pytest.raises(CheckFailed, match="values of single steps"):
        check_neuron(OtherSeed(), steps=8, neurons=64, gradients=False).require(1e-5)


class NotANumber(LIF):
    def run_rows(self, x, timesteps, **rest):
        out, final = super().run_rows(x, timesteps, **rest)
        return out * torch.tensor([1.0] * (len(out) - 1) + [float("nan")]), final


def test_a_single_nan_is_found():
    with pytest.raises(CheckFailed, match="values of single steps deviate by nan"):
        check_neuron(NotANumber(), steps=8, neurons=64, gradients=False).require(1e-5)


class Undecided(Neuron):
    """Every spike of it hangs on a rounding."""

    states = {"v": State()}
    params = {}

    def step(self, x, *, v):
        return ops.spike(x * 1.000000001 - x, surrogates.Box()), {"v": v}


def test_a_check_that_compared_nothing_fails():
    with pytest.raises(CheckFailed, match="only 0 of 64 runs could be compared"):
        check_neuron(Undecided(), steps=3, neurons=64, gradients=False).require(1e-5)


@pytest.mark.usefixtures("reference_path")
def test_without_kernels_there_is_nothing_to_compare():
    with pytest.raises(ConfigError, match="SPIKESIM_DISABLE_JIT"):
        check_neuron(LIF())


def test_redrawn_inputs_leave_nothing_to_decide_for_float32():
    """A plain torch loop in float32 spikes exactly as the float64 run does."""
    steps, neurons = 30, 10_000
    exact = LIF(reset="zero").double()
    generator = torch.Generator().manual_seed(3)

    def fresh(*shape):
        return torch.randn(*shape, generator=generator).double() + 0.4

    raw = follow(exact, x := fresh(steps, neurons), CLOCK_AT_0, torch.float32)
    assert raw.doubtful.sum() > 10  # there was something to redraw
    run = follow(exact, x, CLOCK_AT_0, torch.float32, fresh=lambda: fresh(neurons))
    assert not run.doubtful.any()
    assert 0 < (run.x != x).sum() < 0.01 * x.numel()
    rounded = LIF(reset="zero")
    params = {k: getattr(rounded, k) for k in rounded.params}
    states = {k: v[0].float() for k, v in run.before.items()}
    found, _ = run_reference(rounded.equations(), rounded.program(), run.x.float(), states, params)
    assert torch.equal(found.double(), run.emitted)


@pytest.mark.parametrize(
    "decide,ties",
    [
        (lambda x: ops.spike(x - 1.5, surrogates.ATan()), [1.5]),
        (lambda x: ops.spike(x - 1.5, surrogates.Box(width=1.0)), [1.0, 1.5, 2.0]),
        (lambda x: ops.where(x > 0.7, x, 1.0), [0.7]),
        (ops.floor, [-1.0, 1.0, 2.0]),
        (ops.rounded, [-0.5, 0.5, 1.5]),
        (lambda x: ops.clip(x, -0.5, 1.25), [-0.5, 1.25]),
        (lambda x: ops.minimum(x, 0.3), [0.3]),
        (lambda x: ops.maximum(x, -0.3), [-0.3]),
        (lambda x: ops.absolute(x - 0.2), [0.2]),
        (lambda x: ops.sign(x + 0.2), [-0.2]),
        (ops.tanh, []),
    ],
)  # fmt: skip
def test_every_kind_of_decision_is_in_doubt_near_its_tie_and_nowhere_else(decide, ties):
    class Deciding(Neuron):
        states = {"v": State()}
        params = {}
        emits = SpikeType("analog")

        def step(self, x, *, v):
            return decide(x), {"v": v}

    off = 1e-7  # as far from a tie as float32 resolves
    x = torch.tensor([[t + off for t in ties] + [t + 0.01 for t in ties] + [0.77, -0.33]], dtype=torch.float64)
    run = follow(Deciding().double(), x, CLOCK_AT_0, torch.float32)
    assert run.doubtful[0].tolist() == [True] * len(ties) + [False] * (len(ties) + 2)
    assert not follow(Deciding().double(), x, CLOCK_AT_0, torch.float64).doubtful.any()


def test_what_runs_away_is_in_doubt():
    class Squaring(Neuron):
        states = {"v": State(3.0)}
        params = {}
        emits = SpikeType("analog")

        def step(self, x, *, v):
            return v, {"v": v * v}

    run = follow(Squaring().double(), torch.zeros(8, 1, dtype=torch.float64), CLOCK_AT_0, torch.float32)
    assert run.doubtful.flatten().tolist() == [False] * 4 + [True] * 4  # 3^2, 3^4, 3^8, 3^16, 3^32 > 1e12


@pytest.mark.parametrize("name", EVERY_NEURON)
def test_every_neuron_fires_under_its_drive(name):
    comparison = Comparison(EVERY_NEURON[name], torch.float32, torch.device("cpu"), 0, False)
    run = comparison.trajectory(6 if comparison.exact.substeps > 1 else 16, 64)
    assert (run.emitted != 0).double().mean() >= 0.01
    assert (~run.doubtful.any(0)).sum() >= 16


class Deaf(Neuron):
    """It needs three hundred times the usual input."""

    states = {"v": State()}
    params = {"threshold": Param(300.0)}

    def step(self, x, *, v, threshold):
        u = 0.5 * v + x
        s = ops.spike(u - threshold, surrogates.ATan())
        return s, {"v": u - s * threshold}


def _drive(neuron):
    run = Comparison(neuron, torch.float32, torch.device("cpu"), 0, False).trajectory(16, 64)
    return run.x.mean().item(), run.x.std().item(), (run.emitted != 0).double().mean().item()


def test_a_drive_is_declared_or_turned_up_until_something_fires():
    mean, spread, fired = _drive(Deaf())
    assert fired >= 0.01 and mean == pytest.approx(0.4 * spread, rel=0.3)

    class Told(Deaf):
        drive = (200.0, 50.0)

    mean, spread, fired = _drive(Told())
    assert mean == pytest.approx(200.0, rel=0.02) and spread == pytest.approx(50.0, rel=0.1) and fired > 0.3


def test_a_stiff_neuron_may_amplify_roundings_as_far_as_they_grow():
    found = check_neuron(Izhikevich(), steps=16, neurons=64)
    assert found.single.worst < 1e-5 < found.run.gradients < 4 * found.rounding.gradients
    found.require(1e-5)
    with pytest.raises(CheckFailed, match="gradients of whole runs"):
        replace(found, rounding=Deviations(0.0, 0.0, 0.0)).require(1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_forgiven_one_unit(dtype):
    unit = torch.finfo(dtype).eps
    expected = torch.tensor([1.0, 0.25], dtype=torch.float64)
    for units, forgiven in ((1, True), (2, False), (3, False)):
        found = (expected + expected * unit * units).to(dtype)
        assert (deviation(found, expected) == 0.0) == forgiven
    assert deviation(expected.float() * (1 + 1e-5), expected) == pytest.approx(1e-5, rel=0.02)


def test_a_sum_is_judged_by_its_parts():
    parts = torch.tensor([3.0, -3.0, 4.0], dtype=torch.float64)
    assert deviation(torch.tensor(4.5), parts) == pytest.approx(0.5 / 34**0.5)
    assert deviation(torch.tensor(9.0), torch.full((4,), 2.0, dtype=torch.float64)) == pytest.approx(1 / 8)


def test_what_amplified_roundings_do_beyond_the_range_of_half_precision_is_told_within_it():
    # Without a reset the gradients of this neuron grow to 1e11; float16 ends at 65504.
    neuron = Izhikevich(reset="none", surrogate=surrogates.LeakyReLU(), learnable=("a", "b", "c", "d"))
    found = check_neuron(neuron, dtype=torch.float16, steps=16, neurons=64)
    assert 4e-4 < found.run.gradients < AMPLIFIED * found.rounding.gradients
    found.require(2e-5)
