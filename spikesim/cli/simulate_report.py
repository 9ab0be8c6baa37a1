"""What ``spikesim simulate`` says before and after its work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from spikesim.datasets import Simulated
    from spikesim.datasets.simulator import Movie


def plan(
    movie: Movie, size: tuple[int, int] | None, motion: str | None, preset: str, pixels: str, seed: int, output: Path
) -> list[str]:
    """The lines that say what is about to happen."""
    count = "frames" if movie.frames is None else f"{movie.frames} frame{'s' * (movie.frames != 1)}"
    rate = f" at {movie.fps:g} frames/s" if movie.fps and motion is None else ""
    lines = [f"input   {movie.path}: {movie.kind}, {count} of {movie.size[0]} x {movie.size[1]}{rate}"]
    if motion is not None:
        lines.append(f"motion  {motion}")
    if size is not None:
        lines.append(f"sensor  {size[0]} x {size[1]}")
    lines.append(f"pixels  {preset}: {pixels}; seed {seed}")
    lines.append(f"output  {output}{' (replaces it)' if output.exists() else ''}")
    return lines


def report_of(made: Simulated, output: Path) -> dict[str, Any]:
    """What came out, as numbers."""
    events = made.events
    count, on = len(events), int(events.p.sum())
    seconds = events.duration_us / 1e6
    return {
        "output": str(output),
        "bytes": output.stat().st_size,
        "sensor": list(events.sensor_size[:2]),
        "events": count,
        "on": on,
        "off": count - on,
        "noise": int(made.noise.sum()),
        "first_us": int(events.t[0]) if count else None,
        "last_us": int(events.t[-1]) if count else None,
        "events_per_second": count / seconds if seconds else None,
    }


def show(console: Console, report: dict[str, Any]) -> None:
    """Print the numbers as a table."""
    from rich.table import Table

    count, rate = report["events"], report["events_per_second"]
    share = f"{100 * report['noise'] / count:.1f} %" if count else "-"
    table = Table(show_header=False)
    table.add_row("events", f"{count} ({report['on']} ON, {report['off']} OFF)")
    table.add_row("shot noise and hot pixels", f"{report['noise']} ({share})")
    if count:
        table.add_row("from, to", f"{report['first_us'] / 1e6:.6f} s, {report['last_us'] / 1e6:.6f} s")
    table.add_row("rate", "-" if rate is None else f"{rate:.4g} events/s")
    table.add_row("sensor", "{} x {}".format(*report["sensor"]))
    table.add_row("written", f"{report['output']}, {report['bytes']} bytes")
    console.print(table)


def write_labels(path: Path, noise: Any) -> None:
    """Write booleans as an ``.npy`` file, whole or not at all."""
    import io

    import numpy as np

    from spikesim.viz import write_bytes

    buffer = io.BytesIO()
    np.save(buffer, noise)
    write_bytes(path, buffer.getvalue())
