"""Layers with weights as energy models see them that ask for more than counts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from spikesim.energy.geometry import Geometry
from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.ledger import Ledger


@dataclass(frozen=True)
class LayerShape:
    """A convolution or linear layer, per sample and step.

    Args:
        geometry: its sizes.
        weights: number of weights.
        bias: whether it adds a bias.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger
        >>> from spikesim.energy.shapes import layer_shapes
        >>> conv = torch.nn.Conv2d(2, 4, 3, groups=2)
        >>> shape = layer_shapes(Ledger.record(conv, torch.ones(1, 2, 6, 6), input="analog"))["(root)"]
        >>> shape.positions, shape.weights, shape.fan_out, shape.bias
        (16, 36, 18.0, True)
    """

    geometry: Geometry
    weights: int
    bias: bool

    @property
    def positions(self) -> int:
        """Places at which the kernel is applied."""
        return self.geometry.outputs // self.geometry.channels_out

    @property
    def fan_out(self) -> float:
        """Weights that meet one input value, borders and stride ignored."""
        return self.weights / self.geometry.channels_in

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self.geometry), "weights": self.weights, "bias": self.bias}


def layer_shapes(ledger: Ledger) -> dict[str, LayerShape]:
    """Shapes of the layers with weights, by name."""
    shapes = {name: _shape(layer) for name, layer in ledger.layers.items()}
    return {name: shape for name, shape in shapes.items() if shape is not None}


def _shape(layer: LayerCounts) -> LayerShape | None:
    sizes = layer.geometry
    if sizes is None:
        return None
    # Weights that are no parameters of the layer itself (a functional call) are those of a layer without groups.
    weights = layer.weights or sizes.channels_in * sizes.channels_out * math.prod(sizes.kernel)
    return LayerShape(sizes, weights, layer["bias_adds"] > 0)
