"""``spikesim convert`` for networks that spike already: snnTorch's, checked step by step, and NIR graphs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.errors import CheckFailed, ConfigError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from spikesim.nn import Network

EQUAL = 0.99
"""Share of values that must agree: sums of several steps at once may round otherwise and turn a spike at a tie."""


def take_over(
    name: str, source: nn.Module, network: Network, calibration: Path | None, nir: Path | None, dt: float
) -> None:
    """Say what a network became, compare it with its source, write it as NIR.

    Args:
        name: of the model, as the user gave it.
        source: what the user's factory gave: a snnTorch network, or ``network`` itself.
        network: the network of the engine.
        calibration: inputs ``[T, N, ...]`` to compare on, or None.
        nir: where to write it, or None.
        dt: seconds per time step.

    Raises:
        CheckFailed: outputs differ from snnTorch's in more than 1 % of all values.
        ConversionError: NIR cannot say the network.
    """
    import torch
    from rich.console import Console
    from rich.table import Table

    from spikesim.cli.model import check_takes, read_inputs
    from spikesim.dynamics import Neuron

    table = Table(title=f"{name} as a spikesim Network")
    for heading in ("neuron", "kind", "settings"):
        table.add_column(heading)
    for place, module in network.module.named_modules():
        if isinstance(module, Neuron):
            table.add_row(place, type(module).__name__, module.extra_repr())
    Console().print(table)
    say = Console(soft_wrap=True, highlight=False, markup=False).print
    x = None if calibration is None else read_inputs(network, calibration).x
    if x is not None:
        check_takes(network, x, str(calibration))
        if source is not network:
            share = _equal(source, network, x)
            say(f"{share:.2%} of all outputs are those of snnTorch, run step by step")
            if share < EQUAL:
                raise CheckFailed(f"the network differs from snnTorch's in {1 - share:.2%} of its outputs")
    if nir is not None:
        shape = tuple(x.shape[1 if network.encoder is not None else 2 :]) if isinstance(x, torch.Tensor) else None
        write_nir(network, nir, shape, dt)


def write_nir(network: Network, path: Path, shape: tuple[int, ...] | None, dt: float) -> None:
    """Write a network as NIR; what another reader would see otherwise goes to standard error."""
    from rich.console import Console

    from spikesim.converters import to_nir

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        to_nir(network, path, shape=shape, dt=dt)
    for warning in found:
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"note: {warning.message}")
    Console(soft_wrap=True, highlight=False, markup=False).print(f"written to {path}")


def refuse_unused(**given: Any) -> None:
    """Refuse options that are for ANNs.

    Raises:
        ConfigError: some are given.
    """
    if unused := [f"--{name.replace('_', '-')}" for name, value in given.items() if value]:
        raise ConfigError(
            f"the model is a spiking network already, and an ANN is needed for {', '.join(unused)}: it can be written "
            "with --nir, and `spikesim energy` takes it as it is"
        )


def _equal(source: nn.Module, network: Network, x: Any) -> float:
    """Share of outputs, states included, that are equal up to rounding."""
    import torch
    from snntorch import utils

    with torch.no_grad():
        utils.reset(source)
        steps = [_flat(source(row)) for row in x.unbind(0)]
        ours = _flat(network(x))
    theirs = [torch.stack(column) for column in zip(*steps)]
    close = [torch.isclose(a, b.to(a), 1e-4, 1e-5).flatten() for a, b in zip(ours, theirs, strict=True)]
    return float(torch.cat(close).double().mean())


def _flat(given: Any) -> list[torch.Tensor]:
    return list(given) if isinstance(given, tuple) else [given]
