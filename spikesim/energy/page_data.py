"""What the page of a report knows: integer counts, and for every profile its constants and what it charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import spikesim
from spikesim.energy.across import setting_under
from spikesim.energy.charges import TERMS, Charge, Side, formula_charges, modelled_layers, tariff
from spikesim.energy.columns import COLUMNS
from spikesim.energy.comparison import BASELINES
from spikesim.energy.conventions import conventions
from spikesim.energy.ledger import Ledger
from spikesim.energy.lines import COUNTED
from spikesim.energy.means import mean_counts
from spikesim.energy.profile import load_profile
from spikesim.energy.reference import load_reference, reference_names
from spikesim.energy.table import BASELINE_NAMES

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport


def page_data(report: EnergyReport, accuracies: Sequence[float] | None) -> dict[str, Any]:
    """Everything that the page shows, in plain values.

    Args:
        report: a network beside its baselines.
        accuracies: after every time step, or None.

    Returns:
        "profiles" holds those that may be applied, the report's own first, each with what the page multiplies
        ("constants", "lines" by the count, "charges" by formulas) and the totals that it must arrive at ("energies").
    """
    itself = report.ann_ledger is report.ledger
    priced = [one for one in report.elsewhere if one.refused is None]
    return {
        "version": spikesim.__version__,
        "digest": report.digest,
        "timesteps": report.ledger.timesteps,
        "samples": report.ledger.samples,
        "input": {"kind": report.ledger.input, "source": report.source},
        "ann": None if itself else report.ann_name,
        "matched": {"bits": report.matched.bits, "analog": sorted(report.matched.analog)},
        "departures": report.departures,
        "baselines": {
            name: {"title": BASELINE_NAMES[name].format(bits=report.matched.bits), "words": words, "beside": compared}
            for name, (words, compared) in BASELINES.items()
        },
        "sides": _sides(report),
        "rows": _rows(report),
        "ledgers": {"network": _counts(report.ledger), "ann": _counts(report.ann_ledger)},
        "profiles": [_profile(_under(report, one.profile)) for one in priced],
        "refused": [{"name": one.profile, "reason": one.refused} for one in report.elsewhere if one.refused],
        "flips": [BASELINES[name][0] for name, turned in report.flips.items() if turned],
        "compared": sum(bool(one.ratios) for one in report.elsewhere),
        "break_even": report.break_even.to_dict() if not itself else None,
        "references": [load_reference(name).model_dump(by_alias=True) for name in reference_names()],
        "terms": TERMS,
        "columns": COLUMNS,
        "counted": {title: list(columns) for title, columns in COUNTED.items()},
        "accuracies": None if accuracies is None else [float(a) for a in accuracies],
    }


def _sides(report: EnergyReport) -> dict[str, Any]:
    """Which ledger a side reads, and how it computes."""
    return {
        "network": {"ledger": "network", "skips": False, "bits": None},
        "network_zero_skipping": {"ledger": "network", "skips": True, "bits": None},
        "dense_ann": {"ledger": "ann", "skips": False, "bits": None},
        "zero_skipping_ann": {"ledger": "ann", "skips": True, "bits": None},
        "capacity_matched": {"ledger": "ann", "skips": True, "bits": report.matched.bits},
    }


def _counts(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "input": layer.input_type,
            "operations": sorted(layer.operations),
            "counts": {column: layer[column] for column in COLUMNS if layer[column]},
        }
        for name, layer in ledger.layers.items()
    ]


def _rows(report: EnergyReport) -> dict[str, dict[str, str]]:
    """Layer -> the row that it stands in, for each side."""
    return {
        "network": {name: pair.name for pair in report.pairs for name in pair.layers},
        "ann": {name: pair.name for pair in report.pairs for name in pair.ann_layers},
    }


def _under(report: EnergyReport, profile: str) -> EnergyReport:
    """The report with another profile."""
    if profile == report.profile.name:
        return report
    there = setting_under(report.setting, load_profile(profile))
    return replace(report, profile=there.profile, include=there.include)


def _profile(report: EnergyReport) -> dict[str, Any]:
    profile, include = report.profile, report.include
    found = report.uncertainty
    network, ann = mean_counts(report.ledger), mean_counts(report.ann_ledger)
    sides: Mapping[str, tuple[Any, Side, float | None]] = {
        "network": (network, Side(), include.latency),
        "network_zero_skipping": (network, Side(zero_skipping=True), include.latency),
        "dense_ann": (ann, Side(), include.seconds_of_baseline),
        "zero_skipping_ann": (ann, Side(zero_skipping=True), include.seconds_of_baseline),
        "capacity_matched": (ann, report.matched, include.seconds_of_baseline),
    }
    return {
        "name": profile.name,
        "title": profile.title,
        "citation": profile.citation,
        "note": profile.note,
        "digest": profile.digest,
        "scope": profile.scope,
        "prices_anns": profile.has_baseline,
        "constants": {name: {**figure.model_dump(), "si": figure.si} for name, figure in profile.figures().items()},
        "lines": {"dense": _lines(report, False), "skipping": _lines(report, True)},
        "modelled": {
            "network": sorted(modelled_layers(network, profile)),
            "ann": sorted(modelled_layers(ann, profile)),
        },
        "charges": {
            name: [_charge(charge) for charge in formula_charges(means, profile, include, side, seconds)]
            for name, (means, side, seconds) in sides.items()
        },
        "energies": report.energies,
        "sure": {
            "samples": found.counts and {name: [one.low, one.high] for name, one in found.counts.items()},
            "constants": found.constants and {name: [one.low, one.high] for name, one in found.constants.items()},
            "wins": found.wins,
        },
        "verdict": report.verdict,
        "sentence": report.sentence,
        "unpriced": report.unpriced,
        "conventions": conventions(include, profile, report.ledger.connections),
        "over_time": report.over_time(),
    }


def _lines(report: EnergyReport, skips: bool) -> list[dict[str, Any]]:
    return [line._asdict() for line in tariff(report.profile, report.include, skips)]


def _charge(charge: Charge) -> list[Any]:
    return [charge.layer, charge.term, charge.constant, float(np.asarray(charge.quantity))]
