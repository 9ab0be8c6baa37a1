"""Measurements of whole systems: for context beside a report, never to be multiplied by counts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spikesim.energy.figures import Strict, SystemFigure, Text
from spikesim.energy.files import REFERENCES, read_model, shipped
from spikesim.errors import ConfigError


class Reference(Strict):
    """What was measured on a chip or a board under one application.

    Args:
        schema_version: version of the file format, written ``schema`` in the file.
        name: short name.
        title: one line for reports.
        citation: main source.
        figures: by name, such as "energy_per_inference"; each says its unit.
        note: what the application was.

    Example:
        >>> from spikesim.energy import load_reference
        >>> xylo = load_reference("xylo")
        >>> xylo.figures["energy_per_inference"].value, xylo.figures["energy_per_inference"].unit
        (6.6, 'uJ')
    """

    schema_version: Literal[2] = Field(alias="schema")
    name: Text
    title: Text
    citation: Text
    figures: Annotated[dict[Text, SystemFigure], Field(min_length=1)]
    note: str = ""


def reference_names() -> list[str]:
    """Names of the system-level reference points that ship with the package.

    Example:
        >>> from spikesim.energy import reference_names
        >>> reference_names()
        ['brainscales2', 'speck', 'xylo']
    """
    return shipped(REFERENCES)


def load_reference(name: str) -> Reference:
    """Load a system-level reference point.

    Args:
        name: one of :func:`reference_names`.

    Raises:
        ConfigError: there is none of that name.

    Example:
        >>> from spikesim.energy import load_reference
        >>> load_reference("speck").title
        'Speck, 65 nm: sensor and processor on one chip'
    """
    if name not in reference_names():
        raise ConfigError(f"no reference point {name!r}; shipped are {', '.join(reference_names())}")
    return read_model(name, REFERENCES, Reference)
