"""The neuron families: each is its equations and its parameters."""

from spikesim.neurons.integrate import IF
from spikesim.neurons.leaky import LI, LIF
from spikesim.neurons.spiking import SpikingNeuron

__all__ = ["IF", "LI", "LIF", "SpikingNeuron"]
