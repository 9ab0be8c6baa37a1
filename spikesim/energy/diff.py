"""Two reports side by side: what changed, and whether counts or prices are the reason."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from spikesim.energy.charges import Side
from spikesim.energy.columns import COLUMNS
from spikesim.energy.comparison import BASELINES
from spikesim.energy.conventions import conventions
from spikesim.energy.included import check_included
from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.means import mean_counts
from spikesim.energy.pricing import Priced, itemise
from spikesim.energy.profile import Profile
from spikesim.energy.saved import read_report
from spikesim.errors import PricingError

if TYPE_CHECKING:
    from rich.console import Console

    from spikesim.energy.report import EnergyReport

    Given = EnergyReport | str | os.PathLike[str]

Status = Literal["same", "changed", "renamed", "added", "removed"]


@dataclass(frozen=True)
class LayerChange:
    """One layer of either report, or the whole network; energies in joules per inference.

    Args:
        a: its name in the first report, None if it is not there.
        b: its name in the second, likewise.
        status: "same", "changed", "renamed" (another name, the same operations and sizes), "added" or "removed".
        energy_a: in the first report.
        energy_b: in the second.
        by_counts: the part of the change that other counts make, at the prices of the second; None where the counts
            of the first cannot be priced so.
        by_prices: the part that other prices and options make, at the counts of the first.
        counts: column -> counts per inference in both, for columns that differ.
    """

    a: str | None
    b: str | None
    status: Status
    energy_a: float
    energy_b: float
    by_counts: float | None
    by_prices: float | None
    counts: Mapping[str, tuple[float, float]]

    @property
    def name(self) -> str:
        """One name, or "old -> new"."""
        return f"{self.a} -> {self.b}" if self.status == "renamed" else self.b or self.a or ""


@dataclass(frozen=True)
class EnergyDiff:
    """What changed from one report to another.

    Args:
        names: of the two, for people.
        total: the whole network.
        layers: in the order of the second report; layers that were removed last.
        baselines: baseline -> joules per inference in both; those that differ.
        settings: what -> both values, where they differ: profile, constants, options, conventions, T, input.
    """

    names: tuple[str, str]
    total: LayerChange
    layers: list[LayerChange]
    baselines: Mapping[str, tuple[float, float]]
    settings: Mapping[str, tuple[Any, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"schema": 1, "package": "spikesim", "unit": "J", **asdict(self)}

    def show(self, console: Console | None = None) -> None:
        """Write the differences to a terminal."""
        from spikesim.energy.diff_table import show

        show(self, console)


def energy_diff(a: Given, b: Given, names: tuple[str, str] | None = None) -> EnergyDiff:
    """Set two reports side by side.

    Args:
        a: a report, or the path of one that was saved as JSON.
        b: another.
        names: of the two, for people; by default the paths.

    Raises:
        ConfigError: a file is no report that can be compared: see :func:`spikesim.energy.read_report`.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_diff, energy_report
        >>> wide, narrow = (energy_report(torch.nn.Linear(8, n), torch.ones(1, 8), input="analog") for n in (4, 2))
        >>> diff = energy_diff(wide, narrow)
        >>> diff.total.status, diff.layers[0].counts["mac_dense"], diff.settings
        ('changed', (32.0, 16.0), {})
    """
    first, second = _report(a), _report(b)
    crossed = _counts_of_first_at_prices_of_second(first, second)
    pairs = _pairs(first, second)
    layers = [_layer(x, y, first, second, crossed) for x, y in pairs]
    whole = (first.energy, second.energy, None if crossed is None else crossed.total)
    total = LayerChange("total", "total", _status(layers), *whole[:2], *_parts(*whole), _counts(first, second))
    baselines = {
        name: (first.energies[name], second.energies[name])
        for name in first.energies
        if name in BASELINES and first.energies[name] != second.energies[name]
    }
    return EnergyDiff(names or (_name(a, "a"), _name(b, "b")), total, layers, baselines, _settings(first, second))


def _counts_of_first_at_prices_of_second(first: EnergyReport, second: EnergyReport) -> Priced | None:
    try:
        check_included(second.profile, second.include, mean_counts(first.ledger))
    except PricingError:
        return None
    return itemise(first.ledger, second.profile, Side(), second.include, second.include.latency)


def _report(given: Given) -> EnergyReport:
    return read_report(given) if isinstance(given, str | os.PathLike) else given


def _name(given: Given, otherwise: str) -> str:
    return os.fspath(given) if isinstance(given, str | os.PathLike) else otherwise


def _pairs(first: EnergyReport, second: EnergyReport) -> list[tuple[str | None, str | None]]:
    """Layers by name, then those of another name with the same operations and sizes, in order."""
    theirs, ours = list(first.priced.layers), list(second.priced.layers)
    gone = [name for name in theirs if name not in ours]
    partners: dict[str, str | None] = {name: name for name in ours if name in theirs}
    for name in ours:
        if name not in partners:
            sign = _signature(second.ledger.layers.get(name))
            old = next((g for g in gone if sign is not None and _signature(first.ledger.layers.get(g)) == sign), None)
            partners[name] = old
            if old is not None:
                gone.remove(old)
    return [*((partners[name], name) for name in ours), *((name, None) for name in gone)]


def _signature(layer: LayerCounts | None) -> tuple[Any, ...] | None:
    return None if layer is None else (layer.operations, layer.params, layer.weights, layer.state_bytes, layer.geometry)


def _layer(
    x: str | None, y: str | None, first: EnergyReport, second: EnergyReport, crossed: Priced | None
) -> LayerChange:
    before = first.priced.layer(x) if x is not None else 0.0
    after = second.priced.layer(y) if y is not None else 0.0
    between = None if crossed is None else crossed.layer(x) if x is not None and x in crossed.layers else 0.0
    counts = _differing(
        _means(first.ledger.layers.get(x or ""), first.ledger.samples),
        _means(second.ledger.layers.get(y or ""), second.ledger.samples),
    )
    status: Status = "same" if before == after and not counts else "changed"
    if x is None or y is None:
        status = "added" if x is None else "removed"
    elif x != y:
        status = "renamed"
    return LayerChange(x, y, status, before, after, *_parts(before, after, between), counts)


def _parts(before: float, after: float, between: float | None) -> tuple[float | None, float | None]:
    return (None, None) if between is None else (after - between, between - before)


def _status(layers: list[LayerChange]) -> Status:
    return "same" if all(layer.status == "same" for layer in layers) else "changed"


def _means(layer: LayerCounts | None, samples: int) -> dict[str, float]:
    return {column: layer[column] / samples for column in COLUMNS} if layer is not None else {}


def _counts(first: EnergyReport, second: EnergyReport) -> dict[str, tuple[float, float]]:
    both = ({c: n / one.ledger.samples for c, n in one.ledger.total().items()} for one in (first, second))
    return _differing(*both)


def _differing(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    both = {column: (a.get(column, 0.0), b.get(column, 0.0)) for column in COLUMNS}
    return {column: pair for column, pair in both.items() if pair[0] != pair[1]}


def _settings(first: EnergyReport, second: EnergyReport) -> dict[str, tuple[Any, Any]]:
    told = [_told(one) for one in (first, second)]
    return {
        what: (told[0].get(what), told[1].get(what))
        for what in dict.fromkeys([*told[0], *told[1]])
        if told[0].get(what) != told[1].get(what)
    }


def _told(report: EnergyReport) -> dict[str, Any]:
    ledger, profile = report.ledger, report.profile
    said = conventions(report.include, profile, ledger.connections)
    unpriced = sorted({f"{u['operation']} in {u['layer']}" for u in report.unpriced if u["of"] == "network"})
    return {
        "time steps": ledger.timesteps,
        "inputs": ledger.samples,
        "input": ledger.input,
        "source of the inputs": report.source,
        "connections": ledger.connections,
        "baseline": report.ann_name,
        "bits of the capacity-matched ANN": report.matched.bits,
        "not priced": ", ".join(unpriced) or None,
        "profile": profile.name,
        "profile digest": profile.digest,
        **_constants(profile),
        **{f"option {name}": value for name, value in report.include.to_dict().items()},
        **{f"convention {name}": text for name, text in said.items()},
    }


def _constants(profile: Profile) -> dict[str, str]:
    return {f"constant {name}": f"{f.value:g} {getattr(f, 'unit', '')}" for name, f in profile.figures().items()}
