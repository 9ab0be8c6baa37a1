"""The analytic model of Lemaire et al. (ICONIP 2022): operations, addresses and every access to memory.

Equation numbers are the paper's. Its formulas ignore borders; groups are taken from the number of weights here. Where
the authors' code and paper differ (addresses of linear layers), the paper is followed. What an ANN saves by skipping
zeros is not in the paper: here a zero saves its multiplication and the read of its weight, not the read of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spikesim.energy.means import EVENTS, Means, Quantity
from spikesim.energy.shapes import LayerShape

Entry = tuple[str, str, str, Quantity]


def lemaire_quantities(means: Means, parameters: Mapping[str, float], zero_skipping: bool) -> Iterator[Entry]:
    """List (layer, term, constant, quantity per inference).

    Args:
        means: counts per inference.
        parameters: "bits" of a memory word and "fifo", words of an event queue.
        zero_skipping: whether multiplications with zero are skipped.
    """
    bits, fifo = parameters["bits"], parameters["fifo"]
    spiking = means.spikes
    for name in means.layers:
        if name not in means.shapes:
            if "neuron_updates" in means.layers[name]:
                yield from _neuron(name, means, bits, fifo)
            continue
        shape = means.shapes[name]
        if spiking and means.inputs[name] - {"analog"}:
            yield from _spiking(name, shape, means.get(name, *EVENTS), means.steps, bits, fifo)
        else:
            runs = 1.0 if name in means.once or not spiking else means.steps
            share = _share(means, name) if zero_skipping else 1.0
            yield from _formal(name, shape, runs, share, bits, writes=not spiking)
        if spiking and "analog" in means.inputs[name]:
            # A current that is added to every potential at every step.
            sizes = shape.geometry
            yield from _access(name, "state memory", 2 * means.steps * sizes.outputs, sizes.outputs, bits)
            yield name, "bias", "add", means.steps * sizes.outputs


def _formal(name: str, shape: LayerShape, runs: float, share: Quantity, bits: float, writes: bool) -> Iterator[Entry]:
    products = runs * shape.positions * shape.weights
    sizes = shape.geometry
    conv = bool(sizes.kernel)
    yield from _access(name, "input memory", products if conv else runs * sizes.inputs, sizes.inputs, bits)  # 3, 4
    yield from _access(name, "weight memory", products * share, shape.weights, bits)  # 6.1f, 6.2f
    if writes:
        yield from _access(name, "input memory", runs * sizes.outputs, sizes.outputs, bits)  # 11, 12
    yield name, "mac", "mac", products * share
    if shape.bias:
        yield from _access(name, "weight memory", runs * sizes.outputs, sizes.channels_out, bits)  # 6.1s
        yield name, "bias", "add", runs * sizes.outputs
    addresses = sizes.inputs + sizes.outputs + sizes.channels_out * sizes.area if conv else products / runs
    yield name, "addressing", "add", runs * addresses  # 16.1, 17.1


def _spiking(name: str, shape: LayerShape, events: Quantity, steps: float, bits: float, fifo: float) -> Iterator[Entry]:
    sizes, met = shape.geometry, events * shape.fan_out
    conv = bool(sizes.kernel)
    yield from _access(name, "input memory", events, fifo, bits)  # 5
    yield from _access(name, "weight memory", met, shape.weights, bits)  # 7f, 8f
    if shape.bias:
        yield from _access(name, "weight memory", steps * sizes.outputs, sizes.channels_out, bits)  # 7s, 8s
    yield from _access(name, "state memory", 2 * (met + steps * sizes.outputs), sizes.outputs, bits)  # 9, 10, 14, 15
    reached = sizes.strided_area / sizes.area
    yield name, "synops", "add", met * reached  # 1.4, 2.4
    yield name, "bias", "add", steps * sizes.outputs
    if conv:
        yield name, "addressing", "mac", 2 * events  # 16.2
        yield name, "addressing", "add", events * sizes.area  # 16.3
    else:
        yield name, "addressing", "add", met  # 17.2


def _neuron(name: str, means: Means, bits: float, fifo: float) -> Iterator[Entry]:
    spikes = means.get(name, "spikes_out")
    yield from _access(name, "input memory", spikes, fifo, bits)  # 13
    yield name, "neuron", "add", spikes  # the reset, 1.4
    if "update_mul" in means.layers[name]:
        yield name, "neuron", "mac", means.get(name, "neuron_updates")  # the leak, 1.3


def _access(name: str, term: str, times: Quantity, words: float, bits: float) -> Iterator[Entry]:
    """Accesses to a memory of so many words: a floor, and a part that grows with the size."""
    yield name, term, "access", times
    yield name, term, "access_bit", times * (words * bits)


def _share(means: Means, name: str) -> Quantity:
    dense = means.get(name, "mac_dense")
    return means.get(name, "mac_effective") / dense if "mac_dense" in means.layers[name] else 1.0
