"""``spikesim convert``: a trained ANN to a spiking network, with the proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.cli.model import AllowAnalog, JsonPath, ModelName, Settings, Weights
from spikesim.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from spikesim.converters import ConversionReport

PROFILE = "horowitz45-fp32"


def convert(
    model: ModelName,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Typical inputs: .npz, .npy or .safetensors with the array x, or one array by name for each input; "
            "labels y if any. An ANN needs them; a snnTorch network is compared on them, [T, N, ...].",
            show_default=False,
        ),
    ] = None,
    weights: Weights = None,
    settings: Settings = None,
    timesteps: Annotated[int, typer.Option(help="Time steps T that the thresholds are made for.")] = 32,
    neuron: Annotated[
        str | None,
        typer.Option(
            help="What stands for a ReLU: if, signed_if, st_bif, burst(5), group(4), multi_threshold(4), "
            "parallel, srp(4), cos(4) or differential(4). "
            "if by default, st_bif with --exact."
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Run until nothing moves, and certify the outputs against the quantised ANN."),
    ] = False,
    threshold: Annotated[
        str, typer.Option(help="Rule: mse, lloyd, gaussian, ltb, max, or percentile(p) such as percentile(99.9).")
    ] = "mse",
    granularity: Annotated[str, typer.Option(help="One threshold per channel or per layer.")] = "channel",
    calibrate: Annotated[
        str, typer.Option(help="Stages without labels, in this order: weights, scale, bias, potential; or none.")
    ] = "bias",
    samples: Annotated[int, typer.Option(min=1, help="At most so many inputs for the stages of --calibrate.")] = 256,
    allow_analog: AllowAnalog = None,
    readout: Annotated[
        str,
        typer.Option(help="membrane (mean current), count (of spikes), delayed, or delayed(k): k steps before the T."),
    ] = "membrane",
    evaluate: Annotated[
        Path | None, typer.Option(help="Labelled data to measure accuracy on, with the arrays x and y.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Hardware profile for the energy: a name or a TOML file.")] = PROFILE,
    agreement: Annotated[
        float | None,
        typer.Option(
            "--early-exit",
            metavar="SHARE",
            help="Let samples stop early, at margins at which so many (0.99) decide as after all T. The margins go "
            "into exit.json of --output.",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw accuracy against t and energy (.png, .svg, .pdf); needs --evaluate.")
    ] = None,
    json_path: JsonPath = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the network and its report; energy takes the folder as its MODEL.")
    ] = None,
    nir: Annotated[
        Path | None, typer.Option(metavar="FILE.nir", help="Write the network as a NIR graph, which energy reads too.")
    ] = None,
    dt: Annotated[float, typer.Option(help="Seconds per time step, for --nir.")] = 1e-3,
) -> None:
    """Convert a trained ANN, or take over a network of snnTorch, to a spiking network.

    Shows the spiking layers, what is left of the ANN's nonlinearities (functions of transformers on
    running means, and what --allow-analog names; else the conversion is refused), the error of every
    layer and, with labels, accuracy, spikes and energy after 1, 2, 4, ... time steps. A snnTorch
    network is taken over neuron by neuron and compared with itself, step by step.

    Example: spikesim convert my_model:build --weights w.safetensors --calibration train.npz --timesteps 16
    """
    from rich.console import Console

    from spikesim.cli.model import check_takes, fitting, load_model, of_snntorch, read_inputs
    from spikesim.cli.takeover import refuse_unused, take_over, write_nir
    from spikesim.cli.watching import watching
    from spikesim.converters import convert as convert_model
    from spikesim.converters import early_exit, measure_early
    from spikesim.energy import format_energy
    from spikesim.nn import Network

    if agreement is not None and exact:
        raise ConfigError("--early-exit stops before T, and --exact goes on after it: leave out one of them")
    if plot is not None and evaluate is None:
        raise ConfigError("--plot draws accuracy; give labelled data with --evaluate")
    if nir is not None and exact:
        raise ConfigError("--exact runs until nothing moves, which NIR cannot say: leave out --nir or --exact")
    for written, endings in ((plot, (".png", ".svg", ".pdf")), (json_path, (".json",)), (nir, (".nir",))):
        check_place(written, endings)
    ann = load_model(model, weights, settings)
    network = of_snntorch(ann)
    if isinstance(network, Network):
        refuse_unused(
            output=output, evaluate=evaluate, exact=exact, neuron=neuron, early_exit=agreement, json=json_path
        )
        return take_over(model, ann, network, calibration, nir, dt)
    if calibration is None:
        raise ConfigError("give typical inputs with --calibration FILE; thresholds are found on them")
    inputs = fitting(ann, read_inputs(ann, calibration).x)
    check_takes(ann, inputs, str(calibration))
    if nir is not None and isinstance(inputs, dict):
        raise ConfigError(f"a NIR graph has one input, and the model takes {', '.join(inputs)}: leave out --nir")
    data = None if evaluate is None else labelled(evaluate, ann)
    if data is not None:
        check_takes(ann, data[0], str(evaluate))
    with watching() as bars:
        converted = convert_model(
            ann,
            bars.batches(inputs, "calibrating", "thresholds, biases, checks"),
            timesteps=timesteps,
            neuron=neuron,
            exact=exact,
            threshold=threshold,
            granularity=granularity,  # type: ignore[arg-type]  # the converter names a wrong one
            calibrate=calibrate,
            samples=samples,
            allow_analog=allow_analog or (),
            readout=readout,
            evaluate=None if data is None else bars.pairs(*data, "evaluating"),
            profile=profile,
        )
        quick = None if agreement is None else early_exit(converted.network, inputs, agreement)
        stopped = None
        if quick is not None and data is not None:
            stopped = measure_early(quick, bars.pairs(*data, "evaluating early exits"), profile=profile)
    Console().print(converted.report)
    say = Console(soft_wrap=True, highlight=False, markup=False).print
    if stopped is not None and stopped.energy is not None:
        say(
            f"Early exit: accuracy {stopped.accuracy:.2%} after {stopped.steps:.1f} of "
            f"{converted.report.latency.steps} steps on average, {stopped.spikes:,.0f} spikes and "
            f"{format_energy(stopped.energy)} per sample."
        )
    if output is not None:
        converted.save(output)
        if quick is not None:
            quick.save(output / "exit.json")
        say(f"written to {output}")
    if nir is not None:
        write_nir(converted.network, nir, tuple(inputs.shape[1:]) if hasattr(inputs, "shape") else None, dt)
    if json_path is not None:
        converted.report.save(json_path)
    if plot is not None:
        draw(converted.report, plot)
        say(f"written to {plot}")
    return None


def draw(report: ConversionReport, path: Path) -> None:
    """Accuracy against t and against energy, from the run of a report."""
    import io

    from spikesim.viz import accuracy_over_time, energy_accuracy, write_bytes
    from spikesim.viz.canvas import canvas

    found = report.accuracy
    if found is None or found.expense is None or found.ann is None or found.expense.ann is None:
        raise ConfigError("there is nothing to draw; give labelled data with --evaluate")
    figure, (left, right) = canvas(2)
    steps = list(range(1, report.timesteps + 1))
    shown = [t for t in steps if t & (t - 1) == 0 or t == report.timesteps]
    name = f"{report.neuron}, {report.readout}"
    accuracy_over_time(shown, {name: [found.snn[t - 1] for t in shown]}, {"ANN": found.ann}, left)
    points = [(found.expense.energy[t - 1], found.snn[t - 1]) for t in shown]
    energy_accuracy({name: points}, {"ANN": (found.expense.ann, found.ann)}, right, shown)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=120)
    write_bytes(path, content.getvalue())


def check_place(path: Path | None, endings: tuple[str, ...]) -> None:
    """Refuse a file of another kind before the work, not after it."""
    if path is not None and path.suffix.lower() not in endings:
        raise ConfigError(f"{path}: the ending is '{path.suffix}', expected {' or '.join(endings)}")


def labelled(path: Path, model: nn.Module) -> tuple[Any, Any]:
    """Inputs for a model and labels of a file."""
    from spikesim.cli.model import fitting, read_inputs

    arrays = read_inputs(model, path)
    if arrays.y is None:
        raise ConfigError(f"{path} holds no labels; --evaluate needs the inputs and, as y, their labels")
    return fitting(model, arrays.x), arrays.y
