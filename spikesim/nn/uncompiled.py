"""Run a call as plain Python although its caller is being compiled.

A module of its own, because marking a function so imports torch's compiler, which takes longer than torch itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


@torch.compiler.disable
def recorded_networks_run_uncompiled(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``function``; the name is what torch.compile reports under ``fullgraph=True``."""
    return function(*arguments)
