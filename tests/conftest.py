import os

# Tests run side by side: threads of several processes on the same cores spend most of their time waiting for each
# other. Tests of threads ask for them by themselves.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

# The gate tries the same examples every time; elsewhere each run looks for new ones.
# A first call may compile a kernel, so no example has a deadline.
settings.register_profile("anew", deadline=None)
settings.register_profile("gate", derandomize=True, deadline=None)
settings.load_profile("gate" if os.environ.get("CI") else "anew")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def reference_path(monkeypatch):
    """Run the equations on tensors instead of the compiled kernels."""
    monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
