"""The neuron families: each is its equations and its parameters."""

from spikesim.neurons.adaptive import ALIF, AdLIF
from spikesim.neurons.biophysical import FitzHughNagumo, HodgkinHuxley
from spikesim.neurons.continuous import ContinuousNeuron
from spikesim.neurons.current import CubaLI, CubaLIF, RSynaptic
from spikesim.neurons.differential import DifferentialIF
from spikesim.neurons.escape import EscapeLIF
from spikesim.neurons.exponential import EIF, QIF, AdEx
from spikesim.neurons.gated import GLIF
from spikesim.neurons.graded import ILIF, BurstIF, MultiThresholdIF
from spikesim.neurons.integrate import IF
from spikesim.neurons.izhikevich import Izhikevich
from spikesim.neurons.leaky import LI, LIF
from spikesim.neurons.parametric import KLIF, PLIF
from spikesim.neurons.resonate import BHRF, BRF
from spikesim.neurons.sigma_delta import SigmaDelta
from spikesim.neurons.signed import STBIF, SignedIF, StaircaseIF
from spikesim.neurons.snntorch_leaky import Leaky, RLeaky
from spikesim.neurons.snntorch_like import Alpha, Lapicque
from spikesim.neurons.spiking import SpikingNeuron
from spikesim.neurons.tally import TallyIF

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
    "ContinuousNeuron",
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
    "SpikingNeuron",
    "StaircaseIF",
    "TallyIF",
]
