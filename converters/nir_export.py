"""A network as a NIR graph, the field's exchange format (Pedersen et al., Nature Communications 15:8122, 2024)."""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import spikesim
from spikesim.converters.nir_modules import seconds
from spikesim.converters.nir_writer import Writer
from spikesim.errors import ConversionError
from spikesim.nn import Constant, Count, DelayedMean, Last, Mean, Network
from spikesim.viz import write_bytes


def to_nir(
    network: Network,
    path: str | os.PathLike[str] | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    dt: float = 1e-3,
) -> Any:
    """Write a network as a NIR graph, which :func:`from_nir` reads again bit for bit.

    NIR's neurons are differential equations in seconds; steps of ``dt``, the reset, the start, ties at the threshold,
    the spike type, encoder and readout are written into the metadata of the nodes, under ``"spikesim"``.

    Args:
        network: Its neurons are IF, LIF, PLIF, LI, CubaLIF, CubaLI or running sums; its layers Linear, Conv1d, Conv2d,
            AvgPool2d, reshapes that flatten, sums, products with constants. Dropout is left out.
        path: Where to write it (HDF5), whole or not at all; None for the graph alone.
        shape: Of one sample, without T and N; may be left out if a linear layer comes first.
        dt: Seconds per time step.

    Returns:
        A ``nir.NIRGraph``.

    Warns:
        UserWarning: Another reader would see something else than spikesim does; it says which nodes, and what.

    Raises:
        ConversionError: NIR cannot say the network, and all that it cannot say is named; or ``nir`` is not installed.
        ConfigError: ``dt`` is no positive number, or the file cannot be written.

    Example:
        >>> import torch
        >>> from spikesim.converters import to_nir
        >>> to_nir(torch.nn.Linear(2, 3))
        Traceback (most recent call last):
        ...
        spikesim.errors.ConversionError: to_nir takes a spikesim.nn.Network, not a Linear: wrap it, Network(module)
    """
    if type(network) is not Network:
        kind = type(network).__name__
        remedy = (
            f"NIR cannot say what a {kind} does over time; export Network(network.module) if its steps are enough"
            if isinstance(network, Network)
            else f"to_nir takes a spikesim.nn.Network, not a {kind}: wrap it, Network(module)"
        )
        raise ConversionError(remedy)
    dt = seconds(dt)
    ends, beside = _ends(network)
    writer = Writer(network.module, shape, dt)
    graph = writer.graph({"version": spikesim.__version__, "dt": dt, **ends})
    if found := [*beside, *writer.caveats()]:
        warnings.warn(
            "spikesim reads this graph as it was, but another reader would see something else: " + "; ".join(found),
            stacklevel=2,
        )
    if path is not None:
        buffer = io.BytesIO()
        writer.nir.write(buffer, graph)
        write_bytes(path, buffer.getvalue())
    return graph


def _ends(network: Network) -> tuple[dict[str, Any], list[str]]:
    said: dict[str, Any] = {}
    encoder, readout = network.encoder, network.readout
    if type(encoder) is Constant:
        said |= {"encoder": "Constant", "timesteps": encoder.timesteps, "hoist": encoder.hoist}
    elif encoder is not None:
        raise ConversionError(f"NIR has no {type(encoder).__name__}: export the network without its encoder")
    if type(readout) in (Mean, Count, Last, DelayedMean):
        said |= {"readout": type(readout).__name__, "delay": int(getattr(readout, "delay", 0))}
    elif readout is not None:
        raise ConversionError(f"NIR has no {type(readout).__name__}: export the network without its readout")
    left = [type(end).__name__ for end in (encoder, readout) if end is not None]
    return said, [f"not part of the graph: {', '.join(left)}"] if left else []
