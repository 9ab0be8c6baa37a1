"""What the ledger counts: one name and one meaning per column.

Every column is an exact integer per layer, time step and sample. Energy is a function
of these and of a hardware profile, never the other way round.
"""

from __future__ import annotations

EVENT_KINDS = ("binary", "signed", "graded", "multibit")

COLUMNS: dict[str, str] = {
    "events_in_binary": "binary spikes that reach the layer",
    "events_in_signed": "signed spikes that reach the layer",
    "events_in_graded": "units of graded (integer) spikes that reach the layer: a value of 3 is 3 events",
    "events_in_multibit": "messages that reach the layer, each a signed number of several bits, whatever it holds",
    "synops_binary": "additions of a weight caused by binary spikes",
    "synops_signed": "additions or subtractions of a weight caused by signed spikes",
    "synops_graded": "additions of a weight caused by graded spikes, with multiplicity",
    "synops_multibit": "additions of a weight times a number of several bits, one per message",
    "synapses": "connections of the layer, zero weights too, whatever crosses them; zero padding excluded",
    "synapses_padded": "the same with zero padding counted, as many papers do; for comparison only",
    "mac_dense": "multiply-accumulates on analog inputs; zero padding excluded",
    "mac_effective": "the part of mac_dense whose analog input is not zero",
    "weight_fetches": "weights read, without reuse: one per synaptic operation and per multiply-accumulate",
    "driven_neurons": "outputs that at least one event reaches",
    "bias_adds": "additions of a bias or another constant to an output",
    "residual_adds": "additions of two activations",
    "neuron_updates": "neurons times steps, times sub-steps where a neuron has them",
    "update_add": "additions inside the neuron updates, resets included",
    "update_mul": "multiplications inside the neuron updates",
    "update_cmp": "comparisons inside the neuron updates",
    "state_reads_bits": "bits of potentials read: one per synaptic operation, all states per neuron and step",
    "state_writes_bits": "bits of potentials written, likewise",
    "spikes_out": "events that the layer emits",
    "message_bits": "bits of what the neurons send, addresses excluded: 1 per binary spike, one more for a sign",
    "activations": "values that neurons and activation functions emit, zeros too",
    "activations_nonzero": "those that are not zero",
    "op_add": "additions elsewhere: analog pooling, norms, readout",
    "op_mul": "multiplications elsewhere: unfolded norms, analog scaling and pooling",
    "op_cmp": "comparisons elsewhere: ReLU, max-pooling",
}
