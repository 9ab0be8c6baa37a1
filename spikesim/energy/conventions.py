"""What is counted how: printed with every report, because the same network costs differently elsewhere."""

CONVENTIONS = {
    "padding": "zero padding is not counted, in the network and in both baselines alike",
    "weights": "every weight counts as a connection, zero or not",
    "bias": "one addition per output and step in which it is added",
    "input": "an analog input costs multiply-accumulates, dense unless zero-skipping; a constant one is computed once "
    "(analog_once) where the network does so, else at every step; each unit of an event input is one addition per "
    "connection",
    "pooling": "average pooling of spikes folds into the next weights: each spike is one event (once per window where "
    "windows overlap); max-pooling is comparisons",
    "residual": "spikes added to spikes stay as many events; a spike added to an analog value is one addition",
    "neurons": "the operations of an update follow the neuron's equations, for every neuron at every real step; a "
    "reset by subtraction is one addition per spike",
    "readout": "one addition per output value (or spike) and real step; a constant divisor is folded",
    "masked steps": "count nothing",
    "memory": "memory traffic, control, communication and static power are not included",
}
