"""``spikesim datasets``: look at a folder of recordings, or generate one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikesim.cli import datasets_cache, datasets_catalog, datasets_info

app = typer.Typer(
    help="Look at event recordings, or generate them.",
    epilog="Example: spikesim datasets ndigits data/ndigits",
    no_args_is_help=True,
)
app.command("info")(datasets_info.info)
datasets_catalog.register(app)
datasets_cache.register(app)


@app.command()
def ndigits(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    samples: Annotated[int | None, typer.Option(help="Only the first so many digits.", show_default="all 1797")] = None,
    seed: Annotated[int, typer.Option(help="Seed of thresholds, noise and split.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace other N-Digits in OUT.")] = False,
) -> None:
    """Generate N-Digits: scikit-learn's handwritten digits as event recordings, without a download.

    Each is 34x34 pixels and 300 ms long, in N-MNIST's own files and folders.

    Example: spikesim datasets ndigits data/ndigits
    """
    from rich.console import Console

    from spikesim.datasets import generate_ndigits, load_nmnist

    root = generate_ndigits(out, samples=samples, seed=seed, overwrite=overwrite)
    parts = load_nmnist(root)
    Console(highlight=False, soft_wrap=True).print(
        f"{len(parts.train)} training and {len(parts.test)} test recordings in {root}", markup=False
    )
