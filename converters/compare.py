"""One table for several ways to convert one network."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, ConfigDict
from torch import nn

from spikesim.converters.convert import convert
from spikesim.converters.data import Batches, pairs_of
from spikesim.converters.policies import POLICIES
from spikesim.converters.prepare import prepare
from spikesim.converters.report import Accuracy
from spikesim.converters.signature import arity
from spikesim.errors import ConfigError
from spikesim.viz import write_text

if TYPE_CHECKING:
    from rich.table import Table

METHODS: dict[str, dict[str, Any]] = {
    "percentile": {"threshold": "percentile", "granularity": "layer", "calibrate": ()},
    "mse": {"calibrate": ()},
    "mse + bias": {},
    **{f"{name} + bias": {"neuron": name} for name in POLICIES if name != "if"},
    "exact": {"exact": True},
}
"""Named settings of :func:`~spikesim.converters.convert` that are compared by default."""


class Row(BaseModel):
    """One method at one T.

    Args:
        method: Its name.
        timesteps: T that it was converted for.
        latency: Steps until the result is read: T, and what it took to settle.
        accuracy: On the labelled data, as a fraction.
        lost: Points of accuracy lost against the ANN, 0 to 100.
        spikes: Spikes per sample on a few calibration samples.
        error: Root mean square of the last layer's rates against the ANN's activations, relative.

    Example:
        >>> from spikesim.converters.compare import Row
        >>> Row(method="mse", timesteps=4, latency=4, accuracy=0.9, lost=1.0, spikes=20.0, error=0.1).timesteps
        4
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    timesteps: int
    latency: int
    accuracy: float
    lost: float
    spikes: float
    error: float


class Comparison(BaseModel):
    """What :func:`compare` found; prints as a table on a rich console.

    Args:
        schema_version: Version of the JSON form.
        model: Class name of the ANN.
        samples: Labelled samples.
        ann: Accuracy of the ANN.
        rows: One for each method and T.

    Example:
        >>> from spikesim.converters.compare import Comparison
        >>> Comparison(model="Net", samples=1, ann=1.0, rows=[]).to_csv().strip()
        'method,timesteps,latency,accuracy,lost,spikes,error'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    model: str
    samples: int
    ann: float
    rows: list[Row]

    def to_csv(self) -> str:
        """One line for each method and T."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(Row.model_fields), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.model_dump() for row in self.rows)
        return text.getvalue()

    def save(self, path: str | Path) -> None:
        """Write CSV (``.csv``) or JSON, atomically."""
        write_text(path, self.to_csv() if Path(path).suffix.lower() == ".csv" else self.model_dump_json(indent=2))

    def __rich__(self) -> Table:
        """Accuracy by method and T, with spikes per sample and, where it is longer than T, the latency."""
        from rich.markup import escape
        from rich.table import Table

        steps = sorted({row.timesteps for row in self.rows})
        title = f"accuracy and spikes per sample; ANN {self.ann:.2%} on {self.samples} samples"
        table = Table("method", *(f"T={t}" for t in steps), title=title)
        found = {(row.method, row.timesteps): row for row in self.rows}
        for method in dict.fromkeys(row.method for row in self.rows):
            cells = []
            for t in steps:
                row = found[method, t]
                longer = f", {row.latency} steps" if row.latency > t else ""
                cells.append(f"{row.accuracy:.2%} ({row.spikes:,.0f}{longer})")
            table.add_row(escape(method), *cells)
        return table


def compare(
    model: nn.Module,
    calibration: Batches,
    evaluate: Batches,
    *,
    timesteps: Sequence[int] = (1, 2, 4, 8),
    methods: Iterable[str] | Mapping[str, Mapping[str, Any]] = tuple(METHODS),
    samples: int = 256,
) -> Comparison:
    """Convert one network by several methods, anew for each T, and measure all on the same data.

    Args:
        model: See :func:`~spikesim.converters.convert`.
        calibration: Typical inputs without labels; read once.
        evaluate: Labelled data; read once.
        timesteps: The T to convert for.
        methods: Names out of :data:`METHODS`, or a name for each set of arguments of ``convert``.
        samples: Largest number of calibration samples that calibration uses.

    Raises:
        ConfigError: A name is unknown, or there is nothing to compare.
        ConversionError: See :func:`~spikesim.converters.convert`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import compare
        >>> x = torch.rand(64, 4, generator=torch.Generator().manual_seed(0))
        >>> _ = torch.manual_seed(0)
        >>> ann = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
        >>> found = compare(ann, x, (x, ann(x).argmax(1)), timesteps=[2, 16], methods=["mse", "exact"])
        >>> [(row.method, row.timesteps) for row in found.rows]
        [('mse', 2), ('mse', 16), ('exact', 2), ('exact', 16)]
    """
    settings = _settings(methods)
    if not settings or not timesteps:
        raise ConfigError("there is nothing to compare; expected at least one method and one T")
    ready, labelled = prepare(model, calibration, samples), list(pairs_of(evaluate, arity(model)))
    rows, ann, counted = [], 0.0, 0
    for method, chosen in settings.items():
        for t in timesteps:
            report = convert(ready, timesteps=t, evaluate=labelled, **chosen).report
            found = cast(Accuracy, report.accuracy)  # there with evaluate=
            accuracy = found.snn[-1] if found.settled is None else found.settled
            ann, counted = found.ann, found.samples
            rows.append(
                Row(
                    method=method,
                    timesteps=t,
                    latency=report.latency,
                    accuracy=accuracy,
                    lost=100 * (found.ann - accuracy),
                    spikes=sum(layer.spikes_per_sample for layer in report.layers),
                    error=report.layers[-1].error.total,
                )
            )
    return Comparison(model=ready.name, samples=counted, ann=ann, rows=rows)


def _settings(methods: Iterable[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    if isinstance(methods, Mapping):
        return {name: dict(chosen) for name, chosen in methods.items()}
    names = [methods] if isinstance(methods, str) else list(methods)
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise ConfigError(f"methods holds {unknown[0]!r}; expected names out of {', '.join(METHODS)}, or a mapping")
    return {name: METHODS[name] for name in names}
