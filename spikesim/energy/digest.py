"""The name of a report: a digest of everything that its figures follow from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spikesim.energy.shapes import layer_shapes

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

# Where the same things stand in the JSON of a report, so that anyone can check it.
_PARTS = ("version", "timesteps", "samples", "input", "baseline", "include", "ledger", "ann_ledger", "shapes")


def report_digest(report: EnergyReport) -> str:
    """SHA-256 of counts, shapes, prices, options, seed and version.

    Args:
        report: a network beside its baselines.
    """
    import spikesim

    return document_digest(
        {
            "version": spikesim.__version__,
            "timesteps": report.ledger.timesteps,
            "samples": report.ledger.samples,
            "input": {"kind": report.ledger.input, "source": report.source},
            "baseline": report.ann_name,
            "include": report.include.to_dict(),
            "ledger": report.ledger.to_dict(),
            "ann_ledger": report.ann_ledger.to_dict(),
            "shapes": shapes_of(report),
            "sources": report.sources.to_dict(),
            "profile": {"digest": report.profile.digest},
            "uncertainty": {"seed": report.seed},
        }
    )


def document_digest(content: Mapping[str, Any]) -> str:
    """The digest of a report that was saved, from its JSON: it equals ``content["digest"]`` unless it was edited.

    Args:
        content: the JSON of a report.

    Raises:
        KeyError: it is not the JSON of a report.
    """
    kept = {name: content[name] for name in _PARTS}
    if "sources" in content:  # reports of before match layers by name
        kept["sources"] = content["sources"]
    kept |= {"profile": content["profile"]["digest"], "seed": content["uncertainty"]["seed"]}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def shapes_of(report: EnergyReport) -> dict[str, Any]:
    """Sizes of the layers with weights, of the network and the ANN, as plain values."""
    return {
        "network": {name: shape.to_dict() for name, shape in layer_shapes(report.ledger).items()},
        "ann": {name: shape.to_dict() for name, shape in layer_shapes(report.ann_ledger).items()},
    }
