"""``spikesim evaluate``: measure the weights of a run on labelled recordings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.cli.model import JsonPath

if TYPE_CHECKING:
    from rich.table import Table

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run of spikesim train, or one of its checkpoints.")
]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu or cuda.")]


class Part(StrEnum):
    """A part of a split."""

    test = "test"
    validation = "validation"
    training = "training"


def evaluate(
    run: Run,
    recordings: Annotated[
        Path | None,
        typer.Option(help="Other recordings than the run's own, in the same layout.", show_default=False),
    ] = None,
    part: Annotated[Part, typer.Option(help="Which part of the split is measured.")] = Part.test,
    json_path: JsonPath = None,
    device: Device = "auto",
) -> None:
    """Measure the selected weights of a run: accuracy, also at every t, loss, calibration, firing rates.

    Without --recordings it measures the run's own data under its own split.

    Example: spikesim evaluate runs/nmnist --recordings other --json result.json
    """
    import json
    from dataclasses import asdict

    from rich.console import Console

    from spikesim.training import evaluate_run, load_run
    from spikesim.training.run import device_of
    from spikesim.viz import write_text

    place = device_of(device)
    trained = load_run(run, place)
    measured = evaluate_run(trained, recordings, part.value, place)
    content = {
        "schema": 1,
        "checkpoint": str(trained.checkpoint),
        "recordings": str(measured.recordings),
        "part": part.value,
        "split": measured.split,
        "split_rule": measured.rule,
        "split_of_training": measured.trained_on,
        "classes": trained.classes,
        **asdict(measured.evaluation),
    }
    if json_path is not None:
        write_text(json_path, json.dumps(content, indent=2) + "\n")
    Console(highlight=False).print(_table(content))
    if recordings is None and measured.trained_on not in (None, measured.split):
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(
            f"warning: the split is {measured.split}, but the run was trained under {measured.trained_on}: the "
            "recordings have changed since, and some of these may have been trained on"
        )


def _table(content: dict[str, Any]) -> Table:
    from rich.table import Table

    at = content["accuracy_at"]
    shown = sorted({min(2**k, len(at)) for k in range(len(at).bit_length() + 1)})
    table = Table(show_header=False)
    table.add_row("weights", content["checkpoint"])
    table.add_row("recordings", f"{content['samples']}, {content['part']} part of {content['recordings']}")
    table.add_row("split", content["split"])
    table.add_row("accuracy", f"{100 * content['accuracy']:.2f} %")
    table.add_row("after t steps", ", ".join(f"{t}: {100 * at[t - 1]:.2f} %" for t in shown))
    table.add_row("loss (nats)", f"{content['loss']:.4f}")
    table.add_row("calibration error", f"{100 * content['calibration_error']:.1f} %")
    for layer, rate in content["rates"].items():
        table.add_row(f"rate of {layer}", f"{rate:.4f} spikes per neuron and step")
    return table
