"""``spikesim datasets``: look at a folder of recordings, or generate one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.cli import datasets_cache, datasets_catalog
from spikesim.cli.model import JsonPath

if TYPE_CHECKING:
    from spikesim.datasets import RecordingFiles

app = typer.Typer(
    help="Look at event recordings, or generate them.",
    epilog="Example: spikesim datasets ndigits data/ndigits",
    no_args_is_help=True,
)
datasets_catalog.register(app)
datasets_cache.register(app)


@app.command()
def info(
    path: Annotated[
        Path, typer.Argument(help="Folder of recordings, as Train/CLASS/NAME.bin and Test/CLASS/NAME.bin.")
    ],
    json_path: JsonPath = None,
) -> None:
    """Read every recording and show counts, events, durations and sensor size of both splits.

    Example: spikesim datasets info data/ndigits
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from spikesim.datasets import load_nmnist
    from spikesim.viz import write_text

    parts = load_nmnist(path)._asdict()
    described = {name: _describe(part) for name, part in parts.items()}
    table = Table("split", "recordings", "classes", "sensor", "events each (min, median, max)", "duration (ms)")
    for name, found in described.items():
        events = found["events"]
        table.add_row(
            name,
            str(found["recordings"]),
            str(len(found["per_class"])),
            "x".join(str(size) for size in found["sensor"]),
            f"{events['min']}, {events['median']:g}, {events['max']}",
            f"{found['duration_ms']:.1f}",
        )
    Console().print(table)
    if json_path is not None:
        write_text(json_path, json.dumps({"schema": 1, "path": str(path), **described}, indent=2) + "\n")


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


def _describe(part: RecordingFiles) -> dict[str, Any]:
    from statistics import mean, median

    counts, durations = [], []
    for index in range(len(part)):  # one recording in memory at a time
        events = part[index][0]
        counts.append(len(events))
        durations.append(events.duration_us)
    labels = part.labels.tolist()
    return {
        "recordings": len(part),
        "per_class": {name: labels.count(index) for index, name in enumerate(part.classes)},
        "sensor": list(events.sensor_size),
        "events": {"min": min(counts), "median": median(counts), "max": max(counts)},
        "duration_ms": mean(durations) / 1000,
    }
