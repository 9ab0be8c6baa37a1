"""Threads, forks, caches and bounds: how kernels behave beside other threads and processes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from spikesim.dynamics.launch import PARALLEL_FROM
from spikesim.neurons import LIF


def _python(code, tmp_path, **env):
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "SPIKESIM_CACHE_DIR": str(tmp_path), **env}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class _Spikes(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return LIF()(torch.full((200, 1, 1_000), float(index)))


def test_a_worker_forked_after_a_parallel_kernel_lives(two_threads):
    x = torch.full((200, 1, 1_000), 3.0)
    assert x.numel() > PARALLEL_FROM and torch.get_num_threads() > 1
    expected = LIF()(x)
    loader = DataLoader(_Spikes(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60)
    batches = list(loader)
    assert len(batches) == 4
    assert torch.equal(batches[3], expected)


FORK = """
import os, torch
from spikesim.neurons import LI, LIF
x = torch.full((2000, 1, 1_000), 3.0)
neuron, half = LIF(), x.bfloat16()
total = neuron(x).sum()
child = os.fork()
if child == 0:
    # torch still believes in several threads here; entering a parallel region would hang or kill.
    several = torch.get_num_threads() > 1
    LI()(half)  # converted by torch before a kernel runs
    spikes = neuron(x)
    rows = x.clone().requires_grad_()
    neuron(rows).sum().backward()
    equal = torch.equal(spikes.sum(), total) and bool(rows.grad.isfinite().all())
    os._exit(7 if several and torch.get_num_threads() == 1 and equal else 8)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_bare_fork_runs_in_sequence(tmp_path):
    assert _python(FORK, tmp_path).stdout == "7\n"


def test_results_do_not_depend_on_the_number_of_threads():
    neuron = LIF(learnable=("tau", "threshold"))
    x = torch.randn(8, 2, 20_000)
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            neuron.zero_grad()
            rows = x.clone().requires_grad_()
            y = neuron(rows)
            (y * x).sum().backward()
            results.append([y.detach(), rows.grad, neuron.tau.grad.clone(), neuron.threshold.grad.clone()])
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*results):
        assert torch.equal(one, two)


RUN = """
import torch
from spikesim.neurons import LIF
x = torch.randn(3, 2, 5, requires_grad=True)
neuron = LIF(learnable=("tau",), threshold=torch.rand(5) + 0.5)
neuron(x).sum().backward()
mask = torch.tensor([[True, False], [True, True], [False, True]])
neuron.run_rows(x.flatten(0, 1), 3, mask=mask)[0].sum().backward()
print("done", bool(x.grad.isfinite().all()))
"""


def test_kernels_stay_in_bounds(tmp_path):
    result = _python(RUN, tmp_path, NUMBA_BOUNDSCHECK="1")
    assert result.stdout == "done True\n", result.stderr


def test_two_processes_may_fill_one_cache_at_once(tmp_path):
    environment = {**os.environ, "SPIKESIM_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.Popen([sys.executable, "-c", RUN], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [r.communicate(timeout=300)[0] for r in runs] == ["done True\n"] * 2
    assert not list((tmp_path / "kernels").glob("*.tmp"))


@pytest.mark.parametrize("broken", ["file", "missing parent"])
def test_a_cache_that_cannot_be_written_falls_back_to_memory(tmp_path, broken):
    blocked = tmp_path / "blocked"
    blocked.write_text("not a folder")
    folder = blocked if broken == "file" else blocked / "below"
    result = _python(RUN, folder)
    assert result.stdout == "done True\n", result.stderr
    assert result.stderr.count("compiled in memory only") == 1


def test_the_reference_path_gives_the_same(tmp_path):
    code = """
    import torch
    from spikesim.neurons import LIF
    torch.manual_seed(0)
    x = torch.randn(6, 4, 7, requires_grad=True)
    y = LIF()(x); (y * x.detach()).sum().backward()
    print(y.sum().item(), x.grad.double().sum().item())
    """
    fast, slow = _python(code, tmp_path), _python(code, tmp_path, SPIKESIM_DISABLE_JIT="1")
    a, b = ([float(v) for v in r.stdout.split()] for r in (fast, slow))
    assert a[0] == b[0]
    assert a[1] == pytest.approx(b[1], rel=1e-5)


def test_python_in_the_root_of_a_checkout_finds_everything():
    """There ./spikesim answers, not an installed package."""
    code = "import spikesim.converters, spikesim.datasets, spikesim; print(spikesim.convert.__name__)"
    root = Path(__file__).resolve().parents[2]
    # -S leaves out editable installs and their import hooks.
    site = os.pathsep.join(p for p in sys.path if p.endswith("site-packages"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), site])}
    command = [sys.executable, "-S", "-c", code]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert result.stdout == "convert\n", result.stderr


def test_a_full_disk_falls_back_to_memory(tmp_path):
    code = """
    import numba.core.caching as caching
    def full(*_): raise OSError(28, "No space left on device")
    caching.IndexDataCacheFile.save = full
    import torch
    from spikesim.neurons import LIF
    print(LIF()(torch.full((3, 1, 30_000), 2.0)).sum().item())
    """
    result = _python(code, tmp_path)
    assert result.stdout == "90000.0\n", result.stderr
