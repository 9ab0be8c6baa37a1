"""``spikesim energy diff``: what changed between two reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikesim.cli.model import JsonPath


def diff(
    a: Annotated[Path, typer.Argument(metavar="A.json", help="A report written by spikesim energy --json.")],
    b: Annotated[Path, typer.Argument(metavar="B.json", help="Another one.")],
    json_path: JsonPath = None,
) -> None:
    """Show what changed between two energy reports: layers, counts, prices, options and conventions.

    A change of energy is told apart into what other counts make (at the prices of B) and what other prices make (at
    the counts of A). Files that were edited, or are no reports of this schema, are refused.

    Example: spikesim energy diff before.json after.json
    """
    import json

    from spikesim.energy import energy_diff
    from spikesim.viz import write_text

    found = energy_diff(a, b)
    found.show()
    if json_path is not None:
        write_text(json_path, json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n")
