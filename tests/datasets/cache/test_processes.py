"""Many processes on one cold cache, some of them killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import spikesim

RACE = Path(__file__).parents[2] / "oracles" / "cache_race.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("how", ["locks", "no locks"])
def test_eight_processes_and_two_of_them_killed(tmp_path, how):
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(spikesim.__file__).parents[1]), *sys.path])}
    done = subprocess.run(
        [sys.executable, str(RACE), str(tmp_path), "3", how], capture_output=True, text=True, env=where
    )
    assert done.returncode == 0, done.stderr
    rounds = json.loads(done.stdout.splitlines()[-1])
    assert len(rounds) == 3
    for seen in rounds:
        assert seen["errors"] == 0 and seen["partial"] == 0 and seen["damage"] == [], done.stderr
        assert seen["done"] >= 6 and seen["entries"] == 2
        if how == "locks":
            assert seen["left"] == 0
            assert 40 <= seen["read"] <= 3 * 40  # one fills, and another one after each that was killed
    assert sum(seen["opened"] for seen in rounds) > 0
