"""A report as the text of a file, by the ending of its name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from spikesim.energy.html import html
from spikesim.energy.written import comma_separated, latex, markdown
from spikesim.errors import ConfigError

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport


def text_of(report: EnergyReport, path: str | os.PathLike[str]) -> str:
    """The content of a file of that name.

    Args:
        report: a network beside its baselines.
        path: ends in ``.json``, ``.html``, ``.csv``, ``.tex`` or ``.md``.

    Raises:
        ConfigError: another ending.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise ConfigError(
            f"{os.fspath(path)}: the ending {ending!r} names no format; a report is written as {', '.join(FORMATS)}"
        )
    return FORMATS[ending](report)


def _json(report: EnergyReport) -> str:
    return json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[EnergyReport], str]] = {
    ".json": _json,
    ".html": html,
    ".csv": comma_separated,
    ".tex": latex,
    ".md": markdown,
}
