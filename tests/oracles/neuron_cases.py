"""A lively setting of every family: the neuron, its oracle, and inputs (mean, spread) that make it fire."""

import math
from dataclasses import dataclass
from typing import Any

from oracles import neuron_steps as oracle

from spikesim import neurons as n


@dataclass
class Case:
    name: str
    build: Any  # (**extra) -> neuron
    step: Any
    constants: dict
    mean: float = 0.5
    spread: float = 1.0
    learnable: tuple = ()
    tolerance: float = 1e-5  # of the float32 kernels
    least: int = 8  # emissions that the inputs cause
    check: dict | None = None  # constants for check_neuron, if not the same: its inputs are the family's own drive

    def neuron(self, **extra):
        return self.build(**self.constants, **extra)


def _v(**values):
    return values


def _of(cls, **fixed):
    return lambda **values: cls(**{**fixed, **values})


_ADEX = _v(
    capacitance=200.0, conductance=10.0, tau_w=0.03, a=2.0, b=60.0, v_rest=-70.0, v_threshold=-50.0, slope=2.0,
    v_peak=0.0, v_reset=-58.0, dt=1e-3, substeps=4,
)  # fmt: skip
_IZH = _v(a=0.02, b=0.2, c=-50.0, d=2.0, dt=5e-4)
_GATES = _v(alpha=0.6, beta=0.4, gamma=0.3, decay=0.4, linear_decay=0.05, conductance=0.7, subtrahend=0.45)

