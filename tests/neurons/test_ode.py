"""Izhikevich, AdEx and Hodgkin-Huxley against SciPy's solve_ivp: below the threshold, spike times, and order."""

import numpy as np
import pytest
import torch
from oracles import neuron_ode as ode

from spikesim.neurons import AdEx, HodgkinHuxley, Izhikevich

pytest.importorskip("scipy")

MODELS = {
    # neuron of a step in ms, derivative, start, peak, jump, current, current below threshold
    "Izhikevich": (
        lambda h: Izhikevich(dt=h / 1000), ode.izhikevich, (-65.0, -13.0), 30.0, lambda y: (-65.0, y[1] + 8.0),
        10.0, 2.0),
    "AdEx": (
        lambda h: AdEx(dt=h / 1000), ode.adex, (-70.6, 0.0), 20.0, lambda y: (-70.6, y[1] + 80.5), 1000.0, 400.0),
    "HodgkinHuxley": (
        lambda h: HodgkinHuxley(dt=h / 1000, substeps=1), ode.hodgkin_huxley, (-65.0, 0.05293, 0.59612, 0.31768), 0.0,
        None, 10.0, 2.0),
}  # fmt: skip
DURATION = 50.0  # ms


def _neuron(name, h):
    torch.set_default_dtype(torch.float64)
    try:
        return MODELS[name][0](h)
    finally:
        torch.set_default_dtype(torch.float32)


def _times(name, h):
    """Spike times in ms; a spike falls at the end of its step."""
    steps = round(DURATION / h)
    x = torch.full((steps, 1), MODELS[name][5], dtype=torch.float64)
    with torch.no_grad():
        spikes, _ = _neuron(name, h).run_rows(x, steps)
    return (spikes.flatten().nonzero().flatten() + 1).numpy() * h


@pytest.mark.parametrize("name", MODELS)
def test_spike_times_converge_with_the_step(name):
    _, derivative, start, peak, jump, current, _ = MODELS[name]
    exact = ode.spike_times(derivative, start, peak, jump, DURATION, current)
    assert len(exact) >= 2
    errors = []
    for h in (0.02, 0.005, 0.00125):
        found = _times(name, h)
        assert len(found) == len(exact)
        errors.append(np.abs(found - exact).max())
    # First order: a quarter of the step leaves about a quarter of the error.
    assert errors[2] < 0.35 * errors[1] < 0.35 * 0.35 * errors[0]
    assert errors[2] < 0.05


@pytest.mark.parametrize("name", MODELS)
def test_potentials_below_the_threshold_converge_with_the_step(name):
    _, derivative, start, _, _, _, current = MODELS[name]
    at = np.linspace(0, 40, 9)[1:]
    exact = ode.trace(derivative, start, at, current)
    errors = []
    for h in (0.05, 0.0125):
        neuron, state, found = _neuron(name, h), None, []
        steps = round(5.0 / h)
        for _ in at:
            with torch.no_grad():
                spikes, state = neuron.run_rows(
                    torch.full((steps, 1), current, dtype=torch.float64), steps, state=state
                )
            assert spikes.sum() == 0
            found.append([state[k].item() for k in neuron.states])
        errors.append(np.abs(np.array(found).T - exact).max(1))
    assert (errors[1] < 0.3 * errors[0]).all()
    assert errors[1][0] < 0.02  # mV


def test_hodgkin_huxley_passes_its_removable_singularities():
    """At -40 and -55 mV the rates are 0/0."""
    for start in (-40.0, -55.0):
        neuron = HodgkinHuxley(initial={"v": start}, learnable=("g_na",)).double()
        x = torch.zeros(3, 1, 1, dtype=torch.float64, requires_grad=True)
        _, final = neuron.run_rows(x.flatten(0, 1), 3)
        final["v"].sum().backward()
        assert final["v"].isfinite().all() and x.grad.isfinite().all() and neuron.g_na.grad.isfinite()


@pytest.mark.parametrize("neuron", [AdEx(), HodgkinHuxley(), Izhikevich()], ids=lambda n: type(n).__name__)
def test_an_absurd_current_overflows_nothing(neuron):
    x = torch.full((50, 1, 1), 1e6, requires_grad=True)
    rows, final = neuron.run_rows(x.flatten(0, 1), 50)
    rows.sum().backward()
    assert all(v.isfinite().all() for v in final.values())
    assert x.grad.isfinite().all()
