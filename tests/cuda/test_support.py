"""Where there is no CUDA toolchain: the reference path, one warning that says what to install."""

import importlib.util
import warnings

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from spikesim.dynamics import cuda_support
from spikesim.dynamics.rows import has_kernel


@pytest.fixture
def not_installed(monkeypatch):
    """As on a machine without numba-cuda, and nothing said yet."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "numba_cuda" else find(name, *a))
    for remembered in (cuda_support.why_not, cuda_support._warn):
        remembered.cache_clear()
    yield
    for remembered in (cuda_support.why_not, cuda_support._warn):
        remembered.cache_clear()


def _on_gpu():
    with FakeTensorMode(allow_non_fake_inputs=True):
        return torch.empty(2, 3, device="cuda")


def test_without_numba_cuda_one_warning_names_the_remedy(not_installed):
    x = _on_gpu()
    with pytest.warns(RuntimeWarning, match=r"slow reference path.*pip install spikesim\[cuda\]"):
        assert not has_kernel(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not has_kernel(x)


def test_a_toolchain_that_fails_is_named(not_installed, monkeypatch):
    from numba import cuda

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: object())
    monkeypatch.setattr(cuda, "is_available", lambda: True)

    def failing(signature):
        raise RuntimeError("Unsupported .version 9.4\nand more")

    monkeypatch.setattr(cuda, "jit", failing)
    assert "RuntimeError: Unsupported .version 9.4);" in (cuda_support.why_not() or "")
    assert "nvidia-nvvm==13.0" in (cuda_support.why_not() or "")


def test_switched_off_means_no_question(not_installed, monkeypatch):
    monkeypatch.setenv("SPIKESIM_DISABLE_JIT", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not has_kernel(_on_gpu())


def test_the_cpu_is_not_asked_about_cuda(not_installed):
    assert has_kernel(torch.zeros(2, 3))
    assert not has_kernel(torch.zeros(2, 3, device="meta"))
