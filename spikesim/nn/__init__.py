"""What is built from neurons: networks, encoders, readouts."""

from spikesim.dynamics import TimeAware
from spikesim.nn.encoders import Constant
from spikesim.nn.encoders_change import Delta
from spikesim.nn.encoders_population import Population
from spikesim.nn.encoders_spiking import Latency, Phase, Poisson, SpikeEncoder
from spikesim.nn.network import Network, Stream
from spikesim.nn.readouts import Count, DelayedMean, Last, Max, Mean
from spikesim.nn.recording import LayerRecording, Recording
from spikesim.nn.state import NetworkState, Run

__all__ = [
    "Constant",
    "Count",
    "DelayedMean",
    "Delta",
    "Last",
    "Latency",
    "LayerRecording",
    "Max",
    "Mean",
    "Network",
    "NetworkState",
    "Phase",
    "Poisson",
    "Population",
    "Recording",
    "Run",
    "SpikeEncoder",
    "Stream",
    "TimeAware",
]
