"""Scalar loops in float64: one neuron, one step at a time, as a textbook would write them."""

import math


def lif(inputs, *, tau=2.0, threshold=1.0, reset="subtract", scale_input=True, strict=False, v=0.0, leak=True):
    """Spikes and potentials (after the reset) of one leaky or plain integrate-and-fire neuron."""
    spikes, potentials = [], []
    for x in inputs:
        if not leak:
            v = v + x
        elif scale_input:
            v = v + (x - v) / tau
        else:
            v = v - v / tau + x
        fired = v > threshold if strict else v >= threshold
        if fired and reset == "subtract":
            v = v - threshold
        if fired and reset == "zero":
            v = 0.0
        spikes.append(1.0 if fired else 0.0)
        potentials.append(v)
    return spikes, potentials


SURROGATES = {
    "ATan": lambda u, a=2.0: a / 2 / (1 + (math.pi / 2 * a * u) ** 2),
    "FastSigmoid": lambda u, k=25.0: 1 / (1 + k * abs(u)) ** 2,
    "Triangle": lambda u, w=1.0: max(0.0, 1 - abs(u) / w) / w,
    "Box": lambda u, w=1.0: (1 / w) if abs(u) < w / 2 else 0.0,
    "Sigmoid": lambda u, a=4.0: a * math.exp(-a * u) / (1 + math.exp(-a * u)) ** 2,
    "Gaussian": lambda u, w=0.5: math.exp(-(u**2) / (2 * w**2)) / (w * math.sqrt(2 * math.pi)),
}


def lif_input_gradient(inputs, weights, surrogate, *, tau=2.0, threshold=1.0, reset="subtract", detach=False):
    """d(sum_t weights[t] s[t]) / d inputs, by hand, for the scaled LIF."""
    potentials, v = [], 0.0
    for x in inputs:
        u = v + (x - v) / tau
        s = 1.0 if u >= threshold else 0.0
        potentials.append((u, s))
        v = u - threshold * s if reset == "subtract" else u * (1 - s)
    grads, carried = [0.0] * len(inputs), 0.0
    for t in reversed(range(len(inputs))):
        u, s = potentials[t]
        by_spike = -threshold if reset == "subtract" else -u
        by_potential = 1.0 if reset == "subtract" else 1 - s
        to_spike = weights[t] + (0.0 if detach else carried * by_spike)
        to_u = carried * by_potential + to_spike * surrogate(u - threshold)
        grads[t] = to_u / tau
        carried = to_u * (1 - 1 / tau)
    return grads
