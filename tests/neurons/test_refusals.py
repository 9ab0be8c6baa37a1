"""Constants that cannot be are refused by name, with what was given and what was expected."""

import pytest
import torch

from spikesim import neurons as n
from spikesim.errors import ConfigError, ShapeError


@pytest.mark.parametrize("build,message", [
    (lambda: n.PLIF(1.0), "tau is 1.0, but it must be greater than 1"),
    (lambda: n.PLIF(torch.tensor([2.0, 0.5])), "greater than 1"),
    (lambda: n.PLIF("slow"), "tau is 'slow'"),
    (lambda: n.KLIF(k=0.0), "k is 0"),
    (lambda: n.GLIF(1.0), "alpha is 1.0, but it must lie strictly between 0 and 1"),
    (lambda: n.GLIF(threshold=2.0), "subtrahend is 2.0|threshold is 2.0"),
    (lambda: n.GLIF(reset="zero"), "reset is 'zero'"),
    (lambda: n.CubaLIF(alpha=1.2), "alpha is 1.2, but it must be at most 1"),
    (lambda: n.CubaLI(beta=-0.1), "beta is -0.1, but it must be at least 0"),
    (lambda: n.ALIF(tau_adapt=0.0), "tau_adapt is 0"),
    (lambda: n.AdLIF(beta=float("nan")), "beta is nan"),
    (lambda: n.EIF(dt=0.0), "dt is 0.0, but it must be a positive number of seconds"),
    (lambda: n.EIF(dt="1 ms"), "dt is '1 ms'"),
    (lambda: n.EIF(substeps=0), "substeps is 0"),
    (lambda: n.AdEx(substeps=2.5), "substeps is 2.5"),
    (lambda: n.AdEx(slope=0.0), "slope is 0"),
    (lambda: n.AdEx(v_spike=0.0), "v_spike unknown; known are"),
    (lambda: n.QIF(tau=-0.01), "tau is -0.01"),
    (lambda: n.Izhikevich(reset="zero"), "one of value, none"),
    (lambda: n.FitzHughNagumo(reset="subtract"), "one of none"),
    (lambda: n.HodgkinHuxley(dt=0.01), "at most 0.001 s"),
    (lambda: n.HodgkinHuxley(capacitance=0.0), "capacitance is 0"),
    (lambda: n.BRF(omega=200.0), "omega is 200, but it must be at most 99.9"),
    (lambda: n.BHRF(omega=30.0, dt=0.05), "at most 19.98"),
    (lambda: n.BRF(reset="zero"), "one of none"),
    (lambda: n.ILIF(levels=0), "levels is 0"),
    (lambda: n.ILIF(strict=True), "ILIF does not use strict"),
    (lambda: n.BurstIF(width=0.5), "BurstIF does not use width"),
    (lambda: n.BurstIF(burst=2.0), "burst is 2.0"),
    (lambda: n.MultiThresholdIF(levels=True), "levels is True"),
    (lambda: n.MultiThresholdIF(0.0), "threshold is 0"),
    (lambda: n.SignedIF(1.0, -1.0), "negative is -1"),
    (lambda: n.DifferentialIF(rungs=0), "DifferentialIF: rungs is 0"),
    (lambda: n.TallyIF(burst=0), "TallyIF: burst is 0"),
    (lambda: n.TallyIF(burst=2.5), "TallyIF: burst is 2.5"),
    (lambda: n.TallyIF(reset="zero"), "must be one of subtract"),
    (lambda: n.STBIF(low=1.0), "low is 1, but it must be at most 0"),
    (lambda: n.STBIF(high=-1.0), "high is -1"),
    (lambda: n.StaircaseIF(offsets=["a"]), r"offsets\[0\] is 'a'"),
    (lambda: n.StaircaseIF(offsets=[0.0] * 300), "at most 256"),
    (lambda: n.SigmaDelta(0.0), "threshold is 0.0, but it must be one positive number"),
    (lambda: n.SigmaDelta(torch.ones(3)), "one positive number"),
    (lambda: n.SigmaDelta(bits=20), "from 1 to 16"),
    (lambda: n.SigmaDelta(learnable="threshold"), "cannot be learnt"),
    (lambda: n.EscapeLIF(noise=0.0), "noise is 0"),
    (lambda: n.EscapeLIF(rate=-1.0), "rate is -1"),
    (lambda: n.AdEx(initial={"u": 0.0}), "initial values: u unknown; known are v, w"),
    (lambda: n.AdEx(learnable=("tau",)), "learnable parameters: tau unknown"),
])  # fmt: skip
def test_bad_constants_are_named(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


def test_a_parameter_that_does_not_fit_the_input_is_named():
    with pytest.raises(ShapeError, match="a has shape"):
        n.Izhikevich(torch.full((3,), 0.02))(torch.zeros(2, 1, 4))


@pytest.mark.parametrize("name", [c for c in n.__all__ if c not in ("SpikingNeuron", "ContinuousNeuron", "Lapicque")])
def test_every_family_says_what_it_is(name):
    """Its printed form names every parameter; its defaults run and give finite numbers."""
    neuron = getattr(n, name)()
    assert all(f"{key}=" in repr(neuron) for key in neuron.params)
    with torch.no_grad():
        assert neuron(torch.randn(5, 2, 3)).isfinite().all()


def test_heterogeneous_populations_are_tensors():
    """A parameter per neuron runs as each neuron alone."""
    c = torch.tensor([-65.0, -50.0, -55.0])
    x = torch.full((400, 1, 3), 12.0)
    together = n.Izhikevich(c=c, d=torch.tensor([8.0, 2.0, 4.0]))(x)
    for k, d in enumerate((8.0, 2.0, 4.0)):
        alone = n.Izhikevich(c=c[k].item(), d=d)(x[..., :1])
        assert torch.equal(together[..., k], alone[..., 0])
    assert len(set(together.sum((0, 1)).tolist())) == 3
