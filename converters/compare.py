"""One table for several ways to convert one network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from spikesim.converters.comparison import Comparison, Row
from spikesim.converters.convert import Converted, convert
from spikesim.converters.data import Batches, pairs_of
from spikesim.converters.early_exit import early_exit
from spikesim.converters.expense import Expense
from spikesim.converters.measure import PROFILE, measure_early
from spikesim.converters.prepare import Prepared, prepare
from spikesim.converters.recipes import METHODS, chosen_methods
from spikesim.converters.report import Accuracy
from spikesim.converters.signature import arity
from spikesim.energy import Profile, load_profile
from spikesim.errors import ConfigError, SpikesimError


def compare(
    model: nn.Module,
    calibration: Batches,
    evaluate: Batches,
    *,
    timesteps: Sequence[int] = (1, 2, 4, 8),
    methods: str | Iterable[str] | Mapping[str, Mapping[str, Any]] = tuple(METHODS),
    samples: int = 256,
    profile: str | Path | Profile | None = PROFILE,
    watch: Callable[[Row], None] | None = None,
) -> Comparison:
    """Convert one network by several methods, anew for each T, and measure all on the same data.

    A method that fails for some T loses no other: its row says why.

    Args:
        model: See :func:`~spikesim.converters.convert`.
        calibration: Typical inputs without labels; read once.
        evaluate: Labelled data; read once.
        timesteps: The T to convert for.
        methods: Names out of :data:`METHODS`, lines of settings (``"neuron=burst(3), threshold=lloyd"``), or a name
            for each set of arguments of ``convert``. ``early_exit=0.99`` lets samples stop, see
            :func:`~spikesim.converters.early_exit`.
        samples: Largest number of calibration samples that calibration uses.
        profile: Prices of the operations; None to leave energy and spikes of the labelled data out.
        watch: Is handed every row as soon as it is there.

    Raises:
        ConfigError: A name or a setting is unknown, or there is nothing to compare.
        ConversionError: The network cannot be converted by any method.
        CalibrationError: The data are unusable.

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
    settings = chosen_methods(methods, convert)
    if not settings or not timesteps:
        raise ConfigError("there is nothing to compare; expected at least one method and one T")
    prices = profile if profile is None or isinstance(profile, Profile) else load_profile(profile)
    ready, labelled = prepare(model, calibration, samples), list(pairs_of(evaluate, arity(model)))
    rows: list[Row] = []
    found: Accuracy | None = None
    for method, chosen in settings.items():
        for t in timesteps:
            try:
                row, found = _measured(ready, labelled, method, t, chosen, prices)
            except Exception as error:  # a threshold function of the user's may raise anything
                name = "" if isinstance(error, SpikesimError) else f"{type(error).__name__}: "
                first = str(error).splitlines()[0] if str(error) else "no reason given"
                row = Row(method=method, timesteps=t, failed=f"{name}{first}")
            rows.append(row)
            if watch is not None:
                watch(row)
    spent = Expense(profile="", spikes=[], energy=[]) if found is None or found.expense is None else found.expense
    return Comparison(
        model=ready.name,
        samples=sum(len(y) for _, y in labelled),
        ann=None if found is None else found.ann,
        ann_energy=spent.ann,
        ann_energy_zero_skipping=spent.ann_zero_skipping,
        profile=spent.profile or None,
        rows=rows,
    )


def _measured(
    ready: Prepared,
    labelled: list[Any],
    method: str,
    timesteps: int,
    settings: dict[str, Any],
    profile: Profile | None,
) -> tuple[Row, Accuracy]:
    chosen = dict(settings)
    agreement = chosen.pop("early_exit", None)
    done: Converted = convert(ready, timesteps=timesteps, evaluate=labelled, profile=profile, **chosen)
    report, found = done.report, done.report.accuracy
    if found is None:
        raise ConfigError("there is no labelled sample")
    accuracy, steps = found.final, float(report.latency.steps)
    spikes, energy = found.expense.whole if found.expense else (None, None)
    if agreement is not None:
        early = measure_early(early_exit(done.network, ready.seen.kept, agreement), labelled, profile=profile)
        accuracy, steps, spikes, energy = early.accuracy, early.steps, early.spikes, early.energy
    row = Row(
        method=method,
        timesteps=timesteps,
        steps=steps,
        latency=report.latency,
        accuracy=accuracy,
        lost=None if found.ann is None else 100 * (found.ann - accuracy),
        spikes=spikes,
        energy=energy,
        unpriced=found.expense.unpriced if found.expense else [],
        error=report.layers[-1].error.total,
    )
    return row, found
