"""What a comparison of methods found: a table, CSV, JSON and pictures."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from spikesim.converters.latency import Latency
from spikesim.energy import format_energy
from spikesim.errors import ConfigError
from spikesim.viz import accuracy_over_time, energy_accuracy, write_bytes, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group
    from rich.table import Table

_PICTURES = (".png", ".svg", ".pdf")


class Row(BaseModel):
    """One method at one T; what was not measured is None.

    Args:
        method: Its name.
        timesteps: T that it was converted for.
        steps: Mean steps until the answer: those of the latency, or fewer with early exits.
        latency: All steps until the answer, by what they are spent on.
        accuracy: On the labelled data, as a fraction.
        lost: Points of accuracy lost against the ANN, 0 to 100.
        spikes: Per labelled sample.
        energy: Joules per labelled sample.
        unpriced: Operations that the energy leaves out: it is then a lower bound.
        error: Root mean square of the last layer's rates against the ANN's activations, relative.
        failed: Why there is nothing else, in a sentence.

    Example:
        >>> from spikesim.converters.comparison import Row
        >>> Row(method="mse", timesteps=4, failed="ConfigError: ...").accuracy is None
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    timesteps: int
    steps: float | None = None
    latency: Latency | None = None
    accuracy: float | None = None
    lost: float | None = None
    spikes: float | None = None
    energy: float | None = None
    unpriced: list[str] = []
    error: float | None = None
    failed: str | None = None


class Comparison(BaseModel):
    """What :func:`~spikesim.converters.compare` found; prints as a table on a rich console.

    Args:
        schema_version: Version of the JSON form.
        model: Class name of the ANN.
        samples: Labelled samples.
        ann: Accuracy of the ANN; None if every method failed.
        ann_energy: Joules per sample of the ANN, dense.
        ann_energy_zero_skipping: The same where it multiplies only activations that are not zero.
        profile: That priced the operations.
        rows: One for each method and T.

    Example:
        >>> from spikesim.converters import Comparison
        >>> Comparison(model="Net", samples=1, ann=1.0, rows=[]).to_csv().split(",")[:4]
        ['method', 'timesteps', 'accuracy', 'lost']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[2] = 2
    model: str
    samples: int
    ann: float | None
    ann_energy: float | None = None
    ann_energy_zero_skipping: float | None = None
    profile: str | None = None
    rows: list[Row]

    @property
    def failures(self) -> list[Row]:
        """Rows that hold only a reason."""
        return [row for row in self.rows if row.failed is not None]

    def to_csv(self) -> str:
        """One line for each method and T; energies in joules, latencies in steps."""
        heads = ["method", "timesteps", "accuracy", "lost", "spikes", "energy", "steps", "latency", "pipelined"]
        heads += ["wait", "drain", "depth", "error", "unpriced", "failed"]
        text = io.StringIO()
        writer = csv.DictWriter(text, heads, lineterminator="\n", restval="")
        writer.writeheader()
        for row in self.rows:
            line = row.model_dump(exclude={"latency", "unpriced"}, exclude_none=True)
            if row.latency is not None:
                late = row.latency
                line |= {"latency": late.steps, "pipelined": late.pipelined}
                line["unpriced"] = "; ".join(row.unpriced)
                line |= {"wait": late.wait, "drain": late.drain, "depth": late.depth}
            writer.writerow(line)
        return text.getvalue()

    def figure(self) -> Figure:
        """Accuracy against T, and against energy.

        Raises:
            ConfigError: Nothing was measured.
        """
        from spikesim.viz.canvas import canvas

        done = [row for row in self.rows if row.accuracy is not None]
        if not done:
            raise ConfigError("every method failed, so that there is nothing to draw; the table holds the reasons")
        steps = sorted({row.timesteps for row in done})
        cells = {(row.method, row.timesteps): row for row in done}
        names = list(dict.fromkeys(row.method for row in done))
        figure, (left, right) = canvas(2, width=6.0, height=4.2)
        lines = {name: [_accuracy(cells.get((name, t))) for t in steps] for name in names}
        references = {} if self.ann is None else {"ANN": self.ann}
        accuracy_over_time(steps, lines, references, left)
        rows = {name: [row for t in steps if (row := cells.get((name, t)))] for name in names}
        points = {
            name: [(row.energy, _accuracy(row)) for row in found if row.energy is not None]
            for name, found in rows.items()
        }
        beside = {} if self.ann is None or self.ann_energy is None else {"ANN": (self.ann_energy, self.ann)}
        energy_accuracy(points, beside, right)
        return figure

    def save(self, path: str | Path) -> None:
        """Write the table as ``.csv`` or ``.json``, or the pictures as ``.png``, ``.svg`` or ``.pdf``; atomically.

        Raises:
            ConfigError: Another ending, or the file cannot be written.
        """
        ending = Path(path).suffix.lower()
        if ending == ".csv":
            write_text(path, self.to_csv())
        elif ending == ".json":
            write_text(path, self.model_dump_json(indent=2))
        elif ending in _PICTURES:
            content = io.BytesIO()
            self.figure().savefig(content, format=ending[1:], dpi=120)
            write_bytes(path, content.getvalue())
        else:
            raise ConfigError(f"{path}: the ending is '{ending}', expected .csv, .json, {', '.join(_PICTURES)}")

    def __rich__(self) -> Group:
        """The table, and the reasons of those that failed."""
        from rich.console import Group
        from rich.markup import escape

        reasons = {row.method: f"{row.method} failed: {row.failed}" for row in self.failures}
        return Group(self.table(), *(escape(reason) for reason in reasons.values()))

    def table(self) -> Table:
        """One row for each method and T."""
        from rich.markup import escape
        from rich.table import Table

        title = f"{self.model}, {self.samples} samples"
        title += "" if self.ann is None else f"; ANN {self.ann:.2%}"
        if self.ann_energy is not None and self.ann_energy_zero_skipping is not None:
            title += f", {format_energy(self.ann_energy)}, zero-skipping {format_energy(self.ann_energy_zero_skipping)}"
        heads = ("method", "T", "accuracy", "points lost", "spikes", "energy", "steps", "one layer a step")
        table = Table(*heads, title=title)
        for row in self.rows:
            if row.failed is not None:
                table.add_row(escape(row.method), str(row.timesteps), "failed")
                continue
            late, piped = ("", "") if row.latency is None else (row.latency.brief(), str(row.latency.pipelined))
            if row.steps is not None and row.latency is not None and row.steps < row.latency.steps:
                late = f"{row.steps:.1f} of {late}"
            cells = [
                "" if row.accuracy is None else f"{row.accuracy:.2%}",
                "" if row.lost is None else f"{row.lost:+.2f}",
                "" if row.spikes is None else f"{row.spikes:,.0f}",
                "" if row.energy is None else ">" * bool(row.unpriced) + format_energy(row.energy),
            ]
            table.add_row(escape(row.method), str(row.timesteps), *cells, late, piped)
        if self.profile is not None:
            table.caption = f"spikes and energy per sample; profile {self.profile}, analog layers dense"
            if any(row.unpriced for row in self.rows):
                table.caption += "; >: a lower bound, some operations have no price"
        return table


def _accuracy(row: Row | None) -> float:
    return float("nan") if row is None or row.accuracy is None else row.accuracy
