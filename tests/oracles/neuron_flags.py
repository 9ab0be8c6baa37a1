"""Scalar loops for the flags of a leaky integrate-and-fire neuron, one `if` per flag."""


def flagged_lif(
    inputs, *, tau, threshold, reset, scale_input=True, strict=False, reset_value=0.0, refractory=0,
    leak_after_reset=False, delayed_reset=False, v=0.0,
):  # fmt: skip
    """Spikes and the potentials that are carried."""
    leak = 1 - 1 / tau
    spikes, potentials, resting = [], [], 0
    for x in inputs:
        if resting:
            resting -= 1
            spikes.append(0.0)
            potentials.append(v)
            continue
        x = x / tau if scale_input else x
        above = lambda u: u > threshold if strict else u >= threshold  # noqa: E731
        if delayed_reset:
            fired_before = above(v)
            if fired_before and reset in ("zero", "value"):
                v = reset_value if reset == "value" else 0.0
            v = leak * v + x
            if fired_before and reset == "subtract":
                v -= threshold
            fired = above(v)
        else:
            v = v + x if leak_after_reset else leak * v + x
            fired = above(v)
            if fired and reset == "subtract":
                v -= threshold
            if fired and reset == "zero":
                v = 0.0
            if fired and reset == "value":
                v = reset_value
            if leak_after_reset:
                v = leak * v
        if fired:
            resting = refractory
        spikes.append(float(fired))
        potentials.append(v)
    return spikes, potentials


def spiking_gcn(inputs, tau=80.0, threshold=0.2):
    """Charge towards the input, subtract the threshold."""
    v, spikes = 0.0, []
    for x in inputs:
        v = v + (x - v) / tau
        s = float(v >= threshold)
        v -= threshold * s
        spikes.append(s)
    return spikes


def ems_yolo(inputs):
    """A quarter of the potential is left where it is read; 0.5 must be passed; hard reset."""
    v, spikes = 0.0, []
    for x in inputs:
        u = 0.25 * v + x
        s = float(u > 0.5)
        v = u * (1 - s)
        spikes.append(s)
    return spikes


def pdsg_victim(inputs):
    """tau 2, input as it is, threshold 1 included, hard reset."""
    v, spikes = 0.0, []
    for x in inputs:
        u = v - v / 2 + x
        s = float(u >= 1)
        v = 0.0 if s else u
        spikes.append(s)
    return spikes


def aoi_snn(inputs):
    """Half of what the reset leaves is kept; 1 must be passed."""
    v, spikes = 0.0, []
    for x in inputs:
        u = v + x
        s = float(u > 1)
        v = 0.5 * (0.0 if s else u)
        spikes.append(s)
    return spikes


def spike_point(inputs, tau=2.0):
    """PLIF whose input does not decay, hard reset."""
    v, spikes = 0.0, []
    for x in inputs:
        u = v - v / tau + x
        s = float(u >= 1)
        v = 0.0 if s else u
        spikes.append(s)
    return spikes


def ei_if(inputs):
    """BrainTransformers' quantiser: nothing is kept, the threshold climbs by one a step."""
    spikes = []
    for t, x in enumerate(inputs):
        s = float(abs(x) >= 0.5 + t)
        spikes.append(s if x > 0 else -s)
    return spikes


def custom_neuron(inputs, keep, thresholds):
    """BrainTransformers' approximator: a threshold per step, no reset."""
    v, spikes = 0.0, []
    for x, threshold in zip(inputs, thresholds):
        v = keep * v + x
        spikes.append(float(v >= threshold) - float(v <= -threshold))
    return spikes


def liquid(inputs, decay, threshold):
    """The liquid state machine's: decay of what the reset left."""
    v, s, spikes = 0.0, 0.0, []
    for x in inputs:
        v = decay * v * (1 - s) + x
        s = float(v > threshold)
        spikes.append(s)
    return spikes


def hrsnn(inputs, time_constant, threshold=1.0):
    """An exponential decay of the neuron's own time constant."""
    import math

    v, spikes = 0.0, []
    for x in inputs:
        v = math.exp(-1 / time_constant) * v + x
        s = float(v >= threshold)
        v = 0.0 if s else v
        spikes.append(s)
    return spikes
