"""What a neuron is: its equations, the gradient derived from them, and the kernels that run both."""

from spikesim.dynamics.call import Call
from spikesim.dynamics.declarations import Param, SpikeType, State
from spikesim.dynamics.neuron import Neuron
from spikesim.dynamics.ops import (
    absolute,
    atan,
    clip,
    detach,
    erf,
    exp,
    floor,
    log,
    maximum,
    minimum,
    rounded,
    sigmoid,
    sign,
    spike,
    sqrt,
    tanh,
    where,
)
from spikesim.dynamics.program import Instruction, Program
from spikesim.dynamics.surrogates import ATan, Box, FastSigmoid, Gaussian, Sigmoid, Surrogate, Triangle
from spikesim.dynamics.time import TimeAware

__all__ = [
    "ATan",
    "Box",
    "Call",
    "FastSigmoid",
    "Gaussian",
    "Instruction",
    "Neuron",
    "Param",
    "Program",
    "Sigmoid",
    "SpikeType",
    "State",
    "Surrogate",
    "TimeAware",
    "Triangle",
    "absolute",
    "atan",
    "clip",
    "detach",
    "erf",
    "exp",
    "floor",
    "log",
    "maximum",
    "minimum",
    "rounded",
    "sigmoid",
    "sign",
    "spike",
    "sqrt",
    "tanh",
    "where",
]
