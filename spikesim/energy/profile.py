"""Hardware profiles: energies of operations as data, every constant with its provenance."""

from __future__ import annotations

import hashlib
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spikesim.errors import ConfigError

_UNITS = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15}
_Text = Annotated[str, Field(min_length=1)]
_Energy = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Scope = Literal["per-term", "all-in"]
ConstantName = Literal["add", "mul", "cmp", "mac", "synop"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EnergyConstant(_Strict):
    """Energy of one operation and where the figure comes from.

    Args:
        value: energy in ``unit``.
        low: smallest value that the source supports.
        high: largest value that the source supports.
        unit: "J", "mJ", "uJ", "nJ", "pJ" or "fJ".
        node_nm: process node in nanometres.
        voltage: supply voltage in volts.
        precision: number format of the operation.
        kind: "measured", "simulated", "estimated" (by an author who does not say how), "derived" (computed from
            other figures) or "assumed" (by this package or its user).
        scope: "per-term" (this operation alone) or "all-in" (with its share of everything else).
        citation: publication, table or figure.
        note: what else one should know.

    Example:
        >>> from spikesim.energy import load_profile
        >>> constant = load_profile("horowitz45-fp32").constants["cmp"]
        >>> constant.joules, constant.kind, constant.citation
        (9e-13, 'assumed', 'none: the source gives no comparison')
    """

    value: _Energy
    low: _Energy
    high: _Energy
    unit: Literal["J", "mJ", "uJ", "nJ", "pJ", "fJ"]
    node_nm: Annotated[float, Field(gt=0)]
    voltage: Annotated[float, Field(gt=0)]
    precision: _Text
    kind: Literal["measured", "simulated", "estimated", "derived", "assumed"]
    scope: Scope
    citation: _Text
    note: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> EnergyConstant:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"low <= value <= high does not hold: {self.low}, {self.value}, {self.high}")
        return self

    @property
    def joules(self) -> float:
        """The value in joules."""
        return self.value * _UNITS[self.unit]


class Profile(_Strict):
    """A set of energy constants of one kind of hardware.

    Args:
        schema_version: version of the file format, written ``schema`` in the file.
        name: short name.
        title: one line for reports.
        scope: scope of all constants; per-term and all-in figures do not mix, that would count twice.
        citation: main source.
        constants: by operation: "add", "mul", "cmp" (comparison), "mac" (multiply-accumulate), "synop" (a weight added
            by a spike). A count whose constant is absent stays unpriced and is listed.
        note: what is not included.

    Example:
        >>> from spikesim.energy import load_profile
        >>> profile = load_profile("horowitz45-fp32")
        >>> profile.scope, len(profile.digest), sorted(profile.constants)
        ('per-term', 64, ['add', 'cmp', 'mac', 'mul', 'synop'])
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: _Text
    title: _Text
    scope: Scope
    citation: _Text
    constants: Annotated[dict[ConstantName, EnergyConstant], Field(min_length=1)]
    note: str = ""

    @model_validator(mode="after")
    def _one_scope(self) -> Profile:
        for name, constant in self.constants.items():
            if constant.scope != self.scope:
                raise ValueError(
                    f"constants.{name}.scope is {constant.scope!r}, but the profile is {self.scope!r}; "
                    "mixing them counts energy twice"
                )
        if self.scope == "all-in" and set(self.constants) != {"synop"}:
            raise ValueError("an all-in profile prices synaptic operations only; leave the other constants out")
        return self

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
    folder = resources.files("spikesim.energy.profiles")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_profile(source: str | Path) -> Profile:
    """Load a profile by the name of a shipped one, or from a TOML file.

    Args:
        source: a name of :func:`profile_names`, or a path (anything that ends in ``.toml``).

    Raises:
        ConfigError: no such profile or file, not TOML, or a field that breaks the schema (each is named).

    Example:
        >>> from spikesim.energy import load_profile
        >>> load_profile("horowitz45-fp32").constants["mac"].joules
        4.6e-12
    """
    if isinstance(source, str) and not source.endswith(".toml"):
        if source not in profile_names():
            raise ConfigError(
                f"no profile {source!r}; shipped are {', '.join(profile_names())}, or give the path of a .toml file"
            )
        text, origin = resources.files("spikesim.energy.profiles").joinpath(f"{source}.toml").read_text("utf-8"), source
    else:
        origin = str(source)
        try:
            text = Path(source).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"profile {origin}: cannot be read ({error}); give a TOML file in UTF-8") from error
    try:
        return Profile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"profile {origin}: not valid TOML ({error})") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'profile'}: {e['msg']}" for e in error.errors()]
        raise ConfigError(f"profile {origin}: " + "; ".join(faults)) from error
