"""What the report says of each layer."""

from __future__ import annotations

from torch import Tensor

from spikesim.converters.error_parts import error_parts, preactivations
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
) -> list[LayerReport]:
    """One report for each neuron layer, in the order of the graph, after a check of the rate identity.

    Args:
        network: The converted network.
        seen: What was observed of the ANN.
        few: Inputs to measure on, ``[N, ...]``.
        ranges: Of the activations, by node name.
        task: What was calibrated.
        shifts: Of the biases, by node name.

    Raises:
        ConversionError: A layer breaks the identity.
    """
    ann, timesteps = task.ann, task.timesteps
    means, _ = measured_means(network, few, timesteps, task.wait)
    identity, wanted = identity_error(network, means, few), preactivations(ann, few, task.worth)
    layers = []
    for node in ann.graph.nodes:
        if node.name not in ranges:
            continue
        neuron = network.module.get_submodule(str(node.target))
        least, high = tally_range(neuron, task.most)
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
                error=error_parts(wanted[node.name], means[node.name], timesteps, high, least),
            )
        )
    return layers
