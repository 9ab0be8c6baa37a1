"""The Typer application: the subcommands, and the options that stand before them."""

from __future__ import annotations

from typing import Annotated

import typer

from spikesim.cli import (
    audit,
    compare,
    convert,
    datasets,
    demo,
    doctor,
    energy,
    evaluate,
    plot,
    predict,
    simulate,
    surrogates,
    sweep,
    train,
)

app = typer.Typer(
    name="spikesim",
    help="Convert, train and cost spiking neural networks.",
    epilog="Example: spikesim demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"spikesim {version('spikesim')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop."),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show the traceback of an error; may stand after the subcommand too."),
    ] = False,
) -> None:
    """Convert, train and cost spiking neural networks."""


app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("sweep")(sweep.sweep)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("plot")(plot.plot)
app.command("convert")(convert.convert)
app.command("compare")(compare.compare)
app.command("audit")(audit.audit)
app.command("doctor")(doctor.doctor)
app.command("simulate")(simulate.simulate)
app.add_typer(energy.app, name="energy")
app.add_typer(datasets.app, name="datasets")
app.add_typer(surrogates.app, name="surrogates")
