"""``spikesim datasets list | verify | doctor | preview``: the catalogue of datasets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from spikesim.cli.model import JsonPath
from spikesim.errors import CheckFailed, ConfigError

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name in the catalogue, such as nmnist.")]
Root = Annotated[Path, typer.Argument(metavar="ROOT", help="Folder that holds the dataset.")]
Protocol = Annotated[str | None, typer.Option(help="How it is split.", show_default="the usual way of the dataset")]
Seed = Annotated[int, typer.Option(help="Seed of what the split draws.")]

BINS = 100  # of the curve of event rates


def list_(json_path: JsonPath = None) -> None:
    """Show every dataset that can be opened by name, its sensor and its splits.

    Example: spikesim datasets list
    """
    from rich.console import Console
    from rich.table import Table

    from spikesim.datasets.catalog import CATALOG

    table = Table("name", "what", "sensor", "splits", "source")
    for entry in CATALOG.values():
        sensor = "x".join(map(str, entry.sensor_size))
        table.add_row(entry.name, entry.about, sensor, ", ".join(entry.rules), entry.source)
    Console().print(table)
    rows = [
        {"name": e.name, "about": e.about, "sensor": e.sensor_size, "splits": list(e.rules), "source": e.source,
         "note": e.note, "layouts": {lay.name: lay.expected for lay in e.layouts}}
        for e in CATALOG.values()
    ]  # fmt: skip
    write(json_path, {"schema": 1, "datasets": rows})


def verify(name: Name, root: Root, json_path: JsonPath = None) -> None:
    """Compare the downloaded archives with the published MD5 checksums; exit 3 if one differs or is missing.

    Example: spikesim datasets verify nmnist data
    """
    from rich.console import Console
    from rich.table import Table

    from spikesim.datasets.catalog import archives, entry_of, found_archive
    from spikesim.datasets.catalog import verify as compare

    entry = entry_of(name)
    places = [found_archive(entry, root, archive) for archive in archives(entry)]
    with progress("bytes", sum(p.stat().st_size for p in places if p)) as advance:
        found = compare(entry, root, advance)
    table = Table("archive", "status", "md5 expected", "md5 found", "where")
    for row in found:
        table.add_row(
            row.archive.name,
            row.status,
            row.archive.md5 or "not published",
            row.md5 or "-",
            str(row.path or row.archive.url),
        )
    Console().print(table)
    rows = [{**row.archive._asdict(), "status": row.status, "found": row.md5} for row in found]
    write(json_path, {"schema": 1, "name": entry.name, "archives": rows})
    differs = [row.archive.name for row in found if row.status == "differs"]
    missing = [row.archive.name for row in found if row.status == "missing"]
    if differs:
        raise CheckFailed(f"{', '.join(differs)}: not as published; download again")
    if missing:
        raise CheckFailed(
            f"{', '.join(missing)}: not there, so there is nothing to compare; if they were deleted after unpacking, "
            f"`spikesim datasets doctor {entry.name} {root}` reads the recordings themselves"
        )


def doctor(
    name: Name,
    root: Root,
    protocol: Protocol = None,
    seed: Seed = 0,
    json_path: JsonPath = None,
) -> None:
    """Read every recording: counts, time order, ranges, balance, duration, copies, and what a split leaks.

    Exits with 3 if a recording cannot be read or something is odd.

    Example: spikesim datasets doctor nmnist data
    """
    from rich.console import Console
    from rich.table import Table

    from spikesim.datasets.catalog import Listing, examine, leaks, load

    dataset = load(name, root, "all", protocol=protocol, seed=seed)
    with progress("recordings", len(dataset)) as advance:
        found = examine(dataset, advance)
    shared = leaks(Listing(dataset.recordings, dataset.classes), dataset.split)
    table = Table(show_header=False)
    table.add_row("dataset", f"{dataset.entry.name} in the layout of {dataset.layout.name}")
    table.add_row("recordings", ", ".join(f"{count} {part}".strip() for part, count in found.recordings.items()))
    table.add_row("split", str(dataset.split))
    table.add_row("events each", f"{found.events[0]}, {found.events[1]:g}, {found.events[2]} (min, median, max)")
    milliseconds = ", ".join(f"{value / 1000:.1f}" for value in found.duration_us)
    table.add_row("duration (ms)", f"{milliseconds} (min, median, max)")
    table.add_row("on events", f"{100 * found.on_share:.1f} %")
    for leak in shared:
        first, second = leak.parts
        table.add_row(
            "shared", f"{len(leak.shared)} {leak.what}(s) in {first} and {second}: {leak.recordings} recordings"
        )
    for reason in (*found.findings, *found.unreadable.values()):
        table.add_row("odd", reason)
    if dataset.entry.note:
        table.add_row("note", dataset.entry.note)
    Console().print(table)
    on_share = found.on_share if found.on_share == found.on_share else None  # JSON has no NaN
    report = {
        "name": dataset.entry.name,
        "layout": dataset.layout.name,
        "split": str(dataset.split),
        **asdict(found),
        "on_share": on_share,
    }
    write(json_path, {"schema": 1, **report, "shared": [leak._asdict() for leak in shared]})
    if not found.sound:
        raise CheckFailed(f"{len(found.findings) + len(found.unreadable)} findings in {root}; the table says which")


def preview(
    name: Name,
    root: Root,
    index: Annotated[int, typer.Option(help="Which recording, counted from 0.")] = 0,
    frames: Annotated[int, typer.Option(help="Number of frames, from 1 to 16.")] = 6,
    output: Annotated[Path, typer.Option(metavar="FILE.png", help="Picture to write.")] = Path("preview.png"),
) -> None:
    """Draw frames of one recording and its rate of events into a PNG file.

    Example: spikesim datasets preview nmnist data --index 7
    """
    import numpy as np
    from rich.console import Console

    from spikesim.datasets import load, to_frames
    from spikesim.viz import png_bytes, recording_preview, write_bytes

    if output.suffix.lower() != ".png":
        raise ConfigError(f"--output: given '{output}', expected a name that ends in .png")
    if not 1 <= frames <= 16:
        raise ConfigError(f"--frames: given {frames}, expected 1 to 16")
    dataset = load(name, root, "all")
    if not 0 <= index < len(dataset):
        raise ConfigError(f"--index: given {index}, expected 0 to {len(dataset) - 1}")
    events, label = dataset.events(index), int(dataset.labels[index])
    length = max(events.duration_us, 1)
    start = int(events.t.min()) if len(events) else 0
    place = (events.t - start) * BINS // (length + 1)
    rates = np.stack([np.bincount(place[events.p == p], minlength=BINS) for p in range(events.sensor_size[2])])
    kind = dataset.classes[label] if label >= 0 else "no class"
    title = f"{dataset.entry.name} {dataset.recordings[index].name}: {kind}, {len(events)} events"
    figure = recording_preview(to_frames(events, frames).frames, rates * BINS * 1000 / length, length / 1000, title)
    write_bytes(output, png_bytes(figure))
    Console(highlight=False, soft_wrap=True).print(f"{title}, drawn in {output}", markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands to ``spikesim datasets``."""
    for command, called in ((list_, "list"), (verify, "verify"), (doctor, "doctor"), (preview, "preview")):
        app.command(called)(command)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; gives a function that is told of so much more."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def write(path: Path | None, content: dict[str, Any]) -> None:
    """Write JSON, if there is a path for it."""
    from spikesim.viz import write_text

    if path is not None:
        write_text(path, json.dumps(content, indent=2) + "\n")
