"""Layers without time: torch's modules as NIR nodes, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikesim.converters.nir_modules import Scale
from spikesim.converters.nir_read import said_by
from spikesim.errors import ConversionError

_HINTS = {
    "batchnorm": "fold it into the layer before it with spikesim.converters.fold_batchnorm(model, example)",
    "maxpool": "use nn.AvgPool2d, or nn.AvgPool2d(k, divisor_override=1) for a sum",
    "adaptive": "use nn.AvgPool2d with the kernel size that it comes to",
    "cat": "NIR has sums and no concatenations: give each part a layer of its own and add the results",
}


def no_node(name: str) -> ConversionError:
    """The error for an operation that NIR has no node for.

    Example:
        >>> from spikesim.converters.nir_layers import no_node
        >>> str(no_node("MaxPool2d"))
        'NIR has no MaxPool2d: use nn.AvgPool2d, or nn.AvgPool2d(k, divisor_override=1) for a sum'
    """
    plain = name.lower().replace("_", "")
    hints = (text for start, text in _HINTS.items() if plain.startswith(start))
    hint = next(hints, "leave it out or rewrite it")
    return ConversionError(f"NIR has no {name}: {hint}")


def layer_node(nir: Any, layer: nn.Module, before: tuple[int, ...]) -> Any:
    """Say a layer in NIR.

    Args:
        nir: The package.
        layer: Linear, Conv1d, Conv2d, AvgPool2d or Scale.
        before: Shape of one sample that it reads.

    Raises:
        ConversionError: NIR cannot say it.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.nir_layers import layer_node
        >>> layer_node(None, nn.ConvTranspose2d(2, 3, 3), (2, 8, 8))
        Traceback (most recent call last):
        ...
        spikesim.errors.ConversionError: NIR has no ConvTranspose2d: leave it out or rewrite it
    """
    if isinstance(layer, nn.Linear):
        return _linear_node(nir, layer, before)
    if isinstance(layer, (nn.Conv1d, nn.Conv2d)):
        return _conv_node(nir, layer, before)
    if isinstance(layer, nn.AvgPool2d):
        return _pool_node(nir, layer)
    if isinstance(layer, Scale):
        return nir.Scale(scale=_array(layer.scale.expand(before)))
    raise no_node(type(layer).__name__)


def _array(value: Tensor) -> Any:
    return value.detach().cpu().numpy().copy()


def _linear_node(nir: Any, layer: nn.Linear, before: tuple[int, ...]) -> Any:
    if len(before) != 1:
        raise ConversionError(f"NIR's linear layers read samples of one axis, not {before}: flatten before it")
    bias: Any = layer.bias
    if bias is None:
        return nir.Linear(weight=_array(layer.weight))
    return nir.Affine(weight=_array(layer.weight), bias=_array(bias))


def _conv_node(nir: Any, layer: nn.Conv1d | nn.Conv2d, before: tuple[int, ...]) -> Any:
    if layer.padding_mode != "zeros":
        raise ConversionError(f"NIR pads with zeros, not with padding_mode={layer.padding_mode!r}")
    flat = isinstance(layer, nn.Conv1d)

    def size(value: Any) -> Any:
        return value if isinstance(value, str) else int(value[0]) if flat else tuple(int(v) for v in value)

    node = (nir.Conv1d if flat else nir.Conv2d)(
        input_shape=before[1] if flat else tuple(before[1:]),
        weight=_array(layer.weight),
        stride=size(layer.stride),
        padding=size(layer.padding),
        dilation=size(layer.dilation),
        groups=layer.groups,
        bias=_array(layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias),
    )
    node.metadata = {"spikesim": {"bias": layer.bias is not None}}
    return node


def _pool_node(nir: Any, layer: nn.AvgPool2d) -> Any:
    if layer.ceil_mode:
        raise ConversionError("NIR's pools have no ceil_mode: pad before, or choose sizes that divide")
    padded = any(_pair(layer.padding))
    if layer.divisor_override not in (None, 1) or (padded and not layer.count_include_pad):
        raise ConversionError(
            "NIR's pools divide by the size of the kernel (AvgPool2d) or not at all (SumPool2d, divisor_override=1)"
        )
    kind = nir.AvgPool2d if layer.divisor_override is None else nir.SumPool2d
    sizes = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
    return kind(**{name: np.array(_pair(size)) for name, size in sizes.items()})


def flatten_node(nir: Any, before: tuple[int, ...], after: tuple[int, ...]) -> Any:
    """A reshape as NIR's Flatten, or None if it changes nothing.

    Args:
        nir: The package.
        before: Shape of one sample.
        after: Shape of one sample after it.

    Raises:
        ConversionError: It is no flattening.

    Example:
        >>> from spikesim.converters.nir_layers import flatten_node
        >>> flatten_node(None, (2, 3), (2, 3)) is None
        True
    """
    if before == after:
        return None
    for start in range(len(before)):
        for end in range(start + 1, len(before)):
            if after == (*before[:start], math.prod(before[start : end + 1]), *before[end + 1 :]):
                last = -1 if end == len(before) - 1 else end
                return nir.Flatten(input_type={"input": np.array(before)}, start_dim=start, end_dim=last)
    raise ConversionError(f"NIR flattens axes and has no other reshape: {before} cannot become {after}")


def _pair(value: Any) -> tuple[int, int]:
    sizes = [int(v) for v in np.asarray(value).reshape(-1)]
    if len(sizes) not in (1, 2):
        raise ConversionError(f"it has {len(sizes)} sizes where 2 are expected")
    return (sizes[0], sizes[-1])


def read_layer(node: Any, dtype: torch.dtype) -> nn.Module:
    """Build the layer of a NIR node.

    Args:
        node: Of the package ``nir``; no neuron.
        dtype: Of its weights.

    Raises:
        ConversionError: spikesim has no such layer.

    Example:
        >>> from types import SimpleNamespace
        >>> import numpy as np, torch
        >>> from spikesim.converters.nir_layers import read_layer
        >>> Linear = type("Linear", (SimpleNamespace,), {})
        >>> read_layer(Linear(weight=np.ones((3, 2))), torch.float32)
        Linear(in_features=2, out_features=3, bias=False)
    """
    kind = type(node).__name__
    build = _BUILDERS.get(kind)
    if build is None:
        raise ConversionError(f"spikesim has no counterpart to NIR's {kind}")
    return build(node, dtype)


def _tensor(value: Any, dtype: torch.dtype) -> Tensor:
    return torch.as_tensor(np.array(value), dtype=dtype)


def _filled(layer: Any, node: Any, dtype: torch.dtype) -> nn.Module:
    layer.weight = nn.Parameter(_tensor(node.weight, dtype))
    if layer.bias is not None:
        layer.bias = nn.Parameter(_tensor(node.bias, dtype))
    module: nn.Module = layer
    return module


def _read_linear(node: Any, dtype: torch.dtype) -> nn.Module:
    if np.ndim(node.weight) != 2:
        raise ConversionError(f"its weight has {np.ndim(node.weight)} axes; a linear layer has 2")
    to, given = np.shape(node.weight)
    return _filled(nn.Linear(given, to, bias=hasattr(node, "bias"), device="meta"), node, dtype)


def _read_conv(node: Any, dtype: torch.dtype) -> nn.Module:
    flat, shape = type(node).__name__ == "Conv1d", np.shape(node.weight)
    if len(shape) != (3 if flat else 4):
        raise ConversionError(f"its weight has {len(shape)} axes, one for outputs, inputs and each axis of the map")
    groups, padding = int(node.groups), node.padding

    def size(value: Any) -> Any:
        return _pair(value)[:1] if flat else _pair(value)

    layer = (nn.Conv1d if flat else nn.Conv2d)(
        shape[1] * groups,
        shape[0],
        shape[2:],
        stride=size(node.stride),
        padding=padding if isinstance(padding, str) else size(padding),
        dilation=size(node.dilation),
        groups=groups,
        bias=bool(said_by(node).get("bias", True)) or bool(np.any(node.bias)),
        device="meta",
    )
    return _filled(layer, node, dtype)


def _read_pool(node: Any, dtype: torch.dtype) -> nn.Module:
    sizes = (_pair(node.kernel_size), _pair(node.stride), _pair(node.padding))
    return nn.AvgPool2d(*sizes, divisor_override=1 if type(node).__name__ == "SumPool2d" else None)


def _read_flatten(node: Any, dtype: torch.dtype) -> nn.Module:
    start, end = int(node.start_dim), int(node.end_dim)  # of a sample; torch counts the batch
    return nn.Flatten(start + 1 if start >= 0 else start, end + 1 if end >= 0 else end)


def _read_scale(node: Any, dtype: torch.dtype) -> nn.Module:
    return Scale(_tensor(node.scale, dtype))


_BUILDERS: dict[str, Callable[[Any, torch.dtype], nn.Module]] = {
    "Affine": _read_linear,
    "Linear": _read_linear,
    "Conv1d": _read_conv,
    "Conv2d": _read_conv,
    "AvgPool2d": _read_pool,
    "SumPool2d": _read_pool,
    "Flatten": _read_flatten,
    "Scale": _read_scale,
}
