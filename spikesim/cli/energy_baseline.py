"""The ANN that ``spikesim energy`` compares with, without its batch-norms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.cli.model import check_takes, fitting, load_model, takes_steps
from spikesim.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import nn


def source_ann(
    network: nn.Module, x: torch.Tensor, name: str, weights: Path | None, settings: list[str] | None, fold: bool
) -> dict[str, Any]:
    """Options of :func:`spikesim.energy.energy_report` for an ANN that the user names.

    Args:
        network: what is compared with it.
        x: its inputs, of which the ANN sees the mean frame where they are ``[T, N, ...]``.
        name: of the ANN, as for the network.
        weights: its weights.
        settings: arguments of its factory.
        fold: whether its batch-norms are folded.

    Raises:
        ConfigError: the network is no spiking one.
        ShapeError: the ANN does not take the inputs.
    """
    from spikesim.energy import time_mean
    from spikesim.energy.own_time import loops
    from spikesim.nn import Network

    if not isinstance(network, Network) and not loops(network):
        raise ConfigError(
            "--ann is the baseline of a spiking network, but the model is an ANN: leave it out (with --timesteps an "
            "ANN is converted and set beside itself)"
        )
    ann = load_model(name, weights, settings)
    seen = fitting(ann, time_mean(x) if takes_steps(network) else x)
    check_takes(ann, seen, f"--ann {name}")
    return {
        "ann": without_norms(ann, seen) if fold else ann,
        "ann_input": seen,
        "ann_name": f"source ANN {name}",
    }


def without_norms(model: nn.Module, x: torch.Tensor) -> nn.Module:
    """The model without batch-norms; says which stay, since they are charged."""
    from rich.console import Console
    from torch.nn.modules.batchnorm import _BatchNorm

    from spikesim.converters import fold_batchnorm, folded
    from spikesim.energy.own_time import loops
    from spikesim.errors import ConversionError
    from spikesim.nn import Network

    def norms(module: nn.Module) -> list[str]:
        return [name for name, m in module.named_modules() if isinstance(m, _BatchNorm)]

    try:
        simple = fold_batchnorm(model, x)  # keeps the names of the layers
    except ConversionError:
        simple = model  # what cannot be traced is counted as it stands
    left = norms(simple)
    if left and not isinstance(model, Network) and not loops(model):
        try:
            return folded(model, x)
        except ConversionError:
            pass  # what cannot be traced is counted as it stands
    if left:
        Console(stderr=True, soft_wrap=True).print(
            f"batch-norm cannot be folded and is charged as layers of its own: {', '.join(left)}",
            markup=False,
            highlight=False,
        )
    return simple
