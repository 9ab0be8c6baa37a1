"""Hardware profiles: energies of operations as data, every constant with its provenance."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from spikesim.energy.figures import EnergyConstant, Figure, MemoryTier, NotNegative, PowerConstant, Strict, Text
from spikesim.energy.files import PROFILES, REFERENCES, read_model, shipped
from spikesim.errors import ConfigError, PricingError

__all__ = ["EnergyConstant", "MemoryTier", "OperatingPoint", "Profile", "Static", "load_profile", "profile_names"]

Scope = Literal["per-term", "all-in", "incremental", "affine"]
Model = Literal["operations", "lemaire", "crossbar"]

# What each model knows how to multiply.
CONSTANTS: dict[str, tuple[str, ...]] = {
    "operations": ("add", "mul", "cmp", "mac", "synop", "update", "spike"),
    "lemaire": ("add", "mul", "mac", "access", "access_bit"),
    "crossbar": ("htree", "fetch", "neuron", "crossbar", "adc", "mux", "tile_buffer", "temporary", "subtractor"),
}
PARAMETERS: dict[str, tuple[str, ...]] = {
    "operations": (),
    "lemaire": ("bits", "fifo"),
    "crossbar": ("size", "htree_links", "neurons", "subtractors"),
}
# A profile of one scope holds figures of one scope: mixing them counts energy twice.
_INNER = {"per-term": "per-term", "all-in": "all-in", "incremental": "incremental", "affine": "incremental"}

REFUSED = {
    "loihi2": "no energy per operation has been published for Loihi 2, and the figures of Loihi 1 do not hold for it "
    "(another process, graded spikes)",
}


class Static(Strict):
    """What a chip draws however little happens on it.

    Args:
        power: of one chip.
        cycle: energy per clock cycle of one chip, spent whether the cycle does anything or not.
        clock_hz: the clock that is assumed unless another one is given.
    """

    power: PowerConstant | None = None
    cycle: EnergyConstant | None = None
    clock_hz: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Static:
        for name, figure in (("power", self.power), ("cycle", self.cycle)):
            if figure is not None and figure.scope != "static":
                raise ValueError(f"static.{name}.scope is {figure.scope!r}, but it must be 'static'")
        if self.power is None:
            raise ValueError("static.power is missing")
        return self


class OperatingPoint(Strict):
    """Where an all-in figure was measured, and so the only place where it holds.

    Args:
        synops_per_second: rate of synaptic operations of one chip.
        tolerance: largest relative departure from it.
        reason: why it holds nowhere else.
    """

    synops_per_second: Annotated[float, Field(gt=0)]
    tolerance: Annotated[float, Field(gt=0, lt=1)]
    reason: Text


class Profile(Strict):
    """A set of energy constants of one kind of hardware.

    Args:
        schema_version: version of the file format, 1 or 2, written ``schema`` in the file.
        name: short name.
        title: one line for reports.
        scope: "per-term", "all-in" (synaptic operations carry everything), "incremental" (what one more synaptic
            operation adds) or "affine" (that, and a static power).
        model: what the constants are multiplied with: "operations" (the counts of the ledger), "lemaire" or "crossbar".
        citation: main source.
        constants: by operation. Under "operations": "add", "mul", "cmp" (comparison), "mac" (multiply-accumulate),
            "synop" (a weight added by a spike), "update" (of a neuron, in place of its operations) and "spike"
            (emitted). A count whose constant is absent stays unpriced and is listed.
        memory: tiers by name; charged where traffic is assigned to them.
        static: power of a chip; charged where a latency is given.
        weight_bits: bits of a weight, for memory traffic.
        operating_point: of an all-in figure.
        parameters: numbers of the model.
        note: what is not included.

    A table ``[defaults]`` in the file gives fields that all figures share.

    Example:
        >>> from spikesim.energy import load_profile
        >>> profile = load_profile("horowitz45-fp32")
        >>> profile.scope, len(profile.digest), sorted(profile.constants)
        ('per-term', 64, ['add', 'cmp', 'mac', 'mul', 'synop'])
        >>> sorted(profile.memory)
        ['dram', 'sram-1m', 'sram-32k', 'sram-8k']
    """

    schema_version: Literal[1, 2] = Field(alias="schema")
    name: Text
    title: Text
    scope: Scope
    model: Model = "operations"
    citation: Text
    constants: Annotated[dict[str, EnergyConstant], Field(min_length=1)]
    memory: dict[Text, MemoryTier] = {}
    static: Static | None = None
    weight_bits: Annotated[int, Field(gt=0)] | None = None
    operating_point: OperatingPoint | None = None
    parameters: dict[Text, NotNegative] = {}
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, content: Any) -> Any:
        """Fill the fields of ``[defaults]`` into every figure that does not say otherwise."""
        if not isinstance(content, dict) or "defaults" not in content:
            return content
        shared = content["defaults"]
        if not isinstance(shared, dict):
            raise ValueError("defaults must be a table of fields that all figures share")
        unknown = set(shared) - set(Figure.model_fields) - {"unit"}
        if unknown:
            raise ValueError(f"defaults.{sorted(unknown)[0]}: no figure has such a field")
        filled = {key: value for key, value in content.items() if key != "defaults"}
        for table in ("constants", "memory"):
            if isinstance(filled.get(table), dict):
                filled[table] = {k: {**shared, **v} if isinstance(v, dict) else v for k, v in filled[table].items()}
        return filled

    @field_validator("constants", mode="before")
    @classmethod
    def _known(cls, constants: Any, info: ValidationInfo) -> Any:
        allowed = CONSTANTS.get(info.data.get("model", ""), ())
        for name in constants if isinstance(constants, dict) and allowed else ():
            if name not in allowed:
                raise ValueError(f"constants.{name} is unknown to this model; it has {', '.join(allowed)}")
        return constants

    @model_validator(mode="after")
    def _one_scope(self) -> Profile:
        inner = _INNER[self.scope]
        for table, figures in (("constants", self.constants), ("memory", self.memory)):
            for name, figure in figures.items():
                if figure.scope != inner:
                    raise ValueError(
                        f"{table}.{name}.scope is {figure.scope!r}, but a profile that is {self.scope!r} holds "
                        f"{inner!r} figures; mixing them counts energy twice"
                    )
        if self.scope != "per-term" and (set(self.constants) != {"synop"} or self.memory or self.model != "operations"):
            raise ValueError(f"an {self.scope} profile prices synaptic operations only; leave the other constants out")
        if self.scope == "all-in" and self.static is not None:
            raise ValueError("an all-in figure holds its share of the static power already; leave static out")
        if self.scope == "affine" and self.static is None:
            raise ValueError("static.power is missing: an affine profile is a static power and an energy per event")
        if self.operating_point is not None and self.scope != "all-in":
            raise ValueError("operating_point belongs to all-in figures; leave it out")
        return self

    @model_validator(mode="after")
    def _of_one_model(self) -> Profile:
        needed = CONSTANTS[self.model] if self.model != "operations" else ()
        missing = [f"constants.{name}" for name in needed if name not in self.constants]
        missing += [f"parameters.{name}" for name in PARAMETERS[self.model] if name not in self.parameters]
        if missing:
            raise ValueError(f"model {self.model!r} needs {', '.join(missing)}")
        unknown = set(self.parameters) - set(PARAMETERS[self.model])
        if unknown:
            raise ValueError(f"model {self.model!r} has no parameter {', '.join(sorted(unknown))}")
        if self.memory and self.model != "operations":
            raise ValueError(f"model {self.model!r} has its own memory; leave the table memory out")
        if self.memory and self.weight_bits is None:
            raise ValueError("weight_bits is missing: without it, weights that are read have no size")
        return self

    @property
    def has_baseline(self) -> bool:
        """Whether it prices multiply-accumulates, and so an ANN to compare with."""
        return "mac" in self.constants

    def figures(self) -> dict[str, Figure]:
        """Every constant by one name: "mac", "memory.dram", "static.power"."""
        figures: dict[str, Figure] = {**self.constants}
        figures.update({f"memory.{name}": tier for name, tier in self.memory.items()})
        if self.static is not None:
            for name, figure in (("power", self.static.power), ("cycle", self.static.cycle)):
                if figure is not None:
                    figures[f"static.{name}"] = figure
        return figures

    @property
    def digest(self) -> str:
        """SHA-256 of the contents, independent of layout and comments of the file."""
        content = json.dumps(self.model_dump(by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()


def profile_names() -> list[str]:
    """Names of the profiles that ship with the package.

    Example:
        >>> from spikesim.energy import profile_names
        >>> "horowitz45-fp32" in profile_names()
        True
    """
    return shipped(PROFILES)


def load_profile(source: str | Path) -> Profile:
    """Load a profile by the name of a shipped one, or from a TOML file.

    Args:
        source: a name of :func:`profile_names`, or a path (anything that ends in ``.toml``).

    Raises:
        PricingError: the name of hardware without constants that counts may be multiplied with; it says why.
        ConfigError: no such profile or file, not TOML, or a field that breaks the schema (each is named).

    Example:
        >>> from spikesim.energy import load_profile
        >>> load_profile("horowitz45-fp32").constants["mac"].joules
        4.6e-12
    """
    if isinstance(source, str) and not source.endswith(".toml"):
        if source in REFUSED:
            raise PricingError(f"there is no profile {source!r}: {REFUSED[source]}")
        if source in shipped(REFERENCES):
            raise PricingError(
                f"{source!r} is a measurement of a whole system under one application; it is shown for context "
                f"(spikesim.energy.load_reference({source!r})) and never multiplied by counts"
            )
        if source not in profile_names():
            raise ConfigError(
                f"no profile {source!r}; shipped are {', '.join(profile_names())}, or give the path of a .toml file"
            )
    return read_model(source, PROFILES, Profile)
