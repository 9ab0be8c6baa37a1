"""What is built from neurons: networks, encoders, readouts."""

from spikesim.dynamics import TimeAware
from spikesim.nn.encoders import Constant
from spikesim.nn.network import Network, Stream
from spikesim.nn.readouts import Count, DelayedMean, Last, Mean
from spikesim.nn.recording import LayerRecording, Recording
from spikesim.nn.state import NetworkState, Run

__all__ = [
    "Constant",
    "Count",
    "DelayedMean",
    "Last",
    "LayerRecording",
    "Mean",
    "Network",
    "NetworkState",
    "Recording",
    "Run",
    "Stream",
    "TimeAware",
]
