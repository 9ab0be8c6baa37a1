"""``spikesim energy``: what a network would use per inference, beside its baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.cli.default_command import DEFAULT, WithDefault
from spikesim.cli.energy_diff import diff
from spikesim.cli.model import InputShape, JsonPath, ModelName, Settings, Weights
from spikesim.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn


app = typer.Typer(cls=WithDefault, help="Energy per layer, beside ANNs; and the difference of two reports.")


@app.command(DEFAULT)
def energy(
    model: ModelName,
    weights: Weights = None,
    settings: Settings = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Inputs: .npz, .npy or .safetensors with the array x.")
    ] = None,
    input_shape: InputShape = None,
    recordings: Annotated[
        Path | None, typer.Option(help="Inputs: the test recordings of a folder, for an event network.")
    ] = None,
    timesteps: Annotated[
        int | None,
        typer.Option(
            help="T. With recordings, or for a spiking network and a shape: frames of each input (default 10). "
            "With an ANN: convert it first, for so many steps.",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Use at most so many inputs (default 64; 8 random ones).", show_default=False),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--input",
            help="What the array x holds: analog values (analog_once: charged at the first step only; "
            "analog_each_step: at every step), or events (whole counts).",
        ),
    ] = "analog",
    ann: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="For a spiking network: the ANN to compare with, such as its source."),
    ] = None,
    ann_weights: Annotated[Path | None, typer.Option(help="Weights of that ANN, as for --weights.")] = None,
    ann_settings: Annotated[
        list[str] | None, typer.Option("--ann-set", metavar="NAME=VALUE", help="An argument for its factory.")
    ] = None,
    fold: Annotated[
        bool, typer.Option("--fold/--no-fold", help="Count batch-norm as part of the weights before it.")
    ] = True,
    profile: Annotated[str, typer.Option(help="Hardware profile: a name or a TOML file.")] = "horowitz45-fp32",
    connections: Annotated[
        str, typer.Option(help="Weights that count: all, or nonzero, for hardware that stores pruned ones sparsely.")
    ] = "all",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse operations without a price.")] = False,
    memory: Annotated[
        str | None, typer.Option(help="Charge traffic of weights and potentials to this memory of the profile.")
    ] = None,
    latency: Annotated[
        float | None, typer.Option(help="Seconds per inference, for the static power of the profile.")
    ] = None,
    json_path: JsonPath = None,
    html_path: Annotated[
        Path | None, typer.Option("--html", metavar="PATH", help="Write one page with charts and every profile.")
    ] = None,
    latex_path: Annotated[Path | None, typer.Option("--latex", metavar="PATH", help="Write tables for LaTeX.")] = None,
    markdown_path: Annotated[
        Path | None, typer.Option("--markdown", metavar="PATH", help="Write tables in Markdown.")
    ] = None,
    csv_path: Annotated[Path | None, typer.Option("--csv", metavar="PATH", help="Write the layers as CSV.")] = None,
) -> None:
    """Count operations per layer and price them, beside a dense, a zero-skipping and a capacity-matched ANN.

    Energies are joules per inference. A spiking network takes inputs [T, N, ...] (or [N, ...] with an
    encoder), one of snnTorch [T, N, ...], an ANN [N, ...]; with --timesteps an ANN is converted and set beside
    itself. Two reports that --json wrote are compared by: spikesim energy diff A.json B.json

    Example: spikesim energy conv_snn --weights runs/nmnist/checkpoints/best.ckpt --recordings NMNIST
    """
    from spikesim.cli.energy_baseline import source_ann, without_norms
    from spikesim.cli.energy_inputs import energy_inputs
    from spikesim.cli.model import check_takes, fitting, load_model, of_snntorch
    from spikesim.energy import Included, energy_report
    from spikesim.energy.formats import FORMATS
    from spikesim.nn import Network
    from spikesim.viz import check_writable, write_text

    wanted = {".json": json_path, ".html": html_path, ".tex": latex_path, ".md": markdown_path, ".csv": csv_path}
    _one_of("--input", kind, ("analog", "analog_once", "analog_each_step", "events"))
    _one_of("--connections", connections, ("all", "nonzero"))
    for path in wanted.values():
        if path is not None:
            check_writable(path)  # before minutes of counting are lost
    loaded = of_snntorch(load_model(model, weights, settings))
    x, kind, source = energy_inputs(loaded, calibration, input_shape, recordings, timesteps, samples, kind)
    x = fitting(loaded, x)
    check_takes(loaded, x, source)
    include = Included(weights=memory, potentials=memory, latency=latency)
    options: dict[str, Any] = {"input": kind, "profile": profile, "source": source, "include": include}
    options |= {"connections": connections, "strict": strict}
    if ann is not None:
        options |= source_ann(loaded, x, ann, ann_weights, ann_settings, fold)
    elif ann_weights is not None or ann_settings:
        raise ConfigError("--ann-weights and --ann-set are for the model that --ann names; give --ann too")
    if timesteps is not None and not isinstance(loaded, Network):
        from spikesim.converters import convert

        options |= {"ann": without_norms(loaded, x) if fold else loaded, "ann_name": f"source ANN {model}"}
        counted: nn.Module = convert(loaded, x, timesteps=timesteps).network
    else:
        counted = without_norms(loaded, x) if fold else loaded
    report = energy_report(counted, x, **options)
    report.show()
    for form, path in wanted.items():
        if path is not None:
            write_text(path, FORMATS[form](report))


def _one_of(option: str, given: str, expected: tuple[str, ...]) -> None:
    if given not in expected:
        raise ConfigError(f"{option}: given '{given}', expected {', '.join(expected[:-1])} or {expected[-1]}")


app.command("diff")(diff)
