"""``spikesim datasets info``: what the catalogue knows about a dataset, or what lies in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.cli.model import JsonPath
from spikesim.errors import ConfigError

if TYPE_CHECKING:
    from spikesim.datasets import RecordingFiles


def info(
    what: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH", help="Name in the catalogue, or a folder in N-MNIST's layout."),
    ],
    root: Annotated[Path | None, typer.Argument(help="Folder that holds the dataset of that name.")] = None,
    protocol: Annotated[str | None, typer.Option(help="How the dataset of that name is split.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Say what is known of a dataset; with its folder, read every recording and count.

    Without ROOT a name of the catalogue shows sensor, splits, layouts and archives. A folder shows recordings, the
    classes that are there, events, durations and sensor size of each part. What is both a name and a folder here is
    taken as the name; ./NAME is the folder.

    Examples: spikesim datasets info dvsgesture; the same with its folder; spikesim datasets info data/ndigits
    """
    if root is None and Path(what).is_dir() and not _is_name(what):
        from spikesim.datasets import load_nmnist

        if protocol is not None:
            raise ConfigError("--protocol needs the name of a dataset: spikesim datasets info NAME ROOT --protocol ...")
        _counted({"path": what}, dict(load_nmnist(what)._asdict()), json_path)
        return
    if root is None and ("/" in what or what.startswith(".")):
        raise ConfigError(f"there is no folder {what}; give one, or a name that `spikesim datasets list` shows")
    if root is None:
        _known(what, json_path)
        return
    from spikesim.datasets import load

    split = load(what, root, "all", protocol=protocol).split
    parts = {part: load(what, root, part, protocol=protocol) for part, indices in split.parts.items() if len(indices)}
    _counted({"path": str(root), "name": what, "split": str(split)}, dict(parts), json_path)


def _is_name(what: str) -> bool:
    from spikesim.datasets.catalog import entry_of

    if "/" in what or what.startswith("."):
        return False
    try:
        entry_of(what)
    except ConfigError:
        return False
    return True


def _known(name: str, json_path: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from spikesim.datasets.catalog import archives, entry_of

    entry = entry_of(name)
    files = archives(entry)
    table = Table(show_header=False)
    table.add_row("name", entry.name)
    table.add_row("what", entry.about)
    table.add_row("sensor", "x".join(map(str, entry.sensor_size)))
    table.add_row("splits", ", ".join(entry.rules))
    for layout in entry.layouts:
        counts = ", ".join(f"{count} {part}".strip() for part, count in layout.counts.items())
        table.add_row("layout", f"{layout.name}: {layout.expected}" + (f" ({counts})" if counts else ""))
    table.add_row("download", f"tonic.datasets.{entry.tonic}" if entry.tonic else "by hand, from its publisher")
    for archive in files:
        table.add_row("archive", str(archive))
    table.add_row("size", entry.size or "not published")
    table.add_row("source", entry.source)
    if entry.note:
        table.add_row("note", entry.note)
    Console().print(table)
    if json_path is not None:
        content = {
            "schema": 1, "name": entry.name, "about": entry.about, "sensor": entry.sensor_size,
            "splits": list(entry.rules), "source": entry.source, "note": entry.note, "size": entry.size or None,
            "layouts": [
                {"name": lay.name, "expected": lay.expected, "counts": dict(lay.counts)} for lay in entry.layouts
            ],
            "archives": [archive._asdict() for archive in files],
        }  # fmt: skip
        _write(json_path, content)


def _counted(head: dict[str, Any], parts: dict[str, RecordingFiles], json_path: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    described = {name: _describe(part) for name, part in parts.items()}
    table = Table("split", "recordings", "classes", "sensor", "events each (min, median, max)", "duration (ms)")
    for name, found in described.items():
        events, present = found["events"], sum(1 for count in found["per_class"].values() if count)
        of_all = f" of {len(found['per_class'])}" if present < len(found["per_class"]) else ""
        table.add_row(
            name,
            str(found["recordings"]),
            f"{present}{of_all}",
            "x".join(str(size) for size in found["sensor"]),
            f"{events['min']}, {events['median']:g}, {events['max']}",
            f"{found['duration_ms']:.1f}",
        )
    Console().print(table)
    if "split" in head:
        Console(highlight=False, soft_wrap=True).print(f"split: {head['split']}", markup=False)
    if json_path is not None:
        _write(json_path, {"schema": 1, **head, **described})


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


def _write(path: Path, content: dict[str, Any]) -> None:
    from spikesim.viz import write_text

    write_text(path, json.dumps(content, indent=2) + "\n")
