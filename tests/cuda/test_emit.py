"""The source of CUDA kernels: what is loaded when, and that it reads like the equations."""

import re

import pytest
from oracles.every_neuron import EVERY_NEURON

from spikesim.dynamics.emit_cuda import emit_cuda, scratch_of
from spikesim.dynamics.plan import Kernel
from spikesim.errors import ConfigError
from spikesim.neurons import LIF, HodgkinHuxley


def _kernel(neuron, mode, **flags):
    wrt = tuple(p for p in neuron.params if getattr(neuron, p).requires_grad)
    return Kernel(neuron.program_text(), mode, "float32", (True,) * len(neuron.params), wrt, **flags)


def _order(source):
    """Loads and stores of the arrays of the first loop over time, as a person reads them."""
    loop = source.split("for _t in ")[1]
    lines = [line.strip() for line in loop.splitlines()[1:]]
    return "".join(
        "S" if re.match(r"\w+\[.*\] =", line) else "L" if re.search(r"= .*_all\[", line) else "" for line in lines
    )


def test_four_steps_are_loaded_before_the_first_store():
    assert _order(emit_cuda(_kernel(LIF(), "infer"))) == "LLLLSSSS"
    assert _order(emit_cuda(_kernel(LIF(), "train"))) == "LLLLSSSSSSSS"
    assert _order(emit_cuda(_kernel(LIF(), "backward"))) == "LLLLLLLLSSSS"


@pytest.mark.parametrize("ahead", [1, 2, 8])
def test_as_many_as_asked_for(ahead):
    assert _order(emit_cuda(_kernel(LIF(), "infer"), ahead=ahead)).startswith("L" * ahead + "S")


def test_a_step_that_reads_much_is_loaded_alone():
    kernel = _kernel(EVERY_NEURON["GLIF"], "backward")
    assert _order(emit_cuda(kernel)).count("L") <= 16


def test_the_equations_stand_there_once_and_as_they_were_written():
    source = LIF().kernel_source("cuda")
    assert source.count("u = v + (x - v) / tau\n    s = spike(u - threshold)") == 1
    assert "def step(x, v, tau, threshold):" in source
    assert "real" not in source.split("def step")[1].split("@cuda_.jit")[0]


def test_a_recomputing_kernel_reads_its_input_again_instead_of_keeping_it():
    neuron = LIF(learnable="tau")
    assert scratch_of(_kernel(neuron, "backward", recompute=True)) == ("saved_v",)
    assert scratch_of(_kernel(neuron, "backward")) == ()


def test_sub_steps_are_a_loop():
    source = emit_cuda(_kernel(HodgkinHuxley(), "backward"))
    assert f"for _k in range({HodgkinHuxley().substeps - 1}, -1, -1):" in source


@pytest.mark.parametrize("name", EVERY_NEURON)
def test_every_neuron_prints_and_parses(name):
    for mode in ("infer", "train", "backward"):
        compile(EVERY_NEURON[name].kernel_source("cuda", mode), name, "exec")


def test_an_unknown_backend_is_refused():
    with pytest.raises(ConfigError, match="'rocm', but it must be 'cpu' or 'cuda'"):
        LIF().kernel_source("rocm")
