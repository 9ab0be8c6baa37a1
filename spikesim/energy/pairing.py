"""Which layers of a network and of its baseline do the same work: the rows of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from spikesim.energy.ledger import Ledger
from spikesim.errors import LedgerError


@dataclass(frozen=True)
class Sources:
    """What layers were made from, where something rewrote a network and knows; others are matched by their names.

    Args:
        network: layer of the network -> layer of the model that it was made from.
        ann: the same for a baseline that was rewritten too (:func:`spikesim.converters.folded`).
    """

    network: Mapping[str, str] = field(default_factory=dict)
    ann: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for side in (self.network, self.ann):
            if not isinstance(side, Mapping) or not all(isinstance(t, str) for pair in side.items() for t in pair):
                raise LedgerError(
                    f"the sources of layers are {side!r}, but they must be names of layers by their names"
                )

    def to_dict(self) -> dict[str, dict[str, str]]:
        """Plain values, for JSON."""
        return {"network": dict(self.network), "ann": dict(self.ann)}


class Pair(NamedTuple):
    """Layers on both sides that do the same work; either side may be empty.

    Args:
        name: of the row, unlike that of any other, with underscores for dots.
        layers: of the network.
        ann_layers: of the baseline.
    """

    name: str
    layers: tuple[str, ...]
    ann_layers: tuple[str, ...]


def paired(network: Ledger, ann: Ledger, sources: Sources) -> list[Pair]:
    """Every layer of both sides in exactly one pair, in the network's order; the baseline's own come last.

    Several layers that were made from one (the projections of an attention, a layer and its bias) stand together. A
    layer of spiking neurons stands by itself where its model had a function and no module.

    Args:
        network: counts of the network.
        ann: counts of its baseline.
        sources: what is known of their layers.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.energy import Ledger
        >>> from spikesim.energy.pairing import Sources, paired
        >>> a = Ledger.record(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), torch.ones(1, 2), input="analog")
        >>> b = Ledger.record(nn.Linear(2, 2), torch.ones(1, 2), input="analog")
        >>> paired(a, b, Sources({"0": "(root)"}))
        [Pair(name='0', layers=('0',), ann_layers=('(root)',)), Pair(name='1', layers=('1',), ann_layers=())]
    """
    origins = {name: sources.ann.get(name, name) for name in ann.layers}
    by_name = {plain(name): origin for name, origin in origins.items()}
    known = set(origins.values())
    groups: dict[tuple[str, str], list[str]] = {}
    for name in network.layers:
        told = sources.network.get(name)
        origin = told if told in known else by_name.get(plain(name))
        groups.setdefault(("own", name) if origin is None else ("ann", origin), []).append(name)
    for (kind, _), names in list(groups.items()):
        spiking = [name for name in names if _is_spiking(network, name)]
        if kind == "ann" and len(names) > 1:
            groups |= {("own", name): [name] for name in spiking}
            names[:] = [name for name in names if name not in spiking]
    groups = {which: names for which, names in groups.items() if names}
    theirs: dict[str, list[str]] = {}
    for name, origin in origins.items():
        theirs.setdefault(origin, []).append(name)
    found, taken = [], set[str]()
    place = {name: k for k, name in enumerate(network.layers)}
    for (kind, origin), names in sorted(groups.items(), key=lambda item: place[item[1][0]]):
        found.append(_pair(_name(names, origin), names, theirs.pop(origin, []) if kind == "ann" else [], taken))
    return found + [_pair(names[0], [], names, taken) for names in theirs.values()]


def _pair(name: str, layers: list[str], ann_layers: list[str], taken: set[str]) -> Pair:
    name = plain(name)
    while name in taken:
        name += "'"
    taken.add(name)
    return Pair(name, tuple(layers), tuple(ann_layers))


def _name(names: list[str], origin: str) -> str:
    """That of a layer by itself, or with helpers that are named after it; else that of what they were made from."""
    leads = [name for name in names if all(other.startswith(name) for other in names)]
    return leads[0] if leads else origin


def _is_spiking(ledger: Ledger, name: str) -> bool:
    return "spikes_out" in ledger[name].counts


def partners(network: Ledger, ann: Ledger, pairs: list[Pair]) -> dict[str, str]:
    """Layer with connections -> the one layer of the baseline that does the same work, where each side has just one.

    Args:
        network: counts of the network.
        ann: counts of its baseline.
        pairs: of :func:`paired`.
    """
    found = {}
    for pair in pairs:
        ours = [name for name in pair.layers if network[name]["synapses"] or network[name]["mac_dense"]]
        theirs = [name for name in pair.ann_layers if ann[name]["mac_dense"]]
        if len(ours) == len(theirs) == 1:
            found[ours[0]] = theirs[0]
    return found


def plain(name: str) -> str:
    """A name as a converted network writes it.

    Example:
        >>> from spikesim.energy.pairing import plain
        >>> plain("layer1.0.conv")
        'layer1_0_conv'
    """
    return name.replace(".", "_")
