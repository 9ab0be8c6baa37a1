"""The stages of label-free calibration, by name, and what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from spikesim.converters.bias import calibrate_biases
from spikesim.converters.inputs import count
from spikesim.converters.potential import calibrate_potentials
from spikesim.converters.prefix import Task
from spikesim.converters.scale import calibrate_scales
from spikesim.converters.weights import calibrate_weights
from spikesim.errors import ConfigError


@dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        about: what it changes, for the report.
        run: changes the spiking graph of a task in place; gives how far it moved, by node name.

    Example:
        >>> from spikesim.converters.calibration import STAGES
        >>> STAGES["bias"].about
        'biases to channel means'
    """

    about: str
    run: Callable[[Task], dict[str, float]]


STAGES = {
    "weights": Stage("weights refitted to the spikes they get", calibrate_weights),
    "scale": Stage("worth of a spike by least squares", calibrate_scales),
    "bias": Stage("biases to channel means", calibrate_biases),
    "potential": Stage("initial potentials of every neuron", calibrate_potentials),
}
"""All stages, in an order that makes sense."""


def parse_stages(stages: str | Iterable[str]) -> tuple[str, ...]:
    """Names of stages, in the order in which they are to run.

    Args:
        stages: names, or one string of them with commas; ``()``, ``""`` or ``"none"`` for no calibration.

    Raises:
        ConfigError: a name is unknown or comes twice.

    Example:
        >>> from spikesim.converters.calibration import parse_stages
        >>> parse_stages("weights, bias"), parse_stages("none")
        (('weights', 'bias'), ())
    """
    if isinstance(stages, str):
        stages = () if stages.strip() in ("", "none") else [name.strip() for name in stages.split(",")]
    if not isinstance(stages, Iterable):
        raise ConfigError(f"calibrate is {stages!r}; expected names out of {', '.join(STAGES)}, such as ('bias',)")
    names = tuple(stages)
    for name in names:
        if name not in STAGES:
            raise ConfigError(f"calibrate holds {name!r}; expected names out of {', '.join(STAGES)}, or none")
        if names.count(name) > 1:
            raise ConfigError(f"calibrate holds {name!r} twice; each stage runs once")
    return names


@dataclass(frozen=True)
class Calibrated:
    """What the stages did.

    Args:
        told: in words.
        shifts: of the biases, by node name; empty without that stage.

    Example:
        >>> from spikesim.converters.calibration import Calibrated
        >>> Calibrated("none", {}).shifts
        {}
    """

    told: str
    shifts: dict[str, float]


def calibrate(task: Task, stages: Iterable[str]) -> Calibrated:
    """Run stages one after the other.

    Args:
        task: what to work on; changed in place.
        stages: as :func:`parse_stages` gives them.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(8, 3, generator=torch.Generator().manual_seed(0))
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> convert(model, x, timesteps=4, calibrate="bias").report.calibration
        'bias (biases to channel means, 2 layers) on 8 samples'
    """
    moved = {name: STAGES[name].run(task) for name in stages}
    parts = [f"{name} ({STAGES[name].about}, {len(found)} layers)" for name, found in moved.items()]
    told = f"{', '.join(parts)} on {count(task.samples)} samples" if parts else "none"
    return Calibrated(told, moved.get("bias", {}))
