"""One published figure: its value, its range and where it comes from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_ENERGY = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15}
_POWER = {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "nW": 1e-9}
_TIME = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

Text = Annotated[str, Field(min_length=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Stated = Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["not stated"]
FigureScope = Literal["per-term", "all-in", "incremental", "static", "system"]


class Strict(BaseModel):
    """Unknown fields are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(Strict):
    """A number, its range and its provenance.

    Args:
        value: the figure, in ``unit``.
        low: smallest value that the sources support.
        high: largest value that the sources support.
        node_nm: process node in nanometres, or "not stated".
        voltage: supply voltage in volts, or "not stated".
        precision: number format of the operation, or "not stated".
        kind: "measured", "simulated", "estimated" (by an author who does not say how), "derived" (computed from
            other figures) or "assumed" (by this package or its user).
        scope: "per-term" (this operation alone), "all-in" (with its share of everything else), "incremental" (what one
            more of it adds to a running chip), "static" (drawn all the time) or "system" (of a whole application).
        citation: publication, table or figure.
        note: what else one should know.
    """

    value: NotNegative
    low: NotNegative
    high: NotNegative
    node_nm: _Stated
    voltage: _Stated
    precision: Text
    kind: Literal["measured", "simulated", "estimated", "derived", "assumed"]
    scope: FigureScope
    citation: Text
    note: str = ""

    @field_validator("kind", mode="before")
    @classmethod
    def _checkable(cls, kind: Any) -> Any:
        if isinstance(kind, str) and "memory" in kind:
            raise ValueError(f"{kind!r} is refused: a figure that nobody can look up is no constant; cite its source")
        return kind

    @model_validator(mode="after")
    def _ordered(self) -> Figure:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"low <= value <= high does not hold: {self.low}, {self.value}, {self.high}")
        return self

    @property
    def factor(self) -> float:
        """One unit of the file in SI units."""
        return 1.0

    @property
    def si(self) -> float:
        """The value in SI units."""
        return self.value * self.factor

    @property
    def is_range(self) -> bool:
        """Whether low and high differ."""
        return self.low < self.high


class EnergyConstant(Figure):
    """Energy of one operation and where the figure comes from.

    Args:
        unit: "J", "mJ", "uJ", "nJ", "pJ" or "fJ".

    Example:
        >>> from spikesim.energy import load_profile
        >>> constant = load_profile("horowitz45-fp32").constants["cmp"]
        >>> constant.joules, constant.kind, constant.citation
        (9e-13, 'assumed', 'none: the source gives no comparison')
    """

    unit: Literal["J", "mJ", "uJ", "nJ", "pJ", "fJ"]

    @property
    def factor(self) -> float:
        """Joules per unit."""
        return _ENERGY[self.unit]

    @property
    def joules(self) -> float:
        """The value in joules."""
        return self.si


class MemoryTier(EnergyConstant):
    """Energy of one access to a memory.

    Args:
        bits: width of an access; traffic is charged by the bit.

    Example:
        >>> from spikesim.energy import load_profile
        >>> tier = load_profile("horowitz45-int8").memory["sram-8k"]
        >>> tier.bits, tier.joules
        (64, 1e-11)
    """

    bits: Annotated[int, Field(gt=0)]


class PowerConstant(Figure):
    """Power drawn whether anything happens or not.

    Args:
        unit: "W", "mW", "uW" or "nW".

    Example:
        >>> from spikesim.energy import load_profile
        >>> load_profile("odin").static.power.watts
        2.73e-05
    """

    unit: Literal["W", "mW", "uW", "nW"]

    @property
    def factor(self) -> float:
        """Watts per unit."""
        return _POWER[self.unit]

    @property
    def watts(self) -> float:
        """The value in watts."""
        return self.si


class SystemFigure(Figure):
    """A measurement of a whole system: an energy per inference, a power or a time.

    Args:
        unit: of energy, power or time.
    """

    unit: Literal["J", "mJ", "uJ", "nJ", "W", "mW", "uW", "s", "ms", "us"]
    scope: Literal["system"]

    @property
    def factor(self) -> float:
        """Joules, watts or seconds per unit."""
        return {**_ENERGY, **_POWER, **_TIME}[self.unit]
