"""Random numbers: one definition for kernels and tensors, uniform, and the same in chunks and on any thread."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikesim.dynamics import Neuron, Param, SpikeType, State
from spikesim.dynamics.counter import key, uniform, uniform_rows
from spikesim.errors import StateError


class Noise(Neuron):
    """Emits its random number: two draws, three sub-steps."""

    states = {"v": State()}
    params = {"gain": Param(1.0)}
    draws = ("a", "b")
    emits = SpikeType("analog")

    def step(self, x, *, v, gain, a, b):
        return a - 0.5 * b + v, {"v": v + gain * x * a}


class Fine(Noise):
    substeps = 3


@settings(max_examples=60)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**40), st.integers(0, 9), st.integers(0, 5))
def test_kernels_and_tensors_draw_the_same(seed, start, step, draw):
    clock = torch.tensor([seed, start])
    rows = uniform_rows(clock, step, 1, draw, (3, 4), torch.zeros(1, dtype=torch.float64)).flatten()
    expected = [float(uniform(np.uint64(key(np.int64(seed), start + step, draw)), n)) for n in range(12)]
    assert rows.tolist() == expected
    assert all(0.0 < r < 1.0 for r in expected)


def test_draws_are_uniform_and_unrelated():
    clock = torch.tensor([3, 0])
    drawn = torch.stack([uniform_rows(clock, t, 1, d, (20_000,), torch.zeros(1)) for t in range(5) for d in range(2)])
    counts = torch.histc(drawn, 32, 0, 1)
    expected = drawn.numel() / 32
    # 31 degrees of freedom: the chance of more than 61 is one in a thousand.
    assert ((counts - expected) ** 2 / expected).sum() < 61
    correlation = torch.corrcoef(drawn) - torch.eye(10)
    assert correlation.abs().max() < 0.03
    lagged = torch.corrcoef(torch.stack([drawn[0, :-1], drawn[0, 1:]]))[0, 1]
    assert lagged.abs() < 0.03


@pytest.mark.parametrize("neuron", [Noise(), Fine()], ids=["one step", "sub-steps"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernel_reference_and_chunks_agree(monkeypatch, neuron, dtype):
    neuron = neuron.to(dtype)
    x = torch.rand(6 * 2, 5, dtype=dtype)
    state = {"v": torch.zeros(2, 5, dtype=dtype), "clock": torch.tensor([11, 4])}
    whole, final = neuron.run_rows(x, 6, state=state)
    first, between = neuron.run_rows(x[:8], 4, state=state)
    second, last = neuron.run_rows(x[8:], 2, state=between)
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(last["v"], final["v"]) and last["clock"].tolist() == final["clock"].tolist() == [11, 10]
    monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
    assert torch.allclose(neuron.run_rows(x, 6, state=state)[0], whole, rtol=1e-6)


def test_torchs_seed_decides_and_layout_and_threads_do_not():
    neuron = Noise()
    x = torch.rand(4, 3, 6, 30, 40)
    before = torch.get_num_threads()
    found = []
    for threads, layout in ((1, torch.contiguous_format), (2, torch.channels_last)):
        torch.set_num_threads(threads)
        torch.manual_seed(5)
        rows = x.flatten(0, 1).contiguous(memory_format=layout)
        found.append(neuron.run_rows(rows, 4)[0])
    torch.set_num_threads(before)
    assert torch.equal(*found)
    assert not torch.equal(neuron.run_rows(x.flatten(0, 1), 4)[0], found[0])


def test_a_wrong_clock_is_named():
    state = {"v": torch.zeros(1, 2), "clock": torch.zeros(2)}
    with pytest.raises(StateError, match="int64"):
        Noise().run_rows(torch.zeros(3, 2), 3, state=state)
