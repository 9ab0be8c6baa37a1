"""Every family: the scalar oracle, the kernels against the equations, streaming, and symmetry."""

import pytest
import torch
from oracles.neuron_cases import CASES, ESCAPE, IDS, initial
from oracles.neuron_steps import run

from spikesim.dynamics.equivalence import check_neuron

every = pytest.mark.parametrize("case", CASES, ids=IDS)
with_chance = pytest.mark.parametrize("case", [*CASES, ESCAPE], ids=[*IDS, "EscapeLIF"])


def _inputs(case, steps, neurons, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return case.mean + case.spread * torch.randn(steps, neurons, generator=generator, dtype=torch.float64)


def _exact(case):
    """The case's neuron in float64, its constants never rounded to float32."""
    torch.set_default_dtype(torch.float64)
    try:
        return case.neuron()
    finally:
        torch.set_default_dtype(torch.float32)


@every
def test_kernels_equal_the_scalar_loop(case):
    steps, neurons = 60, 4
    neuron, x = _exact(case), _inputs(case, steps, neurons)
    with torch.no_grad():
        emitted, final = neuron.run_rows(x.flatten(), steps)
    emitted = emitted.view(steps, neurons)
    counts = 0
    for k in range(neurons):
        expected, state = run(case.step, x[:, k].tolist(), initial(neuron), **case.constants)
        assert emitted[:, k].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)
        for name, value in state.items():
            assert final[name][k].item() == pytest.approx(value, rel=1e-7, abs=1e-9), name
        counts += sum(e != 0 for e in expected)
    assert counts >= case.least  # the case is lively


# Each check compiles three kernels: a second setting of a family is checked in float32 alone.
DOUBLE = [c for c in [*CASES, ESCAPE] if "," not in c.name]
CHECKS = [(c, torch.float32) for c in [*CASES, ESCAPE]] + [(c, torch.float64) for c in DOUBLE]


@pytest.mark.parametrize("case,dtype", CHECKS, ids=[f"{c.name}-{d}" for c, d in CHECKS])
def test_kernels_equal_their_equations(case, dtype):
    learnable = {"learnable": case.learnable} if case.learnable else {}
    neuron = case.build(**(case.constants if case.check is None else case.check), **learnable)
    check_neuron(neuron, dtype=dtype).require(case.tolerance if dtype == torch.float32 else 1e-9)


@with_chance
def test_chunks_equal_the_whole(case):
    neuron, x = _exact(case), _inputs(case, 23, 6)
    with torch.no_grad():
        torch.manual_seed(5)
        whole, final = neuron.run_rows(x.flatten(), 23)
        torch.manual_seed(5)
        parts, state = [], None
        for chunk in x.split([1, 7, 15]):
            out, state = neuron.run_rows(chunk.flatten(), len(chunk), state=state)
            parts.append(out)
    assert torch.equal(torch.cat(parts), whole)
    assert all(torch.equal(state[k], final[k]) for k in final)


@every
def test_permuting_neurons_permutes_everything(case):
    neuron, x = _exact(case), _inputs(case, 15, 40)
    order = torch.randperm(40)
    with torch.no_grad():
        out, final = neuron.run_rows(x.flatten(), 15)
        moved, moved_final = neuron.run_rows(x[:, order].flatten(), 15)
    assert torch.equal(out.view(15, 40)[:, order], moved.view(15, 40))
    assert all(torch.equal(final[k][order], moved_final[k]) for k in final)


@every
def test_emissions_are_of_the_declared_type(case):
    neuron = _exact(case)
    kind, bits, scale = neuron.emits.kind, neuron.emits.bits, neuron.emits.scale
    with torch.no_grad():
        units = neuron(_inputs(case, 40, 50).unsqueeze(-1)) / scale
    if kind == "analog":
        return
    assert torch.allclose(units, units.round(), atol=1e-4)
    assert units.max() <= 2**bits - 1
    assert units.min() >= (-(2**bits - 1) if kind == "signed" else 0)
