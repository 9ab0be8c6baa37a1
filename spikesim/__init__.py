"""spikesim: convert, train and cost spiking neural networks.

One import gives the names of everyday use, each loaded when first asked for:

>>> import torch, spikesim
>>> net = spikesim.Network(torch.nn.Sequential(torch.nn.Linear(3, 2), spikesim.LIF()), readout=spikesim.Mean())
>>> net(torch.rand(5, 4, 3)).shape
torch.Size([4, 2])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from spikesim import _checkout

if TYPE_CHECKING:
    from spikesim.allocator import tune_allocator
    from spikesim.converters.audit import audit
    from spikesim.converters.convert import convert
    from spikesim.dynamics import Neuron, Param, SpikeType, State, spike, surrogates
    from spikesim.energy import energy_report
    from spikesim.neurons import (
        ALIF,
        BHRF,
        BRF,
        EIF,
        GLIF,
        IF,
        ILIF,
        KLIF,
        LI,
        LIF,
        PLIF,
        QIF,
        STBIF,
        AdEx,
        AdLIF,
        Alpha,
        BurstIF,
        CubaLI,
        CubaLIF,
        DifferentialIF,
        EscapeLIF,
        FitzHughNagumo,
        HodgkinHuxley,
        Izhikevich,
        Lapicque,
        Leaky,
        MultiThresholdIF,
        RLeaky,
        RSynaptic,
        SigmaDelta,
        SignedIF,
        StaircaseIF,
        TallyIF,
    )
    from spikesim.nn import Constant, Count, DelayedMean, Last, Mean, Network

__version__ = "0.1.0"

_checkout.serve()

_HOMES = {
    "spikesim.allocator": ("tune_allocator",),
    "spikesim.converters": ("audit", "convert"),
    "spikesim.dynamics": ("Neuron", "Param", "SpikeType", "State", "spike", "surrogates"),
    "spikesim.energy": ("energy_report",),
    "spikesim.neurons": (
        "ALIF",
        "BHRF",
        "BRF",
        "EIF",
        "GLIF",
        "IF",
        "ILIF",
        "KLIF",
        "LI",
        "LIF",
        "PLIF",
        "QIF",
        "STBIF",
        "AdEx",
        "AdLIF",
        "Alpha",
        "BurstIF",
        "CubaLI",
        "CubaLIF",
        "DifferentialIF",
        "EscapeLIF",
        "FitzHughNagumo",
        "HodgkinHuxley",
        "Izhikevich",
        "Lapicque",
        "Leaky",
        "MultiThresholdIF",
        "RLeaky",
        "RSynaptic",
        "SigmaDelta",
        "SignedIF",
        "StaircaseIF",
        "TallyIF",
    ),
    "spikesim.nn": ("Constant", "Count", "DelayedMean", "Last", "Mean", "Network"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ALIF",
    "BHRF",
    "BRF",
    "EIF",
    "GLIF",
    "IF",
    "ILIF",
    "KLIF",
    "LI",
    "LIF",
    "PLIF",
    "QIF",
    "STBIF",
    "AdEx",
    "AdLIF",
    "Alpha",
    "BurstIF",
    "Constant",
    "Count",
    "CubaLI",
    "CubaLIF",
    "DelayedMean",
    "DifferentialIF",
    "EscapeLIF",
    "FitzHughNagumo",
    "HodgkinHuxley",
    "Izhikevich",
    "Lapicque",
    "Last",
    "Leaky",
    "Mean",
    "MultiThresholdIF",
    "Network",
    "Neuron",
    "Param",
    "RLeaky",
    "RSynaptic",
    "SigmaDelta",
    "SignedIF",
    "SpikeType",
    "StaircaseIF",
    "State",
    "TallyIF",
    "audit",
    "convert",
    "energy_report",
    "spike",
    "surrogates",
    "tune_allocator",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'spikesim' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
