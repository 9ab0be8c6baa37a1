"""The inputs that ``spikesim energy`` counts on: a file, recordings, or noise that says it is noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spikesim.cli.model import example_input, parse_shape, random_input, takes_steps
from spikesim.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import nn

TIMESTEPS = 10
_EVENTS_PER_PIXEL = 0.1  # and step: sparse, as event frames are


class Inputs(NamedTuple):
    """Inputs ``x``, their kind ("analog" or "events") and in words where they come from."""

    x: Any
    kind: str
    source: str


def energy_inputs(
    model: nn.Module,
    calibration: Path | None,
    shape: list[str] | None,
    recordings: Path | None,
    timesteps: int | None,
    samples: int | None,
    kind: str,
) -> Inputs:
    """Make the inputs of a model.

    Args:
        model: decides whether inputs are ``[T, N, ...]`` (a network without encoder) or ``[N, ...]``.
        calibration: an array file.
        shape: of one sample of one step, of several inputs by name.
        recordings: a folder of them.
        timesteps: T where it can be chosen.
        samples: at most so many; by default 64, or 8 random ones.
        kind: "analog" or "events".

    Raises:
        ConfigError: not one kind of input was given, T cannot be chosen, or a file cannot be read.
        ShapeError: the shape is not a list of positive integers.
    """
    from spikesim.converters.inputs import each
    from spikesim.energy.own_time import loops
    from spikesim.nn import Network

    spiking = isinstance(model, Network) or loops(model)
    over_time = takes_steps(model)
    if sum(bool(given) for given in (calibration, shape, recordings)) > 1:
        raise ConfigError("give one kind of input: --recordings, --calibration or --input-shape")
    if recordings is not None:
        if not over_time:
            raise ConfigError("--recordings are for a spiking network that takes [T, N, ...]; this model does not")
        x = _frames(recordings, TIMESTEPS if timesteps is None else timesteps, samples or 64)
        return Inputs(x, "events", f"test recordings of {recordings}")
    if timesteps is not None and spiking and not (over_time and shape):
        raise ConfigError(
            "--timesteps converts an ANN, but the model is a spiking network already; its T is that of its encoder "
            "or its own loop, or of the array x"
        )
    if timesteps is not None and timesteps < 1:
        raise ConfigError(f"timesteps is {timesteps}, expected at least 1")
    if shape:
        lead = [samples or 8]
        return _noise([TIMESTEPS if timesteps is None else timesteps, *lead] if over_time else lead, shape, kind)
    most = samples or 64
    some = each(lambda t: t[:, :most] if over_time else t[:most], example_input(model, None, calibration))
    return Inputs(some, kind, str(calibration))


def _noise(lead: list[int], shapes: list[str], kind: str) -> Inputs:
    import torch

    from spikesim.converters.inputs import each

    x = random_input(parse_shape(shapes), *lead)
    source = "uniform random noise in 0 to 1"
    if kind == "events":
        generator = torch.Generator().manual_seed(0)
        x = each(lambda t: torch.poisson(torch.full_like(t, _EVENTS_PER_PIXEL), generator=generator), x)
        source = f"random events, {_EVENTS_PER_PIXEL} per value and step"
    return Inputs(x, kind, f"{source}; the firing rates of noise say little about those of data")


def _frames(folder: Path, timesteps: int, samples: int) -> torch.Tensor:
    import torch

    from spikesim.datasets import Frames, load_nmnist, random_split

    recordings = load_nmnist(folder).test
    share = min(1.0, samples / len(recordings))
    chosen = random_split(recordings.labels, (share, 1 - share), seed=0).parts[0]  # of every class
    frames = Frames(timesteps)
    x = torch.stack([torch.from_numpy(frames(recordings[int(i)][0])) for i in chosen], dim=1)
    return x.to(torch.get_default_dtype())
