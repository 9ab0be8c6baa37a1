import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def reference_path(monkeypatch):
    """Run the equations on tensors instead of the compiled kernels."""
    monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
