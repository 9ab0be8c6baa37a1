r"""How the outputs of a converted network are read: as a potential, as a count of spikes, or after a delay.

``"membrane"`` averages the current into the output, which is what a potential without threshold holds: nothing is lost
to rounding. ``"count"`` puts spiking neurons behind the outputs, one threshold for all, and counts; logits may be
negative and counts may not, so that the same number is added to all of them first, which changes no decision. Most
published methods that report "rate" accuracy do this. ``"delayed"`` averages as ``"membrane"`` does, but only after
the deep layers have begun to speak (Bu et al., CVPR 2025): a layer needs :math:`(\theta - v_0) / \max_i \bar a_i` steps
for its first spike, with its most active neuron's mean activation :math:`\bar a_i`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx

from spikesim.converters.bias import bias_host
from spikesim.converters.histogram import Histogram, bin_edges
from spikesim.converters.latency import longest
from spikesim.converters.linear import add_bias, diagonal
from spikesim.converters.observe import Observation
from spikesim.converters.policies import NeuronPolicy
from spikesim.converters.prepare import Prepared
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.thresholds import Threshold, safe_thresholds
from spikesim.converters.workbench import Workbench
from spikesim.errors import CalibrationError, ConfigError

_NODE = "readout"
_DECIDING = 0.01  # share of the samples whose second-largest output may fall below zero


@dataclass(frozen=True)
class Readout:
    """A readout by name.

    Args:
        name: ``"membrane"``, ``"count"`` or ``"delayed"``.
        delay: Steps before the T that count; None to find them on the calibration data.

    Example:
        >>> from spikesim.converters.readouts import parse_readout
        >>> parse_readout("delayed(3)")
        Readout(name='delayed', delay=3)
    """

    name: str
    delay: int | None = 0

    @property
    def counts(self) -> bool:
        """Whether spikes are counted."""
        return self.name == "count"


def parse_readout(spec: str | Readout) -> Readout:
    """Read what a user calls a readout.

    Args:
        spec: ``"membrane"``, ``"count"``, ``"delayed"`` or ``"delayed(k)"``.

    Raises:
        ConfigError: It is none of these.

    Example:
        >>> from spikesim.converters.readouts import parse_readout
        >>> parse_readout("count").counts
        True
    """
    if isinstance(spec, Readout):
        return spec
    match = re.fullmatch(r"(membrane|count)|delayed(?:\((\d{1,5})\))?", str(spec).strip())
    if match is None:
        raise ConfigError(
            f"readout is {spec!r}; expected 'membrane', 'count', 'delayed', or 'delayed(k)' with k steps that come "
            "before the T that count"
        )
    if match[1]:
        return Readout(match[1])
    return Readout("delayed", None if match[2] is None else int(match[2]))


def check_readout(readout: Readout, policy: NeuronPolicy, exact: bool) -> None:
    """Refuse a delay for neurons whose tallies count from their first step on, and a count of what is no tally.

    Raises:
        ConfigError: Says which.

    Example:
        >>> from spikesim.converters import neuron_policy
        >>> from spikesim.converters.readouts import check_readout, parse_readout
        >>> check_readout(parse_readout("delayed(2)"), neuron_policy("if"), exact=False)
    """
    if readout.counts and policy.coding == "change":
        raise ConfigError(
            f"readout is 'count', but a spike of neuron {policy.name!r} changes a rate that is held, so that their "
            "number says nothing: take readout='membrane'"
        )
    fixed = policy.settles or policy.wait or policy.even or policy.delay(1) or policy.coding == "change"
    if readout.name == "delayed" and (exact or fixed):
        why = "an exact network" if exact else f"neuron {policy.name!r}"
        raise ConfigError(
            f"readout is 'delayed', but {why} counts its spikes from its first step on, so that none may be left out: "
            "take readout='membrane', or a neuron such as 'if', 'signed_if', 'burst' or 'group'"
        )


def counted(ready: Prepared) -> tuple[Prepared, str]:
    """The same network with rectified outputs, which neurons can stand for, and the name of the new node.

    Args:
        ready: A network with outputs ``[N, classes]``.

    Raises:
        ConfigError: There are no two classes to decide between.
        CalibrationError: All outputs are equal on all kept samples.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.prepare import prepare
        >>> from spikesim.converters.readouts import counted
        >>> ready = prepare(nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), torch.rand(8, 3))
        >>> more, name = counted(ready)
        >>> bool((more.ann(ready.seen.kept) >= 0).all()), name
        (True, 'readout')
    """
    bench = Workbench(ready.ann, ready.example)
    output = next(node for node in bench.graph.nodes if node.op == "output")
    source = output.all_input_nodes[0]
    shape: tuple[int, ...] = source.meta["shape"]
    if not isinstance(output.args[0], fx.Node) or len(shape) != 1 or shape[0] < 2:
        raise ConfigError(
            f"readout is 'count', which decides between classes, but the outputs of one sample have shape {shape}; "
            "expected (classes,) with at least two: take readout='membrane'"
        )
    if isinstance(bench.module(source), Rectifier):
        return ready, source.name
    with torch.no_grad():
        logits = ready.ann(ready.seen.kept)
    second = logits.topk(2, dim=1).values[:, 1].double()
    shift = torch.full((shape[0],), -float(second.quantile(_DECIDING)), dtype=torch.float64)
    node = bench.between(source, Rectifier(), _NODE, output)
    output.replace_input_with(source, node)
    host = bias_host(bench.root, node)
    if host is not None and host.weight.shape[0] == shape[0]:  # type: ignore[index]
        add_bias(host, shift)
    else:
        last = source
        for module in diagonal(torch.ones(shape[0]), shift, shape, ready.like):
            last = bench.between(last, module, f"{_NODE}_shift", node)
        node.replace_input_with(source, last)
    bench.measure()
    graph = bench.finish("Canonical")
    histogram = Histogram(shape[0])
    with torch.no_grad():
        histogram.update(graph(ready.seen.kept))
    if bool(histogram.dead.all()):
        raise CalibrationError("all outputs are equal on the calibration data, so that there is nothing to count")
    seen = Observation({**ready.seen.histograms, node.name: histogram}, ready.seen.samples, ready.seen.kept)
    return replace(ready, ann=graph, seen=seen), node.name


def common_range(rule: Threshold, histogram: Histogram) -> Tensor:
    """One range for all outputs, ``[C]``, so that their counts compare."""
    return safe_thresholds(rule(histogram.pooled()), histogram)


def drop_scale(snn: fx.GraphModule) -> None:
    """Let the spikes themselves be the output, not the values that they are worth; in place.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(8, 3, generator=torch.Generator().manual_seed(0))
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> network, _ = convert(model, x, timesteps=4, readout="count")
        >>> bool((network(x) % 1 == 0).all())
        True
    """
    output = next(node for node in snn.graph.nodes if node.op == "output")
    node = output.all_input_nodes[0]
    while node.name.endswith("_to_output") or "_to_output_" in node.name:
        before = node.all_input_nodes[0]
        output.replace_input_with(node, before)
        snn.graph.erase_node(node)
        snn.delete_submodule(str(node.target))
        node = before
    snn.recompile()


def delay_of(readout: Readout, timesteps: int, ann: fx.GraphModule, seen: Observation, worth: dict[str, Tensor]) -> int:
    """Steps before the T that count: as asked for, or as :func:`settling_delay` finds them, and never more than T."""
    return readout.delay if readout.delay is not None else min(settling_delay(ann, seen, worth), timesteps)


def settling_delay(ann: fx.GraphModule, seen: Observation, theta: dict[str, Tensor]) -> int:
    """Steps until the output layer hears of the input: over the slowest way, when each layer's first neuron fires.

    Args:
        ann: Canonical graph.
        seen: What was observed of it.
        theta: What a spike is worth, by node name.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.prepare import prepare
        >>> from spikesim.converters.readouts import settling_delay
        >>> ready = prepare(nn.Sequential(nn.ReLU()), torch.ones(4, 2))
        >>> settling_delay(ready.ann, ready.seen, {"relu_0": torch.tensor([8.0, 8.0])})  # reaches 1/2 in 4 steps
        4
    """
    edges = bin_edges()
    middle = (edges[1:] + edges[:-1]) / 2

    def first_spike(node: fx.Node) -> float:
        histogram = seen.histograms.get(node.name)
        if histogram is None or node.name not in theta:
            return 0.0
        mean = (histogram.counts * middle).sum(1) / histogram.total.clamp(min=1)
        largest = float((mean / theta[node.name].double().cpu()).max())
        return 0.5 / largest if largest else 0.0

    return math.ceil(longest(ann, first_spike) - 1e-9)
