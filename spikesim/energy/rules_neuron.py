"""What a layer of neurons costs: an update per neuron, step and sub-step, from the neuron's own equations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from spikesim.dynamics import Neuron
from spikesim.energy.edges import Edge
from spikesim.energy.updates import update_mix

if TYPE_CHECKING:
    from spikesim.energy.recorder import Recorder


def charge_neuron(recorder: Recorder, neuron: Neuron, x: torch.Tensor, out: torch.Tensor) -> None:
    """Count one call of a neuron, and give its output the type that it declares."""
    incoming = recorder.edges.get(x)
    width = 8 * max(out.dtype.itemsize, 4)  # potentials are kept in float32 at least
    if incoming is not None:
        seen = recorder.seen(incoming, "neuron")
        if incoming.is_spikes:
            # Spikes that no layer weighs (pooled, added, or straight from a neuron) are accumulated one by one.
            events = recorder.arriving(x, incoming)
            recorder.add(f"synops_{incoming.kind}", events)
            charge_accumulators(recorder, events, width)
        seen.once = False
    edge = Edge.declared(neuron.emits)
    recorder.edges.tag(out, edge)
    steps = recorder.evenly(out.numel(), edge)
    updates = steps * neuron.substeps
    recorder.layers[recorder.layer].state_bytes = (
        out.numel() // recorder.layout.rows * len(neuron.states) * (width // 8)
    )
    recorder.layers[recorder.layer].largest_spike = edge.levels or 1
    recorder.add("neuron_updates", updates)
    for column in ("state_reads_bits", "state_writes_bits"):
        recorder.add(column, steps * (len(neuron.states) * width))
    spikes = torch.zeros_like(updates)
    if edge.is_spikes:
        counted = recorder.tally(out, edge)
        if counted is None or counted.messages is None:  # nothing was emitted, or more than a kernel adds up
            events = recorder.events(out, edge)
            spikes, messages = recorder.per_step(events, edge), recorder.per_step(events != 0, edge)
        else:
            spikes, messages = recorder.per_row(counted.rows, edge), recorder.per_row(counted.messages, edge)
        recorder.add("spikes_out", spikes)
        recorder.add("activations", steps)
        recorder.add("activations_nonzero", messages)
        recorder.add("message_bits", messages * payload(edge))
    mix = update_mix(neuron)
    for kind, per_update in mix.per_update.items():
        recorder.add(f"update_{kind}", updates * per_update)
    for kind, per_spike in mix.per_spike.items():
        recorder.add(f"update_{kind}", spikes * per_spike)
    for primitive, times in mix.unpriced.items():
        recorder.unpriced[recorder.layer, f"neuron {primitive}"] += int(updates.sum()) * times


def payload(edge: Edge) -> int:
    """Bits that one message of a declared type carries beside its address; a binary spike is its address and a bit."""
    magnitude = (edge.levels or 1).bit_length()
    return magnitude + edge.takes_signs


def charge_accumulators(recorder: Recorder, operations: torch.Tensor, width: int) -> None:
    """Each event-driven addition reads the potential that it changes and writes it back."""
    recorder.add("state_reads_bits", operations * width)
    recorder.add("state_writes_bits", operations * width)
