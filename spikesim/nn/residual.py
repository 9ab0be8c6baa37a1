"""Residual blocks: spike-element-wise (SEW), and with a shortcut between membranes (MS)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor, nn

from spikesim.dynamics import Neuron
from spikesim.errors import ConfigError
from spikesim.neurons import IF, LIF
from spikesim.nn.norms import td_batch_norm

Connect = Literal["add", "and", "iand"]
MakeNeuron = Callable[[], Neuron]


def _conv(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, bias=False)


class SEWBlock(nn.Module):
    """Two convolutions, and a shortcut that meets their spikes element by element.

    .. code-block:: text

        a = residual branch, s = shortcut, both spikes
        add:  a + s          (grows by 1 with every block: spikes of several levels)
        and:  a s
        iand: (1 - a) s

    The branch is conv - norm - neuron - conv - norm - neuron. Source: Fang et al., "Deep Residual Learning in Spiking
    Neural Networks", NeurIPS 2021.

    Args:
        inside: channels that come in.
        outside: channels that go out.
        stride: of the first convolution; with it, or with other channels, the shortcut is conv 1x1 - norm - neuron.
        connect: "add", "and" or "iand".
        neuron: builds a neuron; integrate-and-fire with a detached reset to zero if None, as there.

    Shape:
        ``[T*N, inside, H, W] -> [T*N, outside, H / stride, W / stride]``, inside a Network.

    Raises:
        ConfigError: no such connection.

    Example:
        >>> import torch
        >>> from spikesim.nn import Network
        >>> Network(SEWBlock(2, 4, stride=2))(torch.rand(3, 1, 2, 8, 8)).shape
        torch.Size([3, 1, 4, 4, 4])
    """

    def __init__(
        self, inside: int, outside: int, stride: int = 1, connect: Connect = "add", neuron: MakeNeuron | None = None
    ) -> None:
        super().__init__()
        if connect not in get_args(Connect):
            raise ConfigError(f"SEWBlock: connect is {connect!r}, but it must be one of {', '.join(get_args(Connect))}")
        make = neuron or (lambda: IF(reset="zero", detach_reset=True))
        self.connect = connect
        self.residual = nn.Sequential(
            _conv(inside, outside, 3, stride), nn.BatchNorm2d(outside), make(),
            _conv(outside, outside, 3), nn.BatchNorm2d(outside), make(),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(_conv(inside, outside, 1, stride), nn.BatchNorm2d(outside), make())

    def forward(self, x: Tensor) -> Tensor:
        """Run both ways, connect their spikes."""
        a: Tensor = self.residual(x)
        s: Tensor = self.shortcut(x)
        if self.connect == "add":
            return a + s
        return a * s if self.connect == "and" else (1.0 - a) * s


class MSBlock(nn.Module):
    """Two convolutions of spikes, and a shortcut that adds their potentials.

    The branch is neuron - conv - tdBN - neuron - conv - tdBN, and the shortcut carries real numbers past the neurons,
    so that the block begins as the identity (the last norm starts at zero). Source: Hu et al., "Advancing Spiking
    Neural Networks Toward Deep Residual Learning" (MS-ResNet), IEEE TNNLS 2024.

    Args:
        inside: channels that come in.
        outside: channels that go out.
        stride: of the first convolution; with it, or with other channels, the shortcut is conv 1x1 - tdBN.
        neuron: builds a neuron; a LIF with threshold 0.5, leak 0.25 and a detached reset to zero if None, as there.
        threshold: of the neurons; where the norms begin.

    Shape:
        ``[T*N, inside, H, W] -> [T*N, outside, H / stride, W / stride]``, inside a Network.

    Raises:
        ConfigError: a size is out of range.

    Example:
        >>> import torch
        >>> from spikesim.nn import Network
        >>> x = torch.rand(3, 1, 2, 8, 8)
        >>> torch.equal(Network(MSBlock(2, 2))(x), x)
        True
    """

    def __init__(
        self, inside: int, outside: int, stride: int = 1, neuron: MakeNeuron | None = None, threshold: float = 0.5
    ) -> None:
        super().__init__()
        make = neuron or (lambda: ms_neuron(threshold))
        last = td_batch_norm(outside, threshold)
        nn.init.zeros_(last.weight)
        self.residual = nn.Sequential(
            make(), _conv(inside, outside, 3, stride), td_batch_norm(outside, threshold),
            make(), _conv(outside, outside, 3), last,
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(_conv(inside, outside, 1, stride), td_batch_norm(outside, threshold))

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        y: Tensor = self.residual(x) + self.shortcut(x)
        return y


def ms_neuron(threshold: float = 0.5, leak: float = 0.25) -> LIF:
    """The neuron of MS-ResNet: ``u = leak v + x``, fires above the threshold, reset to zero, its gradient detached.

    Example:
        >>> import torch
        >>> ms_neuron()(torch.tensor([[0.4], [0.45], [0.5]])).flatten()
        tensor([0., 1., 0.])
    """
    from spikesim.dynamics import Box

    flags = {"scale_input": False, "reset": "zero", "detach_reset": True, "strict": True}
    return LIF(1.0 / (1.0 - leak), threshold, surrogate=Box(1.0), **flags)  # type: ignore[arg-type]
