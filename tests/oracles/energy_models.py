"""Energy models with memory, term by term and layer by layer, as slowly as they are published."""

import math

MAC, ADD = 3.2, 0.1  # pJ, 32-bit integers


def access(words):
    """Picojoules of one access to a memory of so many 32-bit words."""
    return 1.09e-5 * words * 32 + 13.2


def spiking_convolution(cin, cout, k, stride, size_out, theta_in, steps):
    """A convolution driven by spikes, without bias."""
    outputs = cout * size_out**2
    energy = theta_in * access(0)
    energy += theta_in * cout * k * k * access(cin * cout * k * k)
    energy += 2 * (theta_in * cout * k * k + steps * outputs) * access(outputs)
    energy += (theta_in * math.ceil(k / stride) ** 2 * cout + steps * outputs) * ADD
    energy += 2 * theta_in * MAC + theta_in * k * k * ADD
    return energy


def spiking_linear(nin, nout, theta_in, steps, bias):
    """A linear layer driven by spikes."""
    energy = theta_in * access(0) + theta_in * nout * access(nin * nout)
    energy += steps * nout * access(nout) if bias else 0
    energy += 2 * (theta_in * nout + steps * nout) * access(nout)
    return energy + (theta_in * nout + steps * nout) * ADD + theta_in * nout * ADD


def spiking_neurons(theta_out, updates, leak):
    """What the neurons add: handing on spikes, resets, and a multiplication where they leak."""
    return theta_out * (access(0) + ADD) + (updates * MAC if leak else 0)


def formal_convolution(cin, cout, k, size_in, size_out, bias):
    """A convolution of an ANN."""
    macs, inputs, outputs = cin * cout * size_out**2 * k * k, cin * size_in**2, cout * size_out**2
    energy = macs * access(inputs) + macs * access(cin * cout * k * k) + outputs * access(outputs) + macs * MAC
    energy += outputs * (access(cout) + ADD) if bias else 0
    return energy + (inputs + outputs + cout * k * k) * ADD


def formal_linear(nin, nout, bias):
    """A linear layer of an ANN."""
    energy = nin * access(nin) + nin * nout * access(nin * nout) + nout * access(nout) + nin * nout * MAC
    energy += nout * (access(nout) + ADD) if bias else 0
    return energy + nin * nout * ADD


def crossbars(cin, cout, k, size_out, steps):
    """One layer on 64 x 64 RRAM crossbars, in picojoules."""
    element = k * k * 1.76423 + 64 / 8 * (2.03084 + 0.094245)
    cycle = 19.64 * 8 + 4.64 + 1.274 * 4 + 64 / 8 * element + 64 / 8 * 16 * 1.15e-6 + 64 / 8 * 0.2 + 397
    return math.ceil(cout / 64) * math.ceil(cin / 64) * size_out**2 * cycle * steps
