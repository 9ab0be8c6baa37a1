"""Slow, obvious references for conversion: scalar loops in double precision."""

from __future__ import annotations

import math
from collections import Counter


def bin_of(value: float) -> tuple[int, int]:
    """Octave and 32nd of the octave that a positive number lies in."""
    mantissa, exponent = math.frexp(value)
    return exponent - 1, int((2 * mantissa - 1) * 32)


def count_bins(values: list[float]) -> Counter[tuple[int, int]]:
    return Counter(bin_of(v) for v in values if v > 0)


def quantise(z: float, theta: float, timesteps: int) -> float:
    """Rate of an IF neuron with even input, half-threshold start and soft reset, times its threshold."""
    return theta / timesteps * min(max(math.floor(timesteps * z / theta + 0.5), 0), timesteps)


def squared_error(values: list[float], theta: float, timesteps: int) -> float:
    return sum((v - quantise(v, theta, timesteps)) ** 2 for v in values)


def simulate_mlp(
    layers: list[tuple[list[list[float]], list[float]]],
    thetas: list[list[float]],
    x: list[float],
    timesteps: int,
) -> tuple[list[float], list[list[list[int]]]]:
    """A spiking MLP in the ANN's own scale: threshold theta, message theta per spike.

    Returns the mean output over time, and spikes[layer][t][neuron].
    """
    potentials = [[theta / 2 for theta in row] for row in thetas]
    spikes: list[list[list[int]]] = [[] for _ in thetas]
    output = [0.0] * len(layers[-1][1])
    for _ in range(timesteps):
        message = list(x)
        for place, (weight, bias) in enumerate(layers):
            current = [b + sum(w * m for w, m in zip(row, message)) for row, b in zip(weight, bias)]
            if place == len(layers) - 1:
                output = [o + c / timesteps for o, c in zip(output, current)]
                break
            fired = []
            for i, c in enumerate(current):
                potentials[place][i] += c
                fired.append(int(potentials[place][i] >= thetas[place][i]))
                potentials[place][i] -= fired[-1] * thetas[place][i]
            spikes[place].append(fired)
            message = [s * theta for s, theta in zip(fired, thetas[place])]
    return output, spikes
