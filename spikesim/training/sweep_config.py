"""What a sweep tries: settings of a run, and parameters with choices or ranges."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikesim.errors import ConfigError
from spikesim.training.config import TrainConfig

_FIXED = ("data", "out", "seed")  # what belongs to the sweep as a whole


class Range(BaseModel):
    """A parameter between two bounds; whole numbers if both bounds are.

    Args:
        low: least value.
        high: largest value.
        log: draw the logarithm evenly.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    low: int | float
    high: int | float
    log: bool = False


class SweepPlan(BaseModel):
    """The table ``[sweep]`` of a sweep's file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="Seeds that every setting is trained with.")
    trials: int | None = Field(None, ge=1, description="Settings that are tried; needed where a parameter has a range.")
    sampler: Literal["grid", "random", "tpe"] = Field(
        "grid", description="grid tries every combination of choices, random draws, tpe learns from what it has seen."
    )
    parameters: dict[str, Range | tuple[Any, ...]] = Field(
        default_factory=dict, description="Settings of a run, each with a list of choices or with low and high."
    )


class Sweep(BaseModel):
    """A sweep: the settings that all runs share, and the plan."""

    model_config = ConfigDict(frozen=True)
    base: TrainConfig
    plan: SweepPlan

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of the choices, the last parameter changing fastest."""
        choices = self.plan.parameters
        return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


def read_sweep(path: str | Path, **changes: Any) -> Sweep:
    r"""Read a sweep from a TOML file: settings of :class:`TrainConfig`, and a table ``[sweep]``.

    Args:
        path: the file.
        **changes: settings that replace those of the file.

    Raises:
        ConfigError: the file is missing or not TOML, a key is unknown, or a value that would be tried is out of range;
            the message names it.

    Example:
        >>> import tempfile
        >>> from spikesim.training import read_sweep
        >>> with tempfile.NamedTemporaryFile("w+", suffix=".toml") as file:
        ...     _ = file.write('data = "recordings"\n[sweep]\nseeds = [0, 1]\nparameters = {lr = [1e-3, 4e-3]}')
        ...     file.flush()
        ...     read_sweep(file.name).grid()
        [{'lr': 0.001}, {'lr': 0.004}]
    """
    try:
        values = tomllib.loads(Path(path).read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; give a TOML file of settings with a table [sweep]") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from error
    if not isinstance(plan := values.pop("sweep", None), dict):
        raise ConfigError(f"{path} has no table [sweep]; it names seeds and parameters: see docs/training.md")
    try:
        sweep = Sweep(base=TrainConfig(**{**values, **changes}), plan=SweepPlan(**plan))
    except ValidationError as error:
        raise ConfigError(f"{path}, [sweep]: {_problems(error)}") from None
    _check(sweep, str(path))
    return sweep


def _problems(error: ValidationError) -> str:
    found = []
    for detail in error.errors():
        name = ".".join(str(part) for part in detail["loc"] if part not in ("Range", "tuple[any, ...]"))
        if detail["type"] == "extra_forbidden":
            found.append(f"{name}: unknown; known are {', '.join(SweepPlan.model_fields)}")
        else:
            found.append(f"{name}: given {detail['input']!r}, {detail['msg'][:1].lower()}{detail['msg'][1:]}")
    return "; ".join(dict.fromkeys(found))


def _check(sweep: Sweep, path: str) -> None:
    plan = sweep.plan
    if not plan.parameters and plan.sampler != "grid":
        raise ConfigError(f"{path}, [sweep]: sampler {plan.sampler} needs parameters to draw")
    if len(set(plan.seeds)) < len(plan.seeds):
        raise ConfigError(f"{path}, [sweep]: seeds: given {list(plan.seeds)}, expected each seed once")
    for name, values in plan.parameters.items():
        if name in _FIXED or name not in TrainConfig.model_fields:
            known = [n for n in TrainConfig.model_fields if n not in _FIXED]
            raise ConfigError(f"{path}, [sweep]: parameters.{name}: cannot be swept; known are {', '.join(known)}")
        tried = (values.low, values.high) if isinstance(values, Range) else values
        if not tried:
            raise ConfigError(f"{path}, [sweep]: parameters.{name}: has no choice; give a list of values")
        for value in tried:
            sweep.base.but(**{name: value})  # names what is out of range before the first run
        if not isinstance(values, Range):
            continue
        if not values.low < values.high or (values.log and values.low <= 0):
            raise ConfigError(
                f"{path}, [sweep]: parameters.{name}: given low {values.low:g} and high {values.high:g}, "
                "expected low < high, and low > 0 with log"
            )
        if plan.sampler == "grid":
            raise ConfigError(
                f"{path}, [sweep]: parameters.{name}: has a range, and a grid has none; give a list of choices, or "
                'sampler = "tpe" and trials'
            )
    for seed in plan.seeds:
        sweep.base.but(seed=seed)
    if plan.sampler != "grid" and plan.trials is None:
        raise ConfigError(f"{path}, [sweep]: trials: missing; sampler {plan.sampler} has to know how many to draw")
    if plan.sampler == "grid" and plan.trials is not None:
        raise ConfigError(f"{path}, [sweep]: trials: a grid tries every combination; leave it out")
