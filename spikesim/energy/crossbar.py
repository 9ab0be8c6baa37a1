"""The crossbar model of SpikeSim: every layer sweeps its crossbars at every position and step, spikes or not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from spikesim.energy.means import Means, Quantity

_COLUMNS_OF_A_CONVERTER = 8


def crossbar_quantities(
    means: Means, parameters: Mapping[str, float], zero_skipping: bool
) -> Iterator[tuple[str, str, str, Quantity]]:
    """List (layer, term, constant, quantity per inference).

    Args:
        means: counts per inference; only the number of steps matters.
        parameters: "size" of a crossbar, and how many of "htree_links", "neurons" and "subtractors" there are.
        zero_skipping: no difference here.
    """
    size = parameters["size"]
    groups = size / _COLUMNS_OF_A_CONVERTER
    for name in means.layers:
        if name not in means.shapes:
            continue
        shape = means.shapes[name]
        tiles = math.ceil(shape.geometry.channels_out / size) * math.ceil(shape.geometry.channels_in / size)
        cycles = tiles * shape.positions * (1.0 if name in means.once else means.steps)
        per_cycle = {
            "htree": parameters["htree_links"],
            "fetch": 1.0,
            "neuron": parameters["neurons"],
            "crossbar": groups * shape.geometry.area,
            "adc": groups * groups,
            "mux": groups * groups,
            "tile_buffer": 1.0,
            "temporary": groups,
            "subtractor": groups * parameters["subtractors"],
        }
        for constant, number in per_cycle.items():
            yield name, "crossbar", constant, cycles * number
