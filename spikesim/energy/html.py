"""A report as one HTML page that opens without a network: data, style and scripts in one file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from spikesim.energy.page_data import page_data
from spikesim.errors import ConfigError

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

_SCRIPTS = ("pricing.js", "numbers.js", "charts.js", "table.js", "report.js")


def html(report: EnergyReport, accuracies: Sequence[float] | None = None) -> str:
    """One page: figures first, then charts, layers, every profile that may be applied, conventions and citations.

    The page holds the integer counts and the profiles' constants and prices them itself; it loads nothing.

    Args:
        report: a network beside its baselines.
        accuracies: accuracy after every time step, as fractions of 1, ``[T]``.

    Raises:
        ConfigError: another number of accuracies than steps, or one outside 0 to 1.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> from spikesim.energy.html import html
        >>> page = html(energy_report(torch.nn.Linear(10, 5), torch.ones(2, 10), input="analog"))
        >>> page[:15], "http-equiv" in page
        ('<!doctype html>', True)
    """
    if accuracies is not None:
        steps = report.ledger.timesteps
        if len(accuracies) != steps:
            raise ConfigError(f"there are {len(accuracies)} accuracies, but T = {steps}: give one for every time step")
        if not all(math.isfinite(a) and 0 <= a <= 1 for a in accuracies):
            raise ConfigError(f"accuracies are {list(accuracies)!r}, but they must be fractions of 1")
    folder = resources.files("spikesim.energy.page")

    def part(name: str) -> str:
        return folder.joinpath(name).read_text("utf-8")

    scripts = "\n".join(part(name) for name in _SCRIPTS)
    parts = {
        "STYLE": part("style.css"),
        "VERDICT": escape(report.verdict),
        "DATA": embedded(page_data(report, accuracies)),
        "SCRIPTS": f'"use strict";\n{scripts}',
    }
    # One pass: what was put in is not searched again.
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found[1]], part("template.html"))


def embedded(content: object) -> str:
    r"""JSON for a script element: nothing in it ends the element or begins a comment.

    Example:
        >>> from spikesim.energy.html import embedded
        >>> print(embedded({"name": "</script><b>"}))
        {"name": "\u003c/script\u003e\u003cb\u003e"}
    """
    text = json.dumps(content, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
