"""What came of one comparison, as it is shown, kept and written."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from spikesim.dynamics.equivalence import GRADIENTS
from spikesim.dynamics.equivalence_cover import TOLERANCE, Case


@dataclass(frozen=True)
class Result:
    """What came of one comparison.

    Args:
        case: what was compared.
        found: deviations and counts, as plain values; None if there are none.
        problem: why it does not pass; None if it does.
        seconds: how long it took, compiling included.
    """

    case: Case
    found: dict[str, Any] | None
    problem: str | None
    seconds: float

    @property
    def worst(self) -> float:
        """Largest deviation of a single step; NaN if nothing was compared."""
        return max(self.found["single"].values()) if self.found else float("nan")

    @property
    def run(self) -> float:
        """Largest deviation of a whole run; NaN if nothing was compared."""
        return max(self.found["run"].values()) if self.found else float("nan")

    def to_json(self) -> dict[str, Any]:
        """As one flat-ish record."""
        found = {k: _short(v) for k, v in (self.found or {}).items()}
        tolerance = TOLERANCE[self.case.dtype]
        return {
            **asdict(self.case), "passed": self.problem is None, "problem": self.problem, "tolerance": tolerance,
            "gradient_tolerance": GRADIENTS * tolerance, **found, "seconds": round(self.seconds, 2),
        }  # fmt: skip


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    if not isinstance(value, float):
        return value
    return float(f"{value:.3g}") if math.isfinite(value) else None  # JSON has no NaN
