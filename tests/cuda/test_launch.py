"""What a launch hands to the driver, as far as that shows without one."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from spikesim.dynamics import launch_cuda
from spikesim.dynamics.cache import compiled, compiled_in_memory
from spikesim.dynamics.launch import Extent
from spikesim.dynamics.plan import Kernel
from spikesim.neurons import LIF, HodgkinHuxley


def _kernel(neuron=None, **flags):
    neuron = neuron or LIF()
    return Kernel(neuron.program_text(), "backward", "float32", (True,) * len(neuron.params), **flags)


@pytest.fixture
def launched(monkeypatch):
    """Calls of kernels: how they were configured, and with which numbers."""
    seen = []

    def configured(*how):
        return lambda *numbers: seen.append((how, numbers))

    monkeypatch.setattr(launch_cuda, "_configured", configured)
    monkeypatch.setattr(launch_cuda, "_multiprocessors", lambda device: 2)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=77))
    return seen


def test_sizes_and_addresses_on_the_current_stream(launched):
    arrays = [torch.zeros(3 * 300) for _ in range(4)]
    mask, clock = torch.ones(3, 300, dtype=torch.bool), torch.zeros(2, dtype=torch.int64)
    kernel = _kernel(masked=True)
    launch_cuda.launch_cuda(kernel, Extent(3, 300, 1, 300, 1), arrays, mask, clock)
    ((how, numbers),) = launched
    assert how == (compiled, kernel, 3, 77, torch.device("cpu"))  # 300 neurons are three blocks of 128 threads
    assert numbers == (3, 300, 1, 300, 1, mask.data_ptr(), clock.data_ptr(), 0, *(a.data_ptr() for a in arrays))


def test_a_full_disk_is_no_error(launched, monkeypatch):
    used = []

    def configured(compiler, *how):
        def run(*numbers):
            used.append(compiler)
            if compiler is compiled:
                raise OSError("no space left on device")

        return run

    monkeypatch.setattr(launch_cuda, "_configured", configured)
    launch_cuda.launch_cuda(_kernel(), Extent(1, 1, 4, 4, 0), [torch.zeros(4)])
    assert used == [compiled, compiled_in_memory]


def test_a_scratch_is_bounded_however_many_neurons_there_are(launched):
    kernel, cpu = _kernel(recompute=True), torch.device("cpu")

    def threads(steps, neurons):
        scratch = launch_cuda._scratch(kernel, Extent(steps, 1, neurons, neurons, 0), neurons, cpu)
        assert scratch.shape[0] == steps
        return scratch.shape[1]

    assert threads(16, 1000) == 1024
    assert threads(16, 10**9) == launch_cuda.SCRATCH // (16 * 4)
    assert threads(10**6, 10**4) == 2 * launch_cuda._FEWEST_LANES


def test_sub_steps_multiply_the_scratch(launched):
    neuron = HodgkinHuxley()
    scratch = launch_cuda._scratch(_kernel(neuron, recompute=True), Extent(4, 1, 50, 50, 0), 50, torch.device("cpu"))
    assert scratch.shape == (len(neuron.states) * 4 * neuron.substeps, 128)


def test_nothing_to_do_is_not_launched(launched):
    launch_cuda.launch_cuda(_kernel(), Extent(3, 0, 5, 0, 0), [torch.zeros(0)])
    assert launched == []
