"""Shapes of the layers with weights, for energy models that ask for more than counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from spikesim.nn import Network


@dataclass(frozen=True)
class LayerShape:
    """A convolution or linear layer as an energy model sees it, per sample and step.

    Args:
        inputs: values that it reads.
        outputs: values that it writes.
        channels_in: input channels or features.
        channels_out: output channels or features.
        kernel: kernel size, empty for a linear layer.
        stride: its stride, of as many numbers.
        weights: number of weights.
        bias: whether it has a bias.

    Example:
        >>> import torch
        >>> from spikesim.energy.shapes import watching_shapes
        >>> conv = torch.nn.Conv2d(2, 4, 3)
        >>> with watching_shapes(conv) as shapes:
        ...     _ = conv(torch.zeros(1, 2, 6, 6))
        >>> shapes["(root)"].outputs, shapes["(root)"].positions, shapes["(root)"].fan_out
        (64, 16, 36.0)
    """

    inputs: int
    outputs: int
    channels_in: int
    channels_out: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    weights: int
    bias: bool

    @property
    def positions(self) -> int:
        """Places at which the kernel is applied."""
        return self.outputs // self.channels_out

    @property
    def area(self) -> int:
        """Weights of one kernel plane; 1 for a linear layer."""
        return math.prod(self.kernel)

    @property
    def fan_out(self) -> float:
        """Weights that meet one input value, borders and stride ignored."""
        return self.weights / self.channels_in

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@contextmanager
def watching_shapes(network: nn.Module) -> Iterator[dict[str, LayerShape]]:
    """Note the shapes of convolutions and linear layers while the network runs.

    Args:
        network: a ``Network`` or any module.

    Yields:
        Shapes by the names that a ledger uses; filled as layers run. A layer that runs twice counts twice.
    """
    root = network.module if isinstance(network, Network) else network
    shapes: dict[str, LayerShape] = {}
    with ExitStack() as stack:
        for name, module in root.named_modules():
            if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)):
                stack.callback(module.register_forward_hook(_note(shapes, name or "(root)")).remove)
        yield shapes


def _note(shapes: dict[str, LayerShape], name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    def note(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        x, weight = args[0] if args else None, module.weight
        if not (isinstance(x, torch.Tensor) and isinstance(out, torch.Tensor) and isinstance(weight, torch.Tensor)):
            return
        conv, earlier = weight.dim() > 2, shapes.get(name)
        axis = 1 if conv else -1
        shapes[name] = LayerShape(
            math.prod(x.shape[1:]) + (earlier.inputs if earlier else 0),
            math.prod(out.shape[1:]) + (earlier.outputs if earlier else 0),
            x.shape[axis],
            out.shape[axis],
            tuple(weight.shape[2:]),
            tuple(getattr(module, "stride", ())),
            weight.numel(),
            module.bias is not None,
        )

    return note
