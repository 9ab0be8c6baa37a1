"""Kernels use the threads that torch was given, and no more."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

TASKS = Path("/proc/self/task")
RUN = """
import json, os, sys
import torch
torch.set_num_threads(int(sys.argv[1]))
import numba
from torch import nn
from spikesim.neurons import LIF
from spikesim.nn import Network

def threads():
    return len(os.listdir("/proc/self/task"))

net = Network(nn.Sequential(nn.Linear(64, 512), LIF(learnable="tau")))
x = torch.rand(20, 32, 64)
seen = [threads()]
(x.flatten(0, 1) @ x.flatten(0, 1).T).sum()  # torch's own pool
seen.append(threads())
for _ in range(3):
    net(x).sum().backward()
    seen.append(threads())
print(json.dumps({"seen": seen, "torch": torch.get_num_threads(), "numba": numba.get_num_threads()}))
"""


def _run(torch_threads, numba_threads):
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(numba_threads)}
    command = [sys.executable, "-c", textwrap.dedent(RUN), str(torch_threads)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.skipif(not TASKS.exists(), reason="counts threads in /proc")
def test_one_thread_of_torch_means_one_thread_for_kernels():
    found = _run(torch_threads=1, numba_threads=4)
    assert found["torch"] == 1
    # Autograd's own worker for the backward is torch's; a kernel adds none.
    assert found["seen"][-1] <= found["seen"][1] + 1


@pytest.mark.skipif(not TASKS.exists(), reason="counts threads in /proc")
def test_kernels_use_no_more_threads_than_torch():
    found = _run(torch_threads=2, numba_threads=8)
    assert found["torch"] == 2 and found["numba"] <= 2
    assert found["seen"][-1] == found["seen"][2]  # no call leaves threads behind
    assert found["seen"][-1] <= found["seen"][1] + 2
