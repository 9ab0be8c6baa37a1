"""CUDA kernels without a GPU: the files of ``in_simulator`` run under Numba's CUDA simulator, in their own process.

The simulator is chosen when Numba is imported, so it cannot share a process with the other tests.
``SPIKESIM_SIMULATE_ALL=1`` adds every neuron x surrogate x dtype.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FILES = sorted((HERE / "in_simulator").glob("*.py"))


def test_in_simulator(tmp_path):
    environment = os.environ | {
        "NUMBA_ENABLE_CUDASIM": "1",
        "SPIKESIM_SIMULATE_CUDA": "1",
        "SPIKESIM_CACHE_DIR": str(tmp_path),
    }
    # A worker of pytest-xdist must not pass its role on.
    environment = {k: v for k, v in environment.items() if not k.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-rfE", "--tb=short", "-v", *FILES]
    run = subprocess.run(command, cwd=HERE.parents[1], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", run.stdout).group(1)) > 100
