import os

import pytest
import torch
from hypothesis import settings

# The gate tries the same examples every time; elsewhere each run looks for new ones.
settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("gate")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def reference_path(monkeypatch):
    """Run the equations on tensors instead of the compiled kernels."""
    monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
