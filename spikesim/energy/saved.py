"""Reports read back from the JSON that they were saved as."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from spikesim.energy.digest import document_digest
from spikesim.energy.document import REPORT_SCHEMA
from spikesim.energy.files import faults
from spikesim.energy.geometry import Geometry
from spikesim.energy.included import Included
from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.ledger import Ledger
from spikesim.energy.pairing import Sources
from spikesim.energy.profile import Profile
from spikesim.errors import ConfigError, PricingError

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

_SAME = 1e-9  # relative; what was saved and what follows from it


def read_report(path: str | os.PathLike[str]) -> EnergyReport:
    """Read a report that ``report.save("....json")`` or ``spikesim energy --json`` wrote.

    Counts, prices and options are those of the file. Counts per sample are not saved, so that intervals over samples
    cannot be drawn anew.

    Args:
        path: the JSON file.

    Raises:
        ConfigError: it cannot be read, is no energy report, has another schema, was edited, or prices its counts
            otherwise than this version does.

    Example:
        >>> import tempfile, torch
        >>> from spikesim.energy import energy_report, read_report
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = energy_report(torch.nn.Linear(8, 2), torch.ones(1, 8), input="analog").save(folder + "/r.json")
        ...     read_report(path).verdict
        'No spikes: 75.40 pJ per inference dense, 75.40 pJ zero-skipping (horowitz45-fp32).'
    """
    return report_of(read_document(path), os.fspath(path))


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON of a report, checked to be one.

    Raises:
        ConfigError: see :func:`read_report`.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{os.fspath(path)} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{os.fspath(path)} is not JSON ({error}); give a report that was saved as .json") from error
    known = isinstance(content, dict) and content.get("package") == "spikesim" and "ledger" in content
    if not known:
        raise ConfigError(f"{os.fspath(path)} is no energy report; give what spikesim energy --json wrote")
    schema = content.get("schema")
    if schema != REPORT_SCHEMA:
        raise ConfigError(
            f"{os.fspath(path)} has schema {schema!r}, this version reads {REPORT_SCHEMA}; make the report again"
        )
    return dict(content)


def report_of(content: Mapping[str, Any], name: str) -> EnergyReport:
    """The report that a document describes.

    Args:
        content: of :func:`read_document`.
        name: of the file, for messages.

    Raises:
        ConfigError: parts are missing or damaged, it was edited, or its energies do not follow from its counts.
    """
    from spikesim.energy.report import EnergyReport

    try:
        ledger = _ledger(content["ledger"], content["shapes"]["network"])
        itself = content.get("itself", content["baseline"] == "the network itself")
        ann = ledger if itself else _ledger(content["ann_ledger"], content["shapes"]["ann"])
        report = EnergyReport(
            ledger,
            ann,
            content["baseline"],
            Profile.model_validate({k: v for k, v in content["profile"].items() if k != "digest"}),
            content["input"]["source"],
            Included(**content["include"]),
            content["uncertainty"]["seed"],
            Sources(**content.get("sources", {})),
        )
        said, energies = content["energy"], report.energies
        edited = "digest" in content and document_digest(content) != content["digest"]
        differ = [side for side in energies if not math.isclose(energies[side], said[side], rel_tol=_SAME)]
    except PricingError as error:
        raise ConfigError(f"{name}: {error}") from error
    except ValidationError as error:
        named = "; ".join(f"profile.{fault}" for fault in faults(error, values=True))
        raise ConfigError(f"{name} is a damaged report ({named}); make it again") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{name} is a damaged report ({type(error).__name__}: {error}); make it again") from error
    if edited:
        raise ConfigError(f"{name} was edited: its digest does not follow from its counts and prices; make it again")
    if differ:
        raise ConfigError(
            f"{name}: the energy of {', '.join(differ)} does not follow from its counts and prices. It was edited, or "
            f"made by a version that prices otherwise ({content.get('version')}); make the report again"
        )
    return report


def _ledger(content: Mapping[str, Any], shapes: Mapping[str, Any]) -> Ledger:
    return Ledger(
        content["timesteps"],
        content["samples"],
        torch.tensor(content["active"], dtype=torch.int64),
        content["input"],
        {layer["name"]: _layer(layer, shapes.get(layer["name"])) for layer in content["layers"]},
        {(u["layer"], u["operation"]): u["results"] for u in content["unpriced"]},
        content["connections"],
        _pair(content["counted"]) if "counted" in content else None,  # reports of before count every step
    )


def _pair(steps: Any) -> tuple[int, int]:
    start, stop = map(int, steps)
    return start, stop


def _layer(layer: Mapping[str, Any], shape: Mapping[str, Any] | None) -> LayerCounts:
    kinds = layer["input"]
    return LayerCounts(
        frozenset(layer["operations"]),
        frozenset({"analog"} if kinds == "analog_once" else set() if kinds == "none" else kinds.split("+")),
        layer.get("once", kinds == "analog_once"),
        {column: torch.tensor(steps, dtype=torch.int64) for column, steps in layer["counts"].items()},
        params=layer["params"],
        weights=layer["weights"],
        zero_weights=layer["zero_weights"],
        state_bytes=layer["state_bytes"],
        largest_spike=layer.get("largest_spike", 1),
        geometry=None if shape is None else _geometry(shape),
    )


def _geometry(shape: Mapping[str, Any]) -> Geometry:
    sizes: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in shape.items()}
    return Geometry(**{name: value for name, value in sizes.items() if name not in ("weights", "bias")})
