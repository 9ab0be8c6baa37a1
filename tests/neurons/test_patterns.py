"""The twenty firing patterns of Izhikevich (2004): each does what its name says, and equals a scalar loop."""

from functools import cache
from itertools import pairwise

import pytest
import torch
from oracles.neuron_steps import izhikevich, run

from spikesim.neurons.izhikevich_patterns import PATTERNS


@cache
def _play(name):
    """Spike times in ms, potentials after each step in mV, and times."""
    pattern = PATTERNS[name]
    torch.set_default_dtype(torch.float64)
    try:
        neuron, x = pattern.neuron(), pattern.input()
    finally:
        torch.set_default_dtype(torch.float32)
    spikes, potentials, state = [], [], None
    with torch.no_grad():
        for row in x:
            out, state = neuron.run_rows(row, 1, state=state)
            spikes.append(out.item())
            potentials.append(state["v"].item())
    times = pattern.times()
    return times[torch.tensor(spikes) > 0].tolist(), torch.tensor(potentials), times


def _gaps(times):
    return [b - a for a, b in pairwise(times)]


def _bursts(times, pause=15.0):
    """Spike times grouped by pauses."""
    groups = [[times[0]]]
    for gap, t in zip(_gaps(times), times[1:]):
        groups.append([t]) if gap > pause else groups[-1].append(t)
    return groups


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_equals_the_scalar_loop(name):
    pattern = PATTERNS[name]
    a, b, c, d = pattern.constants
    state = {"v": pattern.v, "u": b * pattern.v if pattern.u is None else pattern.u}
    constants = {"linear": 5.0, "constant": 140.0, "u_from": 0.0, "u_leak": 1.0, **pattern.changes}
    inputs = [pattern.stimulus(t) for t in pattern.times().tolist()]
    expected, _ = run(izhikevich, inputs, state, a=a, b=b, c=c, d=d, dt=pattern.dt / 1000, **constants)
    wanted = [t for t, s in zip(pattern.times().tolist(), expected) if s]
    assert _play(name)[0] == wanted


def test_tonic_and_phasic():
    tonic, _, _ = _play("tonic spiking")
    assert len(tonic) >= 5 and max(_gaps(tonic[2:])) - min(_gaps(tonic[2:])) < 1.0
    assert len(_play("phasic spiking")[0]) == 1
    bursts = _bursts(_play("tonic bursting")[0])
    assert len(bursts) >= 3 and all(len(b) >= 3 for b in bursts)
    assert len(_bursts(_play("phasic bursting")[0])) == 1 and len(_play("phasic bursting")[0]) >= 4


def test_mixed_mode_and_adaptation():
    first, *rest = _bursts(_play("mixed mode")[0])
    assert len(first) >= 3 and len(rest) >= 2 and all(len(b) == 1 for b in rest)
    gaps = _gaps(_play("spike frequency adaptation")[0])
    assert gaps == sorted(gaps) and gaps[-1] > 5 * gaps[0]


def test_excitability():
    class_1, class_2 = _gaps(_play("class 1 excitable")[0]), _gaps(_play("class 2 excitable")[0])
    assert class_1 == sorted(class_1, reverse=True) and class_2 == sorted(class_2, reverse=True)
    # The first begins slowly and spans a wide range of rates; the second begins fast.
    assert class_1[0] / class_1[-1] > 2.5 and class_2[0] < 25


def test_latency_and_oscillations():
    (spike,) = _play("spike latency")[0]
    assert spike > 13 + 10  # long after the pulse of 10 to 13 ms has ended
    (spike,), v, times = _play("subthreshold oscillations")
    after = v[times > spike + 5]
    crossings = ((after[1:] > -62.5) != (after[:-1] > -62.5)).sum()
    assert crossings >= 4


def test_resonator_and_integrator():
    (resonant,) = _play("resonator")[0]
    assert resonant > 320  # only the pair that is 40 ms apart
    (coincident,) = _play("integrator")[0]
    assert coincident < 25  # only the pair that is 5 ms apart


def test_rebounds_and_variable_threshold():
    (spike,) = _play("rebound spike")[0]
    assert spike > 25  # after the inhibition has ended
    assert len(_play("rebound burst")[0]) >= 4
    (spike,) = _play("threshold variability")[0]
    assert spike > 80  # the same pulse fires after an inhibition, not without


def test_bistability():
    spikes, _, _ = _play("bistability")
    assert 37.5 < spikes[0] < 50 and spikes[-1] < 216
    assert len(spikes) >= 4 and max(_gaps(spikes)) < 50  # on by one pulse, off by the other


def test_depolarizing_after_potential():
    (spike,), v, times = _play("depolarizing after-potential")
    assert v[0] < -69 and v[(times > spike + 1) & (times < spike + 15)].max() > -60


def test_accommodation():
    (spike,) = _play("accommodation")[0]
    assert spike > 300  # the slow ramp to 8 does not fire, the fast one to 4 does


def test_inhibition_induced():
    for name in ("inhibition-induced spiking", "inhibition-induced bursting"):
        spikes, _, _ = _play(name)
        assert len(spikes) >= 3 and spikes[0] > 50 and spikes[-1] < 255
    assert all(len(b) >= 4 for b in _bursts(_play("inhibition-induced bursting")[0]))
