"""The third baseline: a quantised network with as many activation levels as a spiking network has in T steps.

Only steps that the readout takes into account are capacity. A larger figure would make the baseline dearer, and so
flatter the spiking network.
"""

from __future__ import annotations

from collections.abc import Mapping

from spikesim.energy.charges import Side
from spikesim.energy.ledger import Ledger

VALIDITY = (
    "Yan et al. (arXiv 2409.08290) map a rate-coded network of T steps to a quantised one of ceil(log2(T + 1)) bits. "
    "That holds for binary spikes whose number carries the value, and where the rate per input and step lies between "
    "(1 - g)/T and 1 - g, g being the share of zeros in the activations of the quantised network"
)


def matched_bits(timesteps: int, largest_spike: int = 1) -> int:
    """Bits of an activation that can take as many values as there are spike counts in T steps.

    Args:
        timesteps: T, at least 1: the steps that the readout takes into account.
        largest_spike: units of the largest spike: 1 for binary ones, 2**bits - 1 for those of several bits.

    Returns:
        ceil(log2(L + 1)), L being ``timesteps * largest_spike``. A sign is not counted: activations behind a ReLU have
        none.

    Example:
        >>> from spikesim.energy import matched_bits
        >>> [matched_bits(t) for t in (1, 3, 4, 7, 8)]
        [1, 2, 3, 3, 4]
        >>> matched_bits(1, largest_spike=15)
        4
    """
    return (timesteps * largest_spike).bit_length()


def matched_side(network: Ledger, ann: Ledger) -> Side:
    """How the capacity-matched network computes: few bits, zeros skipped, its analog input at full precision.

    Args:
        network: counts of the spiking network.
        ann: counts of the ANN that is quantised.
    """
    first = next((name for name, layer in ann.layers.items() if layer["mac_dense"]), None)
    return Side(True, matched_bits(network.levels), frozenset() if first is None else frozenset({first}))


def departures(network: Ledger, partners: Mapping[str, str], ann: Ledger) -> list[str]:
    """Where the mapping behind the third baseline does not hold for this network, in words.

    Args:
        network: counts of the spiking network.
        partners: layer of the network -> layer of the ANN.
        ann: counts of the ANN.

    Returns:
        One sentence per departure; empty where the mapping holds.
    """
    totals = network.total()
    found = []
    several = [kind for kind in ("signed", "graded", "multibit") if totals[f"synops_{kind}"]]
    if several:
        found.append(f"spikes are {' and '.join(several)}, and the mapping was shown for binary ones")
    for name, partner in partners.items():
        layer, dense = network[name], ann[partner]["mac_dense"]
        if not layer["synops_binary"] or not layer["synapses"] or not dense:
            continue
        rate, share = layer["synops_binary"] / layer["synapses"], ann[partner]["mac_effective"] / dense
        least = share / network.counted_steps
        if not least <= rate <= share:
            side = "below" if rate < least else "above"
            found.append(f"{name}: rate {rate:.3g} is {side} the range {least:.3g} to {share:.3g}")
    return found
