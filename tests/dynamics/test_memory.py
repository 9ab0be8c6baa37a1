"""However values lie and travel in memory, the results are the same."""

import os
import subprocess
import sys
from functools import lru_cache

import pytest
import torch

from spikesim.dynamics import Neuron, Param, SpikeType, State, execute, exp, launch, spike
from spikesim.dynamics.surrogates import ATan
from spikesim.errors import ConfigError
from spikesim.neurons import LI, LIF

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


class Adaptive(Neuron):
    """Three values worth keeping and two sub-steps: recomputed unless told otherwise."""

    states = {"v": State(), "w": State()}
    params = {"tau": Param(4.0, min=1.0, learnable=True)}
    emits = SpikeType("graded", bits=2)
    substeps = 2

    def step(self, x, *, v, w, tau):
        u = v + (exp(0.1 * v) + x - w - v) / tau
        s = spike(u - 1.0, ATan())
        return s, {"v": u * (1.0 - s), "w": 0.8 * w + 0.3 * s * u}


def _all(neuron, x, mask=None, constant=False, timesteps=6):
    """Emitted rows, final states and every gradient of one run."""
    neuron.zero_grad()
    rows = x.clone().requires_grad_()
    out, final = neuron.run_rows(rows, timesteps, mask=mask, constant=constant)
    weight = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
    loss = (out * weight).sum() + sum(v.sum() for v in final.values())
    loss.backward()
    return [out.detach(), *(v.detach() for v in final.values()), rows.grad, *(p.grad for p in neuron.parameters())]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("neuron", [LIF(learnable=("tau", "threshold")), LI(), LIF(threshold=torch.rand(64) + 0.5)])
@pytest.mark.parametrize("case", ["plain", "masked", "constant"])
def test_going_round_the_cache_changes_nothing(monkeypatch, neuron, dtype, case):
    x = torch.randn(3 if case == "constant" else 18, 64, 5, 7).to(dtype) + 0.5
    mask = torch.rand(6, 3) > 0.3 if case == "masked" else None
    expected = _all(neuron, x, mask, case == "constant")
    taken = []
    _stream_from_zero(monkeypatch)
    monkeypatch.setattr(launch, "replace", lambda kernel, **k: taken.append(k) or _replace(kernel, **k))
    found = _all(neuron, x, mask, case == "constant")
    assert taken and all(k == {"streamed": True} for k in taken)
    assert all(torch.equal(a, b) for a, b in zip(found, expected))


_replace = launch.replace


def _stream_from_zero(monkeypatch):
    """However small the rows; calls of known sizes are worked out anew."""
    monkeypatch.setattr(launch, "STREAM_FROM", 0)
    for ready in (execute._forward_ready, execute._backward_ready):
        monkeypatch.setattr(execute, ready.__name__, lru_cache(ready.__wrapped__))


def test_rows_that_are_no_whole_lines_are_stored_plainly(monkeypatch):
    x = torch.randn(6 * 3, 7) + 0.5
    expected = _all(LIF(), x)
    _stream_from_zero(monkeypatch)
    assert all(torch.equal(a, b) for a, b in zip(_all(LIF(), x), expected))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", ["plain", "masked", "constant"])
@pytest.mark.parametrize("build", [lambda: LIF(learnable=("tau", "threshold")), Adaptive], ids=["LIF", "Adaptive"])
def test_recomputing_gives_what_keeping_gives(build, dtype, case):
    x = torch.randn(3 if case == "constant" else 18, 65).to(dtype) + 0.5
    mask = torch.rand(6, 3) > 0.3 if case == "masked" else None
    found = []
    for memory in ("keep", "recompute"):
        neuron = build()
        neuron.memory = memory
        found.append(_all(neuron, x, mask, case == "constant"))
    assert all(torch.equal(a, b) for a, b in zip(*found))
    assert any(g.abs().sum() > 0 for g in found[0][-2:])


def test_recomputing_keeps_the_input_and_nothing_else():
    kept = []
    for memory in ("keep", "recompute"):
        neuron = LIF()
        neuron.memory = memory
        x = torch.rand(8, 2, 64, requires_grad=True)
        graph = neuron(x).grad_fn
        kept.append({t.untyped_storage().data_ptr() for t in graph.saved_tensors})
        assert (x.untyped_storage().data_ptr() in kept[-1]) == (memory == "recompute")


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="no high-water mark to reset")
def test_recomputing_needs_input_output_and_gradients_only():
    code = """
import re, torch
from spikesim.neurons import LIF

def mib(name):
    return int(re.search(rf"{name}:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

neuron = LIF()
neuron.memory = "recompute"

def both(x, grad):
    leaf = x.detach().requires_grad_()
    neuron(leaf).backward(grad)

both(torch.randn(16, 1, 32768), torch.randn(16, 1, 32768))
x, grad = torch.randn(16, 1, 1 << 20), torch.randn(16, 1, 1 << 20)  # 64 MiB each
open("/proc/self/clear_refs", "w").write("5")
before = mib("VmRSS")
both(x, grad)
print(mib("VmHWM") - before)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    # Input and output gradient are there before: output and input gradient come on top, and a tenth of all four.
    assert 100 < float(result.stdout) < 2 * 64 + 0.1 * 4 * 64


def test_an_unknown_memory_mode_is_named():
    with pytest.raises(ConfigError, match="auto, keep, recompute"):
        LIF().memory = "bits"


@pytest.mark.parametrize("grad", [False, True])
def test_batch_first_input_is_read_in_place(grad):
    x = torch.randn(4, 6, 16, 20).transpose(0, 1).requires_grad_(grad)
    neuron = LIF(threshold=torch.rand(16) + 0.5)
    taken = []
    inner = neuron._run
    neuron.__dict__["_run"] = lambda rows, timesteps, form, *rest: (
        taken.append(form) or inner(rows, timesteps, form, *rest)
    )
    found = neuron(x)
    assert taken == ["steps"]
    dense = x.detach().contiguous().requires_grad_(grad)
    expected = neuron(dense)
    assert torch.equal(found, expected)
    if grad:
        weight = torch.randn_like(found)
        gradients = [torch.autograd.grad(y, leaf, weight)[0] for y, leaf in ((found, x), (expected, dense))]
        assert torch.equal(*gradients)


def test_half_precision_equals_the_same_values_in_float32():
    x = torch.randn(6, 3, 50).to(torch.bfloat16)
    rows = [x.clone().requires_grad_(), x.float().requires_grad_()]
    outs = [LIF()(r) for r in rows]
    weight = torch.randn(6, 3, 50).to(torch.bfloat16)
    outs[0].backward(weight)
    outs[1].backward(weight.float())
    assert torch.equal(outs[0].float(), outs[1])
    assert torch.equal(rows[0].grad, rows[1].grad.to(torch.bfloat16))
