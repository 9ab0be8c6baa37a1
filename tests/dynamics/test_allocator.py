"""The allocator's settings: page faults are counted, in processes of their own; nothing is timed."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from spikesim import allocator

glibc_only = pytest.mark.skipif(allocator._refusal() is not None, reason=f"left alone here: {allocator._refusal()}")

STEPS = """
import resource, torch

def faults_per_step(size=9_600_000):
    x = torch.randn(size)  # 38 MB: above any threshold that glibc adapts to
    counts = []
    for _ in range(10):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        leaf = x.detach().requires_grad_()
        leaf.square().relu().sum().backward()
        del leaf
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    # The quietest step: now and then glibc puts a small block into a gap that a large one had left.
    return min(counts[6:])
"""


def _python(code, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in (allocator.SWITCH, allocator.HUGE_PAGES)}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.fixture
def untuned(monkeypatch):
    monkeypatch.setattr(allocator, "_tuned", None)
    monkeypatch.delenv(allocator.SWITCH, raising=False)


@glibc_only
def test_a_tuned_process_steps_without_page_faults_until_restored():
    code = f"""{STEPS}
from spikesim.allocator import restore_allocator, tune_allocator
before = faults_per_step()
assert tune_allocator().applied
tuned = faults_per_step()
assert restore_allocator()
print(before, tuned, faults_per_step(40_000_000))"""
    before, tuned, restored = map(float, _python(code))
    assert before > 50  # three tensors of 38 MB, even in pages of 2 MiB
    assert tuned < 5
    assert restored > 50  # larger ones, as gaps between the blocks of before are filled first


@glibc_only
def test_the_switch_leaves_the_faults():
    code = f"""{STEPS}
import spikesim
print(spikesim.tune_allocator().applied, faults_per_step())"""
    applied, faults = _python(code, **{allocator.SWITCH: "0"})
    assert applied == "False"
    assert float(faults) > 50


@glibc_only
def test_memory_is_handed_back():
    code = """
    import resource, torch
    from spikesim.allocator import release_memory, tune_allocator
    def resident(): return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20
    tune_allocator()
    base = resident()
    many = [torch.ones(10_000_000) for _ in range(8)]
    many.clear()
    kept = resident() - base
    release_memory()
    print(kept, resident() - base)
    """
    kept, left = map(int, _python(code))
    assert kept > 290  # of 305 MiB
    assert left < 60


POOLED = """
import resource, statistics, torch
from spikesim.neurons import LIF
neuron, x = LIF(), torch.randn(16, 1, 600_000)
counts = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with torch.no_grad():
        neuron(x)
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
from spikesim.allocator import allocator_state, release_memory
free = allocator_state()["pool"]["free"]
release_memory()
print(statistics.median(counts[4:]), free, allocator_state()["pool"]["free"])
"""


def test_kernel_outputs_cause_no_page_faults_without_any_setting():
    faults, free, after = map(float, _python(POOLED))
    assert faults < 5
    assert free >= 16 * 600_000 * 4 and after == 0
    faults, free, _ = map(float, _python(POOLED, **{allocator.SWITCH: "0"}))
    assert faults > 15 and free == 0


@pytest.mark.skipif(allocator.huge_page_mode() != "madvise", reason="huge pages are not granted on request")
def test_huge_pages_are_asked_for_before_torch_is_imported():
    code = """
    from spikesim.allocator import request_huge_pages
    applied = request_huge_pages().applied
    import resource, torch
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16_000_000)
    print(applied, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    applied, huge = _python(code)
    refused, small = _python(code, **{allocator.SWITCH: "0"})
    assert (applied, refused) == ("True", "False")
    assert int(small) > 15_000  # 64 MB in pages of 4 KiB
    assert int(huge) < int(small) / 4


@pytest.mark.skipif(allocator.huge_page_mode() not in ("madvise", "always"), reason="no huge pages here")
def test_the_command_asks_for_huge_pages():
    code = """
    import os, sys
    from spikesim.cli import main
    try:
        main(["--help"])
    except SystemExit:
        print(os.environ.get("THP_MEM_ALLOC_ENABLE"))
    """
    assert _python(code)[-1] == "1"
    assert _python(code, **{allocator.SWITCH: "0"})[-1] == "None"
    assert _python(code, **{allocator.HUGE_PAGES: "0"})[-1] == "0"


class _Refuses:
    """A C library that must not be touched."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was called")


@pytest.mark.parametrize(
    ("version", "malloc", "said"),
    [(None, None, "not glibc"), ("2.36", "/opt/lib/libjemalloc.so.2", "libjemalloc.so.2")],
)
def test_another_allocator_is_left_alone(untuned, monkeypatch, version, malloc, said):
    monkeypatch.setattr(allocator, "glibc_version", lambda: version)
    monkeypatch.setattr(allocator, "malloc_library", lambda: malloc)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda *_: _Refuses())
    tuning = allocator.tune_allocator()
    assert not tuning.applied and said in tuning.reason and tuning.settings == {}
    assert said in allocator.allocator_state()["refusal"]
    assert not allocator.restore_allocator()
    if version is None:
        assert not allocator.release_memory()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_MMAP_THRESHOLD_", "1000000"),
        ("MALLOC_TRIM_THRESHOLD_", "-1"),
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
        (allocator.SWITCH, "0"),
    ],
)
def test_what_the_user_has_set_stays(untuned, monkeypatch, name, value):
    monkeypatch.setattr(allocator, "glibc_version", lambda: "2.36")
    monkeypatch.setattr(allocator, "malloc_library", lambda: "/lib/libc.so.6")
    monkeypatch.setenv(name, value)
    tuning = allocator.tune_allocator()
    assert not tuning.applied and name in tuning.reason
    assert allocator.allocator_state()["environment"][name] == value


class _Library:
    """A C library that refuses some settings."""

    def __init__(self, refused):
        self.refused, self.calls = refused, []

    def mallopt(self, parameter, value):
        self.calls.append((parameter, value))
        return int(parameter not in self.refused)


def _with_library(monkeypatch, library):
    monkeypatch.setattr(allocator, "_refusal", lambda: None)
    monkeypatch.setattr(allocator, "glibc_version", lambda: "2.31")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda *_: library)


def test_an_old_glibc_that_refuses_the_threshold_maps_nothing_instead(untuned, monkeypatch):
    library = _Library(refused=(allocator._MMAP_THRESHOLD,))
    _with_library(monkeypatch, library)
    first = allocator.tune_allocator()
    assert first.applied and first.settings == {"M_MMAP_MAX": 0, "M_TRIM_THRESHOLD": -1}
    count = len(library.calls)
    assert allocator.tune_allocator() is first and len(library.calls) == count


def test_a_library_that_refuses_everything_is_reported(untuned, monkeypatch):
    refused = (allocator._MMAP_THRESHOLD, allocator._MMAP_MAX, allocator._TRIM_THRESHOLD)
    _with_library(monkeypatch, _Library(refused))
    tuning = allocator.tune_allocator()
    assert not tuning.applied and "2.31" in tuning.reason


def test_the_state_is_plain_values():
    state = allocator.allocator_state()
    assert json.loads(json.dumps(state)) == state
    assert state["huge_pages"] in ("always", "madvise", "never", None)
    if sys.platform == "linux" and state["glibc"]:
        assert state["glibc"].count(".") == 1 and state["malloc"]
