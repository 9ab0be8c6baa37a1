r"""Fold thresholds into weights, so that every neuron has threshold 1 and every spike is 0 or 1.

Each edge of the graph carries ``value / unit`` with a unit per channel: spikes of layer l have the unit
:math:`\lambda_l` (its threshold in the ANN's scale), the input and the output have the unit 1. A linear layer
takes any unit and gives the one its reader wants,

.. math:: \hat W_{oi} = W_{oi}\, u_i / u_o, \qquad \hat b_o = b_o / u_o,

pools, reshapes and concatenations hand units on, and where two branches of a sum differ, the one that is no
linear layer gets a 1x1 depthwise weight (Diehl 2015; Rueckauer et al., Front. Neurosci. 2017). Functions that stay
analog, and constants, need values in the ANN's scale.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters.analog import ANALOG
from spikesim.converters.inputs import Inputs, tensors_of
from spikesim.converters.linear import LINEAR, diagonal, out_channels, rescale
from spikesim.converters.maxpool import run_max_pools
from spikesim.converters.movements import LINEAR_MOVES, MOVES
from spikesim.converters.policies import half_threshold_if
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.workbench import Workbench


def fold_scales(
    graph: fx.GraphModule,
    example: Inputs,
    theta: dict[str, Tensor],
    build: Callable[[], nn.Module] = half_threshold_if,
    build_signed: Callable[[], nn.Module] | None = None,
) -> fx.GraphModule:
    """Replace every Rectifier by a neuron with threshold 1, on a copy.

    Args:
        graph: Canonical graph.
        example: An input, ``[N, ...]``.
        theta: What a spike is worth in the ANN's scale, by node name, ``[C]`` each, positive.
        build: Makes a neuron whose threshold is 1.
        build_signed: The same where both signs are sent; None where that happens nowhere.

    Returns:
        The spiking graph.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.scales import fold_scales
        >>> ann = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU())
        >>> _ = nn.init.constant_(ann[0].weight, 3.0)
        >>> canonical = canonicalise(ann, torch.zeros(1, 1)).graph
        >>> snn = fold_scales(canonical, torch.zeros(1, 1), {"relu_1": torch.tensor([4.0])})
        >>> snn.get_submodule("linear_0").weight.item()
        0.75
    """
    bench = Workbench(graph, example)
    like = next(iter(bench.root.parameters()), tensors_of(example)[0])
    wanted = _wanted_units(bench, theta)
    units: dict[fx.Node, Tensor] = {}
    for node in list(bench.graph.nodes):
        module = bench.module(node)
        sources = list(node.all_input_nodes)
        no_current = node.op == "output" or isinstance(module, (*ANALOG, *MOVES))
        if no_current and not _hands_on(module, units[sources[0]]):  # it has the ANN's scale
            for source in sources:
                _convert(bench, node, source, units[source], torch.ones_like(units[source]), like)
            units[node] = torch.ones((node.meta["shape"] or (1,))[0], dtype=torch.float64)
            continue
        target = _unit_at_input(node, module, sources, units, wanted, theta)
        if target is not None:
            for source in sources:
                _convert(bench, node, source, units[source], target, like)
        units[node] = target if target is not None else _unit_of(bench, node, module, units, wanted)
        if isinstance(module, LINEAR):
            rescale(module, units[sources[0]], 1.0 / units[node])
    bench.measure()
    for node in bench.graph.nodes:
        rectifier = bench.module(node)
        if isinstance(rectifier, Rectifier):
            make = build_signed if rectifier.signed and build_signed is not None else build
            bench.root.add_module(str(node.target), make())
    run_max_pools(bench)
    bench.root.to(like.device)
    return bench.finish("SpikingGraph")


def _unit_at_input(
    node: fx.Node,
    module: nn.Module | None,
    sources: list[fx.Node],
    units: dict[fx.Node, Tensor],
    wanted: dict[fx.Node, Tensor | None],
    theta: dict[str, Tensor],
) -> Tensor | None:
    """The unit that a node needs of all it reads: neurons and sums; None for the others."""
    if isinstance(module, Rectifier):
        return theta[node.name].double()
    if node.op == "call_function" and node.target is operator.add:
        first = units[sources[0]]
        if all(torch.equal(units[s], first) for s in sources):
            return first
        want = wanted[node]
        return torch.ones_like(first) if want is None else want
    return None


def _hands_on(module: nn.Module | None, unit: Tensor) -> bool:
    """Whether a move keeps the unit: it is one for all channels, wherever they go."""
    return isinstance(module, LINEAR_MOVES) and bool((unit == unit[0]).all())


def _convert(bench: Workbench, node: fx.Node, source: fx.Node, unit: Tensor, target: Tensor, like: Tensor) -> None:
    if torch.equal(unit, target):
        return
    last = source
    for module in diagonal(unit / target, None, source.meta["shape"], like):
        last = bench.between(last, module, f"{source.name}_to_{node.name}", node)
        last.meta["source"] = node.meta.get("source", source.meta.get("source"))
    last.meta["shape"] = source.meta["shape"]
    node.replace_input_with(source, last)


def _unit_of(
    bench: Workbench,
    node: fx.Node,
    module: nn.Module | None,
    units: dict[fx.Node, Tensor],
    wanted: dict[fx.Node, Tensor | None],
) -> Tensor:
    if node.op == "placeholder":
        return torch.ones(node.meta["shape"][0], dtype=torch.float64)
    if isinstance(module, LINEAR):
        want = wanted[node]
        return torch.ones(out_channels(module), dtype=torch.float64) if want is None else want
    if node.op == "call_function":  # concatenation
        return torch.cat([units[s] for s in node.args[0]])  # type: ignore[union-attr, index]
    source = node.all_input_nodes[0]
    unit = units[source]
    if isinstance(module, LINEAR_MOVES):
        return unit[:1].expand(node.meta["shape"][0])
    if isinstance(module, nn.Flatten):
        return unit.repeat_interleave(_features(source) // len(unit))
    if isinstance(module, nn.Unflatten):
        folded = unit.reshape(node.meta["shape"][0], -1)
        if bool((folded == folded[:, :1]).all()):
            return folded[:, 0]
        like: Any = next(bench.root.parameters())
        _convert(bench, node, source, unit, torch.ones_like(unit), like)
        return torch.ones(len(folded), dtype=torch.float64)
    return unit  # pools


def _features(node: fx.Node) -> int:
    count = 1
    for size in node.meta["shape"]:
        count *= size
    return count


def _wanted_units(bench: Workbench, theta: dict[str, Tensor]) -> dict[fx.Node, Tensor | None]:
    """The unit in which all readers of a node want its values, or None where they differ or do not mind."""
    wanted: dict[fx.Node, Tensor | None] = {}
    for node in reversed(list(bench.graph.nodes)):
        asked = [_demand(bench, user, node, wanted, theta) for user in node.users]
        real = [unit for unit in asked if unit is not None]
        wanted[node] = real[0] if real and all(torch.equal(real[0], unit) for unit in real[1:]) else None
    return wanted


def _demand(
    bench: Workbench,
    user: fx.Node,
    node: fx.Node,
    wanted: dict[fx.Node, Tensor | None],
    theta: dict[str, Tensor],
) -> Tensor | None:
    module, channels = bench.module(user), node.meta["shape"][0]
    if isinstance(module, (*LINEAR, *MOVES)):
        return None
    if user.op == "output" or isinstance(module, ANALOG):
        return torch.ones(channels, dtype=torch.float64)
    if isinstance(module, Rectifier):
        return theta[user.name].double()
    want = wanted[user]
    if want is None:
        return None
    if user.op == "call_function" and user.target is torch.cat:
        parts: list[fx.Node] = list(user.args[0])  # type: ignore[arg-type]
        start = sum(p.meta["shape"][0] for p in parts[: parts.index(node)])
        return want[start : start + channels]
    if isinstance(module, nn.Flatten):
        folded = want.reshape(channels, -1)
        return folded[:, 0] if bool((folded == folded[:, :1]).all()) else None
    if isinstance(module, nn.Unflatten):
        return want.repeat_interleave(channels // len(want))
    return want
