"""Neurons of packages that need not be installed, as loops over time written from their published equations.

Norse 1.1 (norse/torch/functional/lif_box.py, lif.py, iaf.py; dt = 1 ms) and Sinabs 3 (sinabs/layers/functional/lif.py,
sinabs/activation). Only spikes; each takes [T, N] in float64.
"""

import math

import torch


class _Loop:
    def __call__(self, x):
        state = None
        spikes = []
        for row in x:
            s, state = self.step(row, state)
            spikes.append(s)
        return torch.stack(spikes)


class LIFBox(_Loop):
    """Norse: dv/dt = (v_leak - v + i) / tau, a spike above the threshold sets v to v_reset."""

    def __init__(self, tau_mem_inv=100.0, v_th=1.0, v_reset=0.0, dt=1e-3):
        self.tau_mem_inv, self.v_th, self.v_reset, self.dt = tau_mem_inv, v_th, v_reset, dt

    def step(self, x, v):
        v = torch.zeros_like(x) if v is None else v
        v = v + self.dt * self.tau_mem_inv * (x - v)
        z = (v > self.v_th).to(x)
        return z, torch.where(z > 0, self.v_reset, v)


class LIF(_Loop):
    """Norse: the same with a current; an input raises the current after it has charged the potential."""

    def __init__(self, tau_syn_inv=200.0, tau_mem_inv=100.0, v_th=1.0, dt=1e-3):
        self.tau_syn_inv, self.tau_mem_inv, self.v_th, self.dt = tau_syn_inv, tau_mem_inv, v_th, dt

    def step(self, x, state):
        v, i = (torch.zeros_like(x), torch.zeros_like(x)) if state is None else state
        v = v + self.dt * self.tau_mem_inv * (i - v)
        i = i - self.dt * self.tau_syn_inv * i
        z = (v > self.v_th).to(x)
        return z, ((1 - z) * v, i + x)


class NorseIAF(_Loop):
    """Norse: v grows by the input, a spike above the threshold sets it to zero."""

    def step(self, x, v):
        v = (0 if v is None else v) + x
        z = (v > 1.0).to(x)
        return z, (1 - z) * v


class Sinabs(_Loop):
    """Sinabs: v(t) = a v(t-1) + (1 - a) x(t) with a = exp(-1/tau), then spikes, each worth a threshold.

    Args:
        tau: in steps, None without leak.
        norm: scale the input by 1 - a.
        most: spikes in a step; None for as many as fit.
        low: where the potential stops from below.
    """

    def __init__(self, tau=None, norm=True, most=None, low=None):
        self.decay = 1.0 if tau is None else math.exp(-1 / tau)
        self.gain = 1 - self.decay if norm and tau is not None else 1.0
        self.most, self.low = most, low

    def step(self, x, v):
        v = self.decay * (0 if v is None else v) + self.gain * x
        s = torch.clamp(torch.floor(v), 0, self.most)
        v = v - s
        return s, v if self.low is None else torch.clamp(v, min=self.low)
