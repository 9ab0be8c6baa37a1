"""The analytic model of Lemaire et al. (ICONIP 2022): operations, addresses and every access to memory.

Equation numbers are the paper's. Its formulas ignore borders; groups are taken from the number of weights here. Where
the authors' code and paper differ (addresses of linear layers), the paper is followed. What an ANN saves by skipping
zeros is not in the paper: here a zero saves its multiplication and the read of its weight, not the read of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

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


class Work(NamedTuple):
    """What one layer does per inference; the numbers are the equations of the paper.

    Args:
        reads_in: inputs or events read.
        reads_weights: weights read.
        reads_bias: biases read.
        potentials: potentials read, and as many written.
        writes_out: outputs written, by an ANN.
        synops: additions of a weight.
        bias_adds: additions of a bias, or of nothing where there is none, to a potential.
        mac: multiply-accumulates.
        acc_addressing: additions for addresses.
        mac_addressing: multiply-accumulates for addresses.
    """

    reads_in: Quantity
    reads_weights: Quantity
    reads_bias: Quantity
    potentials: Quantity
    writes_out: Quantity
    synops: Quantity
    bias_adds: Quantity
    mac: Quantity
    acc_addressing: Quantity
    mac_addressing: Quantity


def formal_work(shape: LayerShape, runs: float) -> Work:
    """A layer that reads analog values, so many times per inference."""
    sizes, products = shape.geometry, runs * shape.positions * shape.weights
    conv, outputs = bool(sizes.kernel), runs * shape.geometry.outputs
    addresses = sizes.inputs + sizes.outputs + sizes.channels_out * sizes.area if conv else shape.weights
    return Work(
        reads_in=products if conv else runs * sizes.inputs,  # 3, 4
        reads_weights=products,  # 6.1f, 6.2f
        reads_bias=outputs if shape.bias else 0.0,  # 6.1s
        potentials=0.0,
        writes_out=outputs,  # 11, 12
        synops=0.0,
        bias_adds=outputs if shape.bias else 0.0,
        mac=products,
        acc_addressing=runs * addresses,  # 16.1, 17.1
        mac_addressing=0.0,
    )


def spiking_work(shape: LayerShape, events: Quantity, steps: float) -> Work:
    """A layer that receives so many events per inference of so many steps."""
    sizes, met, outputs = shape.geometry, events * shape.fan_out, steps * shape.geometry.outputs
    conv = bool(sizes.kernel)
    return Work(
        reads_in=events,  # 5
        reads_weights=met,  # 7f, 8f
        reads_bias=outputs if shape.bias else 0.0,  # 7s, 8s
        potentials=met + outputs,  # 9, 10, 14, 15
        writes_out=0.0,
        synops=met * (sizes.strided_area / sizes.area),  # 1.4, 2.4
        bias_adds=outputs,
        mac=0.0,
        acc_addressing=events * sizes.area if conv else met,  # 16.3, 17.2
        mac_addressing=2 * events if conv else 0.0,  # 16.2
    )


def _formal(name: str, shape: LayerShape, runs: float, share: Quantity, bits: float, writes: bool) -> Iterator[Entry]:
    work, sizes = formal_work(shape, runs), shape.geometry
    yield from _access(name, "input memory", work.reads_in, sizes.inputs, bits)
    yield from _access(name, "weight memory", work.reads_weights * share, shape.weights, bits)
    if writes:
        yield from _access(name, "input memory", work.writes_out, sizes.outputs, bits)
    yield name, "mac", "mac", work.mac * share
    if shape.bias:
        yield from _access(name, "weight memory", work.reads_bias, sizes.channels_out, bits)
        yield name, "bias", "add", work.bias_adds
    yield name, "addressing", "add", work.acc_addressing


def _spiking(name: str, shape: LayerShape, events: Quantity, steps: float, bits: float, fifo: float) -> Iterator[Entry]:
    work, sizes = spiking_work(shape, events, steps), shape.geometry
    yield from _access(name, "input memory", work.reads_in, fifo, bits)
    yield from _access(name, "weight memory", work.reads_weights, shape.weights, bits)
    if shape.bias:
        yield from _access(name, "weight memory", work.reads_bias, sizes.channels_out, bits)
    yield from _access(name, "state memory", 2 * work.potentials, sizes.outputs, bits)
    yield name, "synops", "add", work.synops
    yield name, "bias", "add", work.bias_adds
    if sizes.kernel:
        yield name, "addressing", "mac", work.mac_addressing
    yield name, "addressing", "add", work.acc_addressing


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
