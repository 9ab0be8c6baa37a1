"""A process in which kernels check every index."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_checked(script: str, folder: Path) -> str:
    """Run a script with Numba's bounds check, in ``folder`` and with a cache of its own; gives what it printed.

    Without another cache a kernel that was compiled without the check would be taken. Nothing is optimised, which
    compiles in half the time.
    """
    tests = Path(__file__).resolve().parents[1]
    environment = os.environ | {
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_OPT": "0",
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([str(tests), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert any((folder / "cache").rglob("*.nbc")), "no kernel was compiled with the check"
    return done.stdout
