"""The same counts under the conventions of other tools, to be checked against the literature.

None of these conventions is this package's: each view says where they part.
"""

from __future__ import annotations

from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.ledger import Ledger
from spikesim.errors import LedgerError


def as_neurobench(ledger: Ledger) -> dict[str, float]:
    """Metrics of NeuroBench 2.3, per sample, under its names.

    It sums over convolutions and linear layers and leaves biases and padding out; zero weights do not count in the
    effective operations and do in "Dense". It takes values other than 0, 1 and -1 for multiplications, where this
    package goes by the declared type; attention, pooling and transposed convolutions are invisible to it.

    Args:
        ledger: recorded with ``connections="nonzero"`` if any weight is zero.

    Returns:
        "Effective_MACs", "Effective_ACs", "Dense", "ActivationSparsity", "ConnectionSparsity".

    Raises:
        LedgerError: zero weights were counted as connections, or a layer receives numbers of several spikes, of which
            NeuroBench would see the values.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, as_neurobench
        >>> ledger = Ledger.record(torch.nn.Linear(3, 5), torch.tensor([[1.0, 0.0, 2.0]]), input="analog")
        >>> view = as_neurobench(ledger)
        >>> view["Effective_MACs"], view["Effective_ACs"], view["Dense"]
        (10.0, 0.0, 15.0)
    """
    macs = acs = dense = fired = values = zeros = weights = 0
    for name, layer in ledger.layers.items():
        if layer["synapses"] and layer.zero_weights and ledger.connections == "all":
            raise LedgerError(
                f"layer {name!r} has {layer.zero_weights} zero weights, which NeuroBench leaves out of its effective "
                "operations; record with connections='nonzero'"
            )
        if layer.weights and layer.inputs & {"graded", "multibit"}:
            raise LedgerError(
                f"layer {name!r} receives {layer.input_type} events, which NeuroBench classes by their values; declare "
                "an input of zeros and ones as SpikeType('binary')"
            )
        if layer.weights:
            macs += layer["mac_effective"]
            acs += layer["synops_binary"] + layer["synops_signed"]
            dense += layer["synapses"]
        fired, values = fired + layer["activations_nonzero"], values + layer["activations"]
        zeros, weights = zeros + layer.zero_weights, weights + layer.weights
    return {
        "Effective_MACs": macs / ledger.samples,
        "Effective_ACs": acs / ledger.samples,
        "Dense": dense / ledger.samples,
        "ActivationSparsity": (values - fired) / values if values else 0.0,
        "ConnectionSparsity": round(zeros / weights, 4) if weights else 0.0,
    }


def as_syops(ledger: Ledger) -> dict[str, float]:
    """ACs, MACs and energy as syops counts them for convolutions and linear layers, per sample.

    It counts padding and biases, and spikes by the mean firing rate of the input times all connections. A layer that
    receives spikes does "ACs", every other "MACs"; energy is 0.9 pJ and 4.6 pJ each. Its charges for
    norms, pools and neurons are not part of this view.

    Args:
        ledger: counts of at least one sample.

    Returns:
        "ACs", "MACs", "energy" in joules.

    Raises:
        LedgerError: connections of zero weights were left out, which syops does not do.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, as_syops
        >>> view = as_syops(Ledger.record(torch.nn.Conv2d(1, 2, 3, padding=1), torch.ones(1, 1, 4, 4), input="analog"))
        >>> view["MACs"], view["ACs"]
        (320.0, 0.0)
    """
    if ledger.connections != "all":
        raise LedgerError("syops counts zero weights; record with connections='all'")
    macs = acs = 0.0
    for layer in ledger.layers.values():
        if layer.geometry is None:
            continue
        connected = layer["synapses_padded"] + layer["bias_adds"]
        if layer.inputs == {"analog"}:
            macs += connected
        else:
            acs += connected * _events(layer) / max(_runs(ledger, layer) * layer.geometry.inputs, 1)
    macs, acs = macs / ledger.samples, acs / ledger.samples
    return {"ACs": acs, "MACs": macs, "energy": acs * 0.9e-12 + macs * 4.6e-12}


def as_lemaire(ledger: Ledger) -> dict[str, dict[str, float]]:
    """Operations and accesses per layer by the formulas of Lemaire et al. (ICONIP 2022), per sample.

    They ignore borders and groups, and count weight reads by k^2 but additions by ceil(k / stride)^2. The spikes that a
    layer emits are those of the neurons behind it; the leak of one multiplication per neuron and step is left to
    leaky neurons.

    Args:
        ledger: counts of at least one sample.

    Returns:
        Layer to "reads_in", "reads_weights", "reads_potentials", "writes_potentials", "writes_out", "acc", "mac",
        "acc_addressing", "mac_addressing".

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, as_lemaire
        >>> ledger = Ledger.record(torch.nn.Conv2d(1, 2, 3), torch.ones(1, 1, 5, 5), input="analog")
        >>> as_lemaire(ledger)["(root)"]["mac"], as_lemaire(ledger)["(root)"]["acc_addressing"]
        (162.0, 61.0)
    """
    names = list(ledger.layers)
    views = {}
    for place, name in enumerate(names):
        layer = ledger.layers[name]
        if layer.geometry is None:
            continue
        behind = [ledger.layers[n] for n in names[place + 1 :]]
        fired = next((x for x in behind if x["neuron_updates"] or x.geometry is not None), None)
        counts = _formal(ledger, layer) if layer.inputs == {"analog"} else _spiking(ledger, layer, fired)
        views[name] = {key: value / ledger.samples for key, value in counts.items()}
    return views


def _formal(ledger: Ledger, layer: LayerCounts) -> dict[str, float]:
    g, runs = layer.geometry, _runs(ledger, layer)
    if g is None:
        return {}
    products = runs * g.channels_in * g.outputs * g.area
    return {
        "reads_in": products,
        "reads_weights": products,
        "reads_potentials": 0,
        "writes_potentials": 0,
        "writes_out": runs * g.outputs,
        "acc": layer["bias_adds"],
        "mac": products,
        "acc_addressing": runs * (g.inputs + g.outputs + g.channels_out * g.area),
        "mac_addressing": 0,
    }


def _spiking(ledger: Ledger, layer: LayerCounts, behind: LayerCounts | None) -> dict[str, float]:
    g, runs, events = layer.geometry, _runs(ledger, layer), _events(layer)
    if g is None:
        return {}
    neurons = behind if behind is not None and behind["neuron_updates"] else None
    potentials = events * g.channels_out * g.area + runs * g.outputs
    fired = neurons["spikes_out"] if neurons is not None else 0
    leaky = neurons is not None and neurons["update_mul"] > 0
    return {
        "reads_in": events,
        "reads_weights": events * g.channels_out * g.area,
        "reads_potentials": potentials,
        "writes_potentials": potentials,
        "writes_out": fired,
        "acc": events * g.strided_area * g.channels_out + runs * g.outputs + fired,
        "mac": runs * g.outputs if leaky else 0,
        "acc_addressing": events * g.area,
        "mac_addressing": 2 * events,
    }


def _events(layer: LayerCounts) -> int:
    return sum(layer[f"events_in_{kind}"] for kind in ("binary", "signed", "graded", "multibit"))


def _runs(ledger: Ledger, layer: LayerCounts) -> int:
    """How often the layer ran, over samples and steps."""
    return ledger.samples if layer.once else int(ledger.active.sum())
