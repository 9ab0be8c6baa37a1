"""The GPU check runs to its end without a GPU: correctness in the simulator, everything else skipped by name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_check.py"


def _run(*arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "MALLOC_"))}
    return subprocess.run([sys.executable, SCRIPT, *arguments], env=environment, capture_output=True, text=True)


def test_simulated(tmp_path):
    run = _run("--simulate", "--neurons", "LIF,EscapeLIF", "--out", str(tmp_path))
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    found = json.loads((tmp_path / "gpu-simulated.json").read_text())
    assert found["machine"]["gpu"]["name"] == "Numba's CUDA simulator"
    sections = found["groups"]
    assert sections["correctness"]["failed"] == {}
    assert sections["correctness"]["checked"] == sections["correctness"]["combinations"] > 15
    assert set(sections["correctness"]["cases"]["neuron"]) == {"LIF", "EscapeLIF"}
    timed = {"graphs", "memory", "bandwidth", "variants", "overhead", "peers"}
    assert {k for k, v in sections.items() if v.get("skipped") == "needs a GPU"} == timed


def test_one_section_keeps_the_others(tmp_path):
    (tmp_path / "gpu-mine.json").write_text(json.dumps({"groups": {"bandwidth": {"rows": 1}}}))
    run = _run("--simulate", "--only", "overhead", "--name", "mine", "--out", str(tmp_path))
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads((tmp_path / "gpu-mine.json").read_text())["groups"]
    assert found["bandwidth"] == {"rows": 1}
    assert found["overhead"]["skipped"] == "needs a GPU"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_what_can_be_done():
    run = _run()
    assert run.returncode == 2
    assert "--simulate" in run.stderr


def test_an_unknown_section_is_refused():
    run = _run("--only", "speed")
    assert run.returncode == 2
    assert "no section speed; there are correctness, graphs" in run.stderr
