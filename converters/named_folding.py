"""Fold batch-norms into the layers before them and keep the names of all layers: for networks with neurons too."""

from __future__ import annotations

import copy
from collections import Counter
from contextlib import ExitStack
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.utils import _pytree as pytree

from spikesim.converters.batchnorm import fold_into
from spikesim.converters.inputs import tensors_of
from spikesim.converters.linear import LINEAR
from spikesim.converters.trace import attribute, trace
from spikesim.dynamics import TimeAware
from spikesim.errors import ConversionError
from spikesim.nn import Network

Model = TypeVar("Model", bound=nn.Module)

_TOLERANCE = 1e-4  # relative to the largest value; float32 rounding stays well below


def fold_batchnorm(model: Model, example: Any) -> Model:
    """Give a copy in eval mode whose batch-norms are part of the weights before them, with an identity in their places.

    A batch-norm is folded only if it alone reads what one convolution or linear layer gives (of a linear layer,
    ``[N, C]`` only), if both are called once, nobody else uses the parameters of either, and the folded layer gives
    what the norm gave on the example, to 1e-4 of the largest value. Every other batch-norm stays. Comparing layer by
    layer is what makes this safe for spiking networks, where a rounding error may move a spike; a model without neurons
    is compared as a whole too. :func:`folded` rewrites an ANN further, until no batch-norm is left.

    An energy estimate should count the copy: no accelerator runs batch-norm as a layer of its own.

    Args:
        model: An ANN, a network with neurons, or a :class:`spikesim.nn.Network`; left as it is.
        example: Its input, as for a call: ``[N, ...]``, or ``[T, N, ...]`` for a network without encoder.

    Raises:
        ConversionError: The forward cannot be traced, or it has effects that a graph does not show, so that the copy as
            a whole does not compute what the model does.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import fold_batchnorm
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
        >>> x = torch.rand(1, 1, 5, 5)
        >>> simple = fold_batchnorm(model, x)
        >>> type(simple[1]).__name__, torch.allclose(simple(x), model(x), atol=1e-6)
        ('Identity', True)
    """
    simple = copy.deepcopy(model).eval()
    inner = simple.module if isinstance(simple, Network) else simple
    if not any(isinstance(part, _BatchNorm) for part in inner.modules()):
        return simple
    pairs = _pairs(inner)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        state = torch.get_rng_state()
        watch = _Watch([part for pair in pairs for part in pair])
        expected = watch.run(simple, example)
        for layer, norm in pairs:
            _fold(inner, layer, norm, watch)
        if pairs and not any(isinstance(part, TimeAware) for part in simple.modules()):
            torch.set_rng_state(state)
            if not all(map(_close, tensors_of(simple(example)), tensors_of(expected))):
                raise ConversionError(
                    f"{type(model).__name__} does not give the same with its batch-norms folded; its forward may have "
                    "random values or hidden effects: write it without them, or use the model unfolded"
                )
    return simple


def _pairs(inner: nn.Module) -> list[tuple[nn.Module, Any]]:
    """Layers with the batch-norm that alone reads them, by the graph of the forward."""
    graph = trace(inner, leaves=(TimeAware,), buffers=True).graph
    calls = Counter(node.meta["place"] for node in graph.nodes if node.op == "call_module")
    owners: dict[int, set[int]] = {}
    for part in inner.modules():
        for value in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            owners.setdefault(id(value), set()).add(id(part))
    places = [node.meta["place"] for node in graph.nodes if node.op == "get_attr"]
    # Tensors that the forward makes are constants of the graph, and of no module.
    read = {id(attribute(inner, place)) for place in places if not place.startswith("_tensor_constant")}

    def alone(part: nn.Module, place: str) -> bool:
        values = (*part.parameters(), *part.buffers())
        hooked = part._forward_hooks or part._forward_pre_hooks or hasattr(part, "parametrizations")
        shared = any(len(owners[id(value)]) > 1 or id(value) in read for value in values)
        return calls[place] == 1 and not hooked and not shared and "forward" not in vars(part)

    found = []
    for node in graph.nodes:
        source = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        at, behind = source.meta["place"], node.meta["place"]
        layer, norm = inner.get_submodule(at), inner.get_submodule(behind)
        known = isinstance(layer, LINEAR) and isinstance(norm, _BatchNorm) and norm.running_mean is not None
        if known and alone(layer, at) and alone(norm, behind):
            found.append((layer, norm))
    return found


class _Watch:
    """Keeps what layers were given and what they and their norms gave, in one run."""

    def __init__(self, parts: list[nn.Module]) -> None:
        self._parts = parts
        self.given: dict[nn.Module, Tensor] = {}
        self.sent: dict[nn.Module, Tensor] = {}

    def run(self, model: nn.Module, x: Any) -> Any:
        def keep(part: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            self.given[part], self.sent[part] = args[0].clone(), out.clone()

        with ExitStack() as stack:
            for part in self._parts:
                stack.callback(part.register_forward_hook(keep).remove)
            return pytree.tree_map_only(Tensor, Tensor.clone, model(x))


def _fold(inner: nn.Module, layer: nn.Module, norm: nn.Module, watch: _Watch) -> None:
    """Fold one pair, if its norm is along the layer's own output axis and the result agrees."""
    if layer not in watch.given or norm not in watch.sent:
        return
    axes = int(type(layer).__name__[-2]) if isinstance(layer, _ConvNd) and type(layer).__name__[-2].isdigit() else 0
    if watch.sent[layer].dim() != axes + 2:
        return
    candidate = copy.deepcopy(layer)
    fold_into(candidate, norm)
    if not _close(candidate(watch.given[layer]), watch.sent[norm]):
        return
    weights: Any = layer
    weights.weight, weights.bias = candidate.weight, candidate.bias
    for parent in inner.modules():
        for name, child in parent._modules.items():
            if child is norm:
                parent._modules[name] = nn.Identity()


def _close(given: Tensor, expected: Tensor) -> bool:
    """Whether two results differ by at most 1e-4 of the largest value."""
    if given.shape != expected.shape or not expected.numel():
        return given.shape == expected.shape
    return bool(((given - expected).abs().max() <= _TOLERANCE * expected.abs().max()).item())