CASES = [
    Case("PLIF", _of(n.PLIF), oracle.plif, _v(tau=2.5, threshold=0.8, scale_input=True)),
    Case("PLIF, input as it is", _of(n.PLIF), oracle.plif, _v(tau=3.0, threshold=0.8, scale_input=False)),
    Case("KLIF", _of(n.KLIF, reset="zero"), oracle.klif, _v(tau=2.0, threshold=0.7, k=1.3, scale_reset=False)),
    Case("KLIF, scaled", _of(n.KLIF, reset="zero"), oracle.klif, _v(tau=2.0, threshold=0.7, k=1.3, scale_reset=True)),
    Case("GLIF", _of(n.GLIF), oracle.glif, _v(threshold=0.5, **_GATES)),
    Case("CubaLIF", _of(n.CubaLIF), oracle.cuba_lif, _v(alpha=0.7, beta=0.8, threshold=1.5), 0.2,
         learnable=("alpha", "beta", "threshold")),
    Case("CubaLIF, delayed", _of(n.CubaLIF, delayed_reset=True, strict=True, detach_reset=True), oracle.synaptic,
         _v(alpha=0.7, beta=0.8, threshold=1.5), 0.2, learnable=("alpha",)),
    Case("CubaLIF, settled", _of(n.CubaLIF, delayed_reset=True, settle=True, strict=True, detach_reset=True),
         oracle.synaptic_settled, _v(alpha=0.7, beta=0.8, threshold=0.6), 0.4, learnable=("beta", "threshold")),
    Case("RSynaptic", _of(n.RSynaptic, reset="zero"), oracle.rsynaptic,
         _v(alpha=0.7, beta=0.8, feedback=-0.6, threshold=0.8), 0.4, learnable=("alpha", "feedback")),
    Case("Leaky", _of(n.Leaky), oracle.leaky, _v(beta=0.85, threshold=0.7, settle=False),
         learnable=("beta", "threshold")),
    Case("Leaky, settled", _of(n.Leaky), oracle.leaky, _v(beta=0.85, threshold=0.4, settle=True),
         learnable=("beta", "threshold")),
    Case("Leaky, to zero, settled", _of(n.Leaky, reset="zero"), oracle.leaky_zero,
         _v(beta=0.85, threshold=0.4, settle=True), learnable=("beta",)),
    Case("RLeaky", _of(n.RLeaky), oracle.rleaky, _v(beta=0.85, feedback=-0.5, threshold=0.5, settle=False),
         learnable=("beta", "feedback", "threshold")),
    Case("CubaLI", _of(n.CubaLI), oracle.cuba_li, _v(alpha=0.7, beta=0.8), learnable=("alpha", "beta")),
    Case("Alpha", _of(n.Alpha), oracle.alpha, _v(alpha=0.9, beta=0.7, threshold=1.0), 0.5,
         learnable=("alpha", "beta", "threshold")),
    Case("Lapicque", _of(n.Lapicque), oracle.lapicque, _v(resistance=4.0, capacitance=1.5, dt=1.0, threshold=0.9),
         learnable=("resistance", "capacitance")),
    Case("ALIF", _of(n.ALIF), oracle.alif, _v(tau=4.0, tau_adapt=30.0, threshold=0.4, beta=1.8), 1.0,
         learnable=("tau", "tau_adapt", "threshold", "beta")),
    Case("AdLIF", _of(n.AdLIF), oracle.adlif, _v(alpha=0.8, beta=0.95, a=0.3, b=0.6, threshold=0.4), 1.0, 2.0,
         learnable=("alpha", "beta", "a", "b"), tolerance=1e-4),
    Case("EIF", _of(n.EIF), oracle.eif, _v(tau=0.01, v_rest=-65.0, v_threshold=-59.9, slope=3.48, v_peak=-30.0,
         v_reset=-68.0, dt=1e-3, substeps=1), 20, 15, learnable=("tau", "slope", "v_reset"),
         check={}),
    Case("EIF, sub-stepped", _of(n.EIF), oracle.eif, _v(tau=0.01, v_rest=-65.0, v_threshold=-59.9, slope=3.48,
         v_peak=-30.0, v_reset=-68.0, dt=4e-3, substeps=5), 40, 15,
         check=_v(dt=2e-3, substeps=4), tolerance=1e-4),
    Case("QIF", _of(n.QIF), oracle.qif, _v(tau=0.01, curvature=0.1, v_rest=-65.0, v_critical=-50.0, v_peak=-20.0,
         v_reset=-68.0, dt=1e-3), 30, 15, learnable=("curvature", "v_critical"),
         check={}),
    Case("AdEx", _of(n.AdEx), oracle.adex, _ADEX, 500, 200, learnable=("tau_w", "a", "b", "slope"),
         check={}),
    Case("Izhikevich", _of(n.Izhikevich), oracle.izhikevich,
         _v(**_IZH, linear=5.0, constant=140.0, u_from=0.0, u_leak=1.0), 12, 5, learnable=("a", "b", "c", "d"),
         check={}),
    Case("Izhikevich, changed", _of(n.Izhikevich), oracle.izhikevich,
         _v(**_IZH, linear=4.1, constant=108.0, u_from=-65.0, u_leak=0.5), 20, 5,
         check=_v(linear=4.1, constant=108.0, u_from=-65.0, u_leak=0.5)),
    Case("FitzHughNagumo", _of(n.FitzHughNagumo), oracle.fitzhugh_nagumo,
         _v(a=0.7, b=0.8, tau=12.5, threshold=1.0, dt=0.4), 0.6, 0.5, learnable=("a", "b", "tau"),
         check={}, least=2),
    Case("HodgkinHuxley", _of(n.HodgkinHuxley), oracle.hodgkin_huxley, _v(dt=1e-3, substeps=20), 15, 10,
         learnable=("g_na", "e_k", "capacitance"), check=_v(substeps=3), tolerance=1e-4),
    Case("BRF", _of(n.BRF), oracle.brf, _v(omega=20.0, b_offset=1.0, threshold=0.05, dt=0.01), 0, 4,
         learnable=("omega", "b_offset"), check={}),
    Case("BHRF", _of(n.BHRF), oracle.bhrf, _v(omega=20.0, b_offset=1.0, threshold=0.05, dt=0.01), 0, 4,
         learnable=("omega", "b_offset"), check={}),
    Case("ILIF", _of(n.ILIF), oracle.ilif, _v(tau=1.6, threshold=0.7, levels=4), 0.7, 1.5,
         learnable=("tau", "threshold")),
    Case("BurstIF", _of(n.BurstIF), oracle.burst, _v(threshold=0.7, burst=3), 0.6, 1.5, learnable=("threshold",)),
    Case("MultiThresholdIF", _of(n.MultiThresholdIF), oracle.multi_threshold,
         _v(threshold=1.3, levels=4, signed=True), 0.1, learnable=("threshold",)),
    Case("MultiThresholdIF, positive", _of(n.MultiThresholdIF), oracle.multi_threshold,
         _v(threshold=1.3, levels=3, signed=False), 0.3),
    Case("SignedIF", _of(n.SignedIF), oracle.signed_if, _v(threshold=0.9, negative=1.7), 0.0,
         learnable=("threshold", "negative")),
    Case("STBIF", _of(n.STBIF), oracle.st_bif, _v(threshold=0.6, high=4.0, low=-2.0), 0.1, learnable=("threshold",)),
    Case("TallyIF", _of(n.TallyIF), oracle.tally, _v(threshold=0.4, burst=3, high=5.0, low=-2.0), 0.2,
         learnable=("threshold",)),
    Case("DifferentialIF", _of(n.DifferentialIF), oracle.differential, _v(threshold=0.3, rungs=3), 0.2,
         learnable=("threshold",)),
    Case("StaircaseIF", _of(n.StaircaseIF), oracle.staircase,
         _v(threshold=0.4, slope=0.05, keep=0.5, offsets=(0.3, -0.1, 0.2)), 0.3,
         learnable=("slope", "keep", "offset_1")),
    Case("SigmaDelta", _of(n.SigmaDelta), oracle.sigma_delta,
         _v(threshold=0.25, bits=3, accumulate=True, rectify=True), 0.1),
    Case("SigmaDelta, encoder", _of(n.SigmaDelta), oracle.sigma_delta,
         _v(threshold=0.25, bits=8, accumulate=False, rectify=False), 0.0),
]  # fmt: skip

ESCAPE = Case("EscapeLIF", _of(n.EscapeLIF), oracle.escape, _v(tau=2.0, threshold=0.8, noise=0.3, rate=0.3), 0.8,
              learnable=("tau", "noise", "rate"))  # fmt: skip

IDS = [c.name for c in CASES]


def initial(neuron):
    """The initial states as plain floats."""
    return {k: getattr(neuron, f"initial_{k}").item() for k in neuron.states}


def sine(steps, case):
    """Inputs that are neither constant nor random."""
    return [case.mean + case.spread * math.sin(0.7 * t) * math.cos(0.13 * t) for t in range(steps)]
