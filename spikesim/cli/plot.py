"""``spikesim plot``: draw the pictures of a run again, from its files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of spikesim train.")],
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the pictures; that of the run by default.")
    ] = None,
) -> None:
    """Draw the curves of a run again from its metrics.csv, also while it is under way.

    Of a finished run the confusions, rates and the accuracy at every t are drawn again, too. Recordings and weights are
    not needed.

    Example: spikesim plot runs/nmnist --output pictures
    """
    from spikesim.training import redraw

    for path in redraw(run, output):
        typer.echo(path)
