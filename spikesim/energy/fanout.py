"""Exact fan-out: how many connections leave each input position, borders included.

The fan-out of a linear operator is the adjoint of ones: ``d/dx sum(op(x; weights = 1))``. It is computed
once per operator and input shape and equals the number of non-zero impulse responses. Where padding
copies positions (reflect, replicate) it counts each copy, because the adder works once per copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn
from torch.func import functional_call

from spikesim.errors import LedgerError


def fan_out(operator: nn.Module, input_shape: Sequence[int]) -> torch.Tensor:
    """Connections that leave each input position of a linear operator.

    Args:
        operator: a convolution of any kind, a ``Linear``, or a chain of such modules; all weights count
            as connections, zero or not. A chain counts paths.
        input_shape: shape of one sample, without the batch axis: ``(C, H, W)`` for ``Conv2d``.

    Returns:
        int64 tensor of ``input_shape``.

    Raises:
        LedgerError: the operator does not accept the shape or is not linear with unit weights.

    Example:
        >>> from torch import nn
        >>> from spikesim.energy import fan_out
        >>> fan_out(nn.Conv2d(1, 2, 3, padding=1), (1, 3, 4))[0].tolist()
        [[8, 12, 12, 8], [12, 18, 18, 12], [8, 12, 12, 8]]
    """
    ones = {
        name: torch.zeros_like(p, dtype=torch.float64)
        if name.rpartition(".")[2] == "bias"
        else torch.ones_like(p, dtype=torch.float64)
        for name, p in operator.named_parameters()
    }
    with torch.enable_grad():
        x = torch.ones((1, *input_shape), dtype=torch.float64, requires_grad=True)
        try:
            (fan,) = torch.autograd.grad(functional_call(operator, ones, (x,)).sum(), x)
        except RuntimeError as error:
            raise LedgerError(
                f"{type(operator).__name__} does not accept one sample of shape {tuple(input_shape)}: {error}"
            ) from error
    counts = fan[0].round()
    if not torch.equal(counts, fan[0]):
        raise LedgerError(
            f"{type(operator).__name__} has fractional fan-out, so it is more than a set of connections; "
            "ask for the fan-out of the layer behind the pooling"
        )
    return counts.to(torch.int64)


@lru_cache(maxsize=1024)
def spatial_fan_out(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    transposed: bool,
    output_padding: tuple[int, ...],
) -> torch.Tensor:
    """Output positions that each input position of a convolution reaches, int64 of shape ``size``.

    All channels of a group share it, so the fan-out of a position is this times the outputs per group.
    """
    x = torch.ones((1, 1, *size), dtype=torch.float64)
    ones = torch.ones((1, 1, *kernel), dtype=torch.float64)
    how = (list(stride), list(padding), list(dilation), transposed, list(output_padding), 1)
    # The backward is called by name: below a dispatch mode there is no autograd.
    with torch.no_grad():
        y = torch.ops.aten.convolution(x, ones, None, *how)
        fan = torch.ops.aten.convolution_backward(torch.ones_like(y), x, ones, None, *how, [True, False, False])[0]
    return fan[0, 0].round().to(torch.int64)


class FanOuts:
    """Fan-out of layers some of whose weights are zero, per weight and operator; one for all batches of a recording."""

    def __init__(self) -> None:
        # The weight itself is kept, so that no other tensor takes its place in memory.
        self._known: dict[tuple[object, ...], tuple[torch.Tensor, int, torch.Tensor]] = {}

    def of(self, weight: torch.Tensor, size: Sequence[int], how: tuple[object, ...]) -> torch.Tensor:
        """Non-zero weights that leave each input position of a convolution, int64 ``[channels, *size]``.

        Args:
            weight: of the convolution.
            size: spatial size of its input.
            how: stride, padding, dilation, transposed, output padding and groups, as ``aten.convolution`` takes them.
        """
        key = (weight.data_ptr(), tuple(weight.shape), weight.stride(), tuple(size), repr(how))
        known = self._known.get(key)
        version = -1 if weight.is_inference() else weight._version
        if known is not None and known[1] == version >= 0:
            return known[2]
        groups = int(how[-1])  # type: ignore[call-overload]
        channels = weight.shape[0] if how[3] else weight.shape[1] * groups
        mask = (weight != 0).double()
        x = mask.new_ones((1, channels, *size))
        with torch.no_grad():
            y = torch.ops.aten.convolution(x, mask, None, *how)
            fan = torch.ops.aten.convolution_backward(torch.ones_like(y), x, mask, None, *how, [True, False, False])[0]
        counts: torch.Tensor = fan[0].round().to(torch.int64)
        self._known[key] = (weight, version, counts)
        return counts


def window_sizes(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out: Sequence[int],
) -> torch.Tensor:
    """Real input positions (padding excluded) in each window of a pooling layer, int64 of shape ``out``."""
    axes = []
    for n, k, s, p, d, o in zip(size, kernel, stride, padding, dilation, out):
        axes.append([sum(0 <= i * s - p + j * d < n for j in range(k)) for i in range(o)])
    return _outer(axes)


def adaptive_window_sizes(size: Sequence[int], out: Sequence[int]) -> torch.Tensor:
    """Input positions in each window of an adaptive pooling layer, int64 of shape ``out``."""
    axes = [[math.ceil((i + 1) * n / o) - (i * n) // o for i in range(o)] for n, o in zip(size, out)]
    return _outer(axes)


def _outer(axes: Sequence[Sequence[int]]) -> torch.Tensor:
    product = torch.ones((), dtype=torch.int64)
    for axis in axes:
        product = product.unsqueeze(-1) * torch.tensor(axis, dtype=torch.int64)
    return product
