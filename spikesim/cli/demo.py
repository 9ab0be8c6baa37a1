"""``spikesim demo``: the whole chain on data that needs no download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder that receives the summary, weights and recordings.")] = Path(
        "spikesim-demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the data and of the training: shows the way, not the accuracy.")
    ] = False,
) -> None:
    """Convert, train and cost two networks; about two minutes on two CPU cores, no network needed.

    Part 1 trains a small CNN on scikit-learn's handwritten digits, audits it, converts it, and shows its
    accuracy against the number of time steps T. Part 2 generates event recordings of the digits and trains
    a convolutional spiking network on them. Both are set beside ANNs by energy.

    Example: spikesim demo --out my-demo --seed 1
    """
    from rich.console import Console

    from spikesim.cli.demo_digits import run_digits
    from spikesim.cli.demo_events import run_events
    from spikesim.cli.demo_summary import show, write

    console = Console(soft_wrap=False, highlight=False)
    try:
        digits = run_digits(seed, quick, console)
        events = run_events(out / "ndigits", seed, quick, console)
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; no summary was written.", highlight=False)
        raise typer.Exit(130) from None
    show(digits, events, console)
    paths = write(out, digits, events, seed, quick)
    console.print("\nWritten:", *(f"  {path}" for path in paths), sep="\n", markup=False, soft_wrap=True)
