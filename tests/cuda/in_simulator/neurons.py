"""Run inside Numba's CUDA simulator: every neuron and every surrogate against float64, forward and backward."""

import copy
import os

import pytest
import torch
from oracles.every_neuron import EVERY_NEURON

from spikesim.dynamics.cuda_support import SIMULATED
from spikesim.dynamics.equivalence import check_neuron
from spikesim.dynamics.surrogates import CATALOGUE
from spikesim.neurons import LIF

FULL = os.environ.get("SPIKESIM_SIMULATE_ALL") == "1"
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9, torch.bfloat16: 2e-2, torch.float16: 5e-3}
DTYPES = list(TOLERANCE) if FULL else [torch.float32]
SURROGATES = sorted(CATALOGUE)


def _check(neuron, memory, dtype):
    assert SIMULATED
    neuron = copy.deepcopy(neuron)
    neuron.memory = memory
    # Five steps: one group of four that are loaded together, and one that is left over. Twenty neurons: two blocks.
    return check_neuron(neuron, dtype=dtype, steps=5, neurons=20)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("name", EVERY_NEURON)
def test_neuron(name, memory, dtype):
    _check(EVERY_NEURON[name], memory, dtype).require(TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", SURROGATES)
def test_surrogate(name, dtype):
    neuron = LIF(2.3, 0.8, surrogate=CATALOGUE[name](), learnable=("tau", "threshold"))
    _check(neuron, "keep", dtype).require(TOLERANCE[dtype])


@pytest.mark.skipif(not FULL, reason="SPIKESIM_SIMULATE_ALL=1 runs every neuron with every surrogate")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("name", EVERY_NEURON)
def test_product(name, surrogate, dtype):
    neuron = copy.deepcopy(EVERY_NEURON[name])
    if not hasattr(neuron, "surrogate"):
        pytest.skip(f"{name} does not fire")
    neuron.surrogate = CATALOGUE[surrogate]()
    _check(neuron, "auto", dtype).require(TOLERANCE[dtype])
