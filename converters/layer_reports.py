"""What the report says of each layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.converters.error_parts import PartsOverTime, error_parts, preactivations
from spikesim.converters.flow import measured_means, tally_range
from spikesim.converters.identity import identity_error
from spikesim.converters.inputs import Inputs
from spikesim.converters.observe import Observation
from spikesim.converters.prefix import Task
from spikesim.converters.ranges import cap_of
from spikesim.converters.report import LayerReport
from spikesim.nn import Network


def layer_reports(
    network: Network,
    seen: Observation,
    few: Inputs,
    ranges: dict[str, Tensor],
    task: Task,
    shifts: dict[str, float],
    burst: int = 1,
) -> list[LayerReport]:
    """One report for each neuron layer, in the order of the graph, after a check of the rate identity.

    Args:
        network: The converted network.
        seen: What was observed of the ANN.
        few: Inputs to measure on, ``[N, ...]``.
        ranges: Of the activations, by node name.
        task: What was calibrated.
        shifts: Of the biases, by node name.
        burst: Largest number of spikes in a step, of neurons that do not say it themselves.

    Raises:
        ConversionError: A layer breaks the identity.
    """
    ann, timesteps, wait = task.ann, task.timesteps, task.wait
    wanted = preactivations(ann, few, task.worth)
    earlier = [2**k for k in range(timesteps.bit_length()) if 2**k < timesteps]
    graph: Any = network.module
    modules = {n.name: graph.get_submodule(str(n.target)) for n in ann.graph.nodes if n.name in ranges}
    bounds = {n: (*tally_range(m, task.most), int(getattr(m, "burst", burst))) for n, m in modules.items()}
    parts = PartsOverTime(wanted, earlier, bounds, wait)
    means, _ = measured_means(network, few, timesteps, wait, parts.watch)
    # The running sums of max-pools start with the first step of all, and so must the mean that is compared.
    all_steps = measured_means(network, few, timesteps + wait)[0] if wait else means
    identity = identity_error(network, all_steps, few)
    layers = []
    for node in ann.graph.nodes:
        if node.name not in ranges:
            continue
        neuron, (least, most, _) = modules[node.name], bounds[node.name]
        whole = error_parts(wanted[node.name], means[node.name], timesteps, most, least)
        histogram, values = seen.histograms[node.name], ranges[node.name]
        zero = histogram.zeros.sum().item() / histogram.total.sum().item()
        layers.append(
            LayerReport(
                name=node.name,
                kind=type(neuron).__name__,
                shape=node.meta["shape"],
                cap=cap_of(ann, node.name),
                threshold_min=values.min().item(),
                threshold_median=values.median().item(),
                threshold_max=values.max().item(),
                dead_channels=int(histogram.dead.sum()),
                zero_fraction=zero,
                firing_rate=means[node.name].events,
                spikes_per_sample=means[node.name].spikes,
                bias_shift=shifts.get(node.name),
                identity_error=identity[node.name],
                error=whole,
                error_at={**parts.found[node.name], timesteps: whole},
            )
        )
    return layers
