"""``spikesim surrogates``: list the surrogate gradients, or draw them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikesim.errors import ConfigError

POINTS = 1201  # odd, so that u = 0 is one of them
NARROWEST, WIDEST = 1e-6, 1e6

app = typer.Typer(
    help="List the surrogate gradients, or draw them.",
    epilog="Example: spikesim surrogates plot ATan Triangle",
    no_args_is_help=True,
)


@app.command("list")
def list_() -> None:
    """Show every surrogate with its equation, parameters and source.

    Example: spikesim surrogates list
    """
    from rich.console import Console
    from rich.table import Table

    from spikesim.dynamics.surrogates import CATALOGUE, Description, describe

    table = Table(caption="u is the potential minus the threshold")
    for column in Description._fields:
        table.add_column(column, no_wrap=column == "name")
    for kind in CATALOGUE.values():
        table.add_row(*describe(kind))
    Console().print(table)


@app.command()
def plot(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAMES", help="Each NAME or NAME:parameter=value,...; all by default.", show_default=False
        ),
    ] = None,
    output: Annotated[Path, typer.Option(metavar="FILE.png", help="Picture to write.")] = Path("surrogates.png"),
    span: Annotated[float, typer.Option("--range", help="Draw from minus to plus so much around the threshold.")] = 2.0,
) -> None:
    """Draw derivative and primitive of surrogates into one PNG file.

    Example: spikesim surrogates plot ATan:alpha=4 Triangle --output mine.png
    """
    import torch
    from rich.console import Console

    from spikesim.dynamics.surrogates import CATALOGUE, by_name
    from spikesim.viz import png_bytes, surrogate_curves, write_bytes

    if output.suffix.lower() != ".png":
        raise ConfigError(f"--output: given '{output}', expected a name that ends in .png")
    if not NARROWEST <= span <= WIDEST:
        raise ConfigError(f"--range: given {span:g}, expected a number from {NARROWEST:g} to {WIDEST:g}")
    chosen = {str(s): s for s in map(by_name, names or CATALOGUE)}
    u = torch.linspace(-span, span, POINTS, dtype=torch.float64)
    flat = torch.ones_like(u)  # a surrogate may be constant
    figure = surrogate_curves(
        u.tolist(),
        {name: (s.derivative(u) * flat).tolist() for name, s in chosen.items()},
        {name: s.primitive(u).tolist() for name, s in chosen.items()},
    )
    write_bytes(output, png_bytes(figure))
    count = "1 surrogate" if len(chosen) == 1 else f"{len(chosen)} surrogates"
    Console(highlight=False, soft_wrap=True).print(f"{count} drawn in {output}", markup=False)
