"""What the ledger counts: one name and one meaning per column.

Every column is an exact integer per layer and time step, summed over samples. Energy is a function
of these and of a hardware profile, never the other way round.
"""

from __future__ import annotations

EVENT_KINDS = ("binary", "signed", "graded")

COLUMNS: dict[str, str] = {
    "events_in_binary": "binary spikes that reach the layer",
    "events_in_signed": "signed spikes that reach the layer",
    "events_in_graded": "units of graded (integer) spikes that reach the layer: a value of 3 is 3 events",
    "synops_binary": "additions of a weight caused by binary spikes",
    "synops_signed": "additions or subtractions of a weight caused by signed spikes",
    "synops_graded": "additions of a weight caused by graded spikes, with multiplicity",
    "synapses": "connections of the layer, whatever crosses them; zero padding excluded",
    "synapses_padded": "the same with zero padding counted, as many papers do; for comparison only",
    "mac_dense": "multiply-accumulates on analog inputs; zero padding excluded",
    "mac_effective": "the part of mac_dense whose analog input is not zero",
    "bias_adds": "additions of a bias or another constant to an output",
    "residual_adds": "additions of two activations",
    "neuron_updates": "neurons times steps",
    "update_add": "additions inside the neuron updates, resets included",
    "update_mul": "multiplications inside the neuron updates",
    "update_cmp": "comparisons inside the neuron updates",
    "spikes_out": "events that the layer emits",
    "op_add": "additions elsewhere: analog pooling, norms, readout",
    "op_mul": "multiplications elsewhere: unfolded norms, analog scaling and pooling",
    "op_cmp": "comparisons elsewhere: ReLU, max-pooling",
}
