"""A report in plain values, for JSON: everything that is needed to check it or to price its counts again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

import spikesim
from spikesim.energy.columns import COLUMNS
from spikesim.energy.comparison import BASELINES
from spikesim.energy.conventions import conventions
from spikesim.energy.digest import shapes_of
from spikesim.energy.profile import Profile
from spikesim.energy.quantised import VALIDITY
from spikesim.energy.reference import load_reference, reference_names

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

REPORT_SCHEMA = 2


def document(report: EnergyReport) -> dict[str, Any]:
    """Everything in plain values; energies in joules per inference.

    Args:
        report: a network beside its baselines.
    """
    priced = report.priced
    rows = {name: row for row in report.rows for name in row.layers}
    terms = dict.fromkeys(term for layer in priced.layers.values() for term in layer)
    return {
        "schema": REPORT_SCHEMA,
        "package": "spikesim",
        "digest": report.digest,
        "version": spikesim.__version__,
        "torch": torch.__version__,
        "profile": _profile(report.profile),
        "include": report.include.to_dict(),
        "timesteps": report.ledger.timesteps,
        "samples": report.ledger.samples,
        "input": {"kind": report.ledger.input, "source": report.source},
        "unit": "J",
        "energy": {**report.energies, "by_term": {term: priced.term(term) for term in terms}},
        # JSON has no infinity: against a baseline that costs nothing there is no ratio.
        "ratio": {name: report.ratio(name) if report.energies[name] else None for name in BASELINES},
        "verdict": report.verdict,
        "sentence": report.sentence,
        "baseline": report.ann_name,
        "itself": report.ann_ledger is report.ledger,
        "capacity_matched": {
            "bits": report.matched.bits,
            "full_precision": sorted(report.matched.analog),
            "validity": VALIDITY,
            "departures": report.departures,
        },
        "uncertainty": report.uncertainty.to_dict(),
        "break_even": report.break_even.to_dict(),
        "profiles": {"flips": report.flips, "priced": [one.to_dict() for one in report.elsewhere]},
        "references": [load_reference(name).model_dump(by_alias=True) for name in reference_names()],
        "layers": [
            {
                "name": name,
                "energy": priced.layer(name),
                "by_term": dict(priced.layers[name]),
                "loses_to": list(rows[name].loses_to) if name in rows else [],
            }
            for name in priced.layers
        ],
        "rows": [row.to_dict() for row in report.rows],
        "conventions": conventions(report.include, report.profile, report.ledger.connections),
        "columns": COLUMNS,
        "unpriced": report.unpriced,
        "ledger": report.ledger.to_dict(),
        "ann_ledger": report.ann_ledger.to_dict(),
        "shapes": shapes_of(report),
        "sources": report.sources.to_dict(),
    }


def _profile(profile: Profile) -> dict[str, Any]:
    content = profile.model_dump(by_alias=True)
    return {**content, "digest": profile.digest}
