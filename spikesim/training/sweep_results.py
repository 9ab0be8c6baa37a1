"""What a sweep found: mean and standard deviation over the seeds of every setting, as table, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from spikesim.viz import write_text

if TYPE_CHECKING:
    from rich.table import Table

    from spikesim.training.record import TrainResult


@dataclass(frozen=True)
class Spread:
    """Values over seeds.

    Attributes:
        mean: their mean.
        deviation: their sample standard deviation (n - 1), None of one value.
        values: one per seed.

    >>> Spread.of([0.9, 1.0])
    Spread(mean=0.95, deviation=0.07071067811865474, values=(0.9, 1.0))
    """

    mean: float
    deviation: float | None
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Make it of at least one value."""
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, tuple(values))

    def __str__(self) -> str:
        spread = "" if self.deviation is None else f" ± {100 * self.deviation:.2f}"
        return f"{100 * self.mean:.2f}{spread} %"


@dataclass(frozen=True)
class Tried:
    """A setting of a sweep.

    Attributes:
        parameters: what is set.
        folder: with a folder of a run per seed.
        seeds: that were asked for.
        val_accuracy: validation accuracies over the seeds; NaN where a run failed.
        test_accuracy: the same on the test recordings.
        seconds: wall time of all its runs.
        failed: why it has no value, or "".
    """

    parameters: dict[str, Any]
    folder: str
    seeds: tuple[int, ...]
    val_accuracy: Spread
    test_accuracy: Spread
    seconds: float
    failed: str = ""

    @classmethod
    def of(
        cls, parameters: dict[str, Any], folder: Path, seeds: Sequence[int], results: Sequence[TrainResult], failed: str
    ) -> Self:
        """Make it of the results of its runs."""
        lost = [float("nan")]
        return cls(
            parameters,
            folder.name,
            tuple(seeds),
            Spread.of(lost if failed else [result.val_accuracy for result in results]),
            Spread.of(lost if failed else [result.test_accuracy for result in results]),
            sum(result.seconds for result in results),
            failed,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; :meth:`from_dict` reads them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Read what :meth:`to_dict` gave, also through JSON."""
        spreads = {
            name: Spread(content[name]["mean"], content[name]["deviation"], tuple(content[name]["values"]))
            for name in ("val_accuracy", "test_accuracy")
        }
        return cls(**{**content, **spreads, "seeds": tuple(content["seeds"])})


@dataclass(frozen=True)
class SweepResult:
    """All settings of a sweep, in the order in which they were tried.

    Attributes:
        folder: that holds everything about it.
        tried: its settings.
    """

    folder: Path
    tried: tuple[Tried, ...]

    @property
    def best(self) -> Tried | None:
        """The setting with the highest mean validation accuracy; None where every run failed."""
        sound = [tried for tried in self.tried if not tried.failed]
        return max(sound, key=lambda tried: tried.val_accuracy.mean, default=None)

    def __rich__(self) -> Table:
        from rich.table import Table

        names = list(dict.fromkeys(name for tried in self.tried for name in tried.parameters))
        table = Table(caption="* best by mean validation accuracy; ± is the standard deviation over seeds")
        for name in ("", *names, "validation", "test", "seeds", "seconds"):
            table.add_column(name)
        best = self.best
        for tried in sorted(self.tried, key=lambda one: -2.0 if one.failed else -one.val_accuracy.mean):
            cells = [str(tried.parameters.get(name, "")) for name in names]
            figures = ["failed", ""] if tried.failed else [str(tried.val_accuracy), str(tried.test_accuracy)]
            mark = "*" if tried is best else ""
            table.add_row(mark, *cells, *figures, str(len(tried.seeds)), f"{tried.seconds:.0f}")
        return table


def write_sweep(result: SweepResult) -> None:
    """Write ``sweep.csv``, a row per setting, and ``sweep.json``, with the values of every seed."""
    names = list(dict.fromkeys(name for tried in result.tried for name in tried.parameters))
    text = io.StringIO()
    writer = csv.writer(text)
    spreads = ("val_accuracy", "test_accuracy")
    writer.writerow([*names, *(f"{s}_{part}" for s in spreads for part in ("mean", "std")), "seeds", "seconds",
                     "folder", "failed"])  # fmt: skip
    for tried in result.tried:
        found = [x for s in (tried.val_accuracy, tried.test_accuracy) for x in (f"{s.mean:.6g}", _text(s.deviation))]
        values = [tried.parameters.get(name, "") for name in names]
        writer.writerow([*values, *found, len(tried.seeds), f"{tried.seconds:.1f}", tried.folder, tried.failed])
    write_text(result.folder / "sweep.csv", text.getvalue())
    best = result.best
    content = {
        "schema": 1,
        "selection_rule": "highest mean validation accuracy over the seeds",
        "best": None if best is None else best.parameters,
        "tried": [tried.to_dict() for tried in result.tried],
    }
    # JSON has no NaN: a setting that failed has no accuracies.
    plain = json.loads(json.dumps(content), parse_constant=lambda _: None)
    write_text(result.folder / "sweep.json", json.dumps(plain, indent=2) + "\n")


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
