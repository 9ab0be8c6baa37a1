"""What is built from neurons: networks, encoders, layers that see time, readouts."""

from spikesim.dynamics import Stateful, TimeAware
from spikesim.nn.attention import SpikingSelfAttention
from spikesim.nn.delay import DelayedLinear
from spikesim.nn.encoders import Constant
from spikesim.nn.encoders_change import Delta
from spikesim.nn.encoders_population import Population
from spikesim.nn.encoders_spiking import Latency, Phase, Poisson, SpikeEncoder
from spikesim.nn.held_dropout import HeldDropout
from spikesim.nn.network import Network, Stream
from spikesim.nn.norms import BNTT, TEBN, td_batch_norm
from spikesim.nn.psn import PSN, MaskedPSN, SlidingPSN
from spikesim.nn.readouts import Count, DelayedMean, Last, Max, Mean
from spikesim.nn.recording import LayerRecording, Recording
from spikesim.nn.recurrent import Recurrent
from spikesim.nn.residual import MSBlock, SEWBlock
from spikesim.nn.scheduled import Scheduled
from spikesim.nn.spike_pool import SpikeMaxPool2d
from spikesim.nn.state import NetworkState, Run

__all__ = [
    "BNTT",
    "PSN",
    "TEBN",
    "Constant",
    "Count",
    "DelayedLinear",
    "DelayedMean",
    "Delta",
    "HeldDropout",
    "Last",
    "Latency",
    "LayerRecording",
    "MSBlock",
    "MaskedPSN",
    "Max",
    "Mean",
    "Network",
    "NetworkState",
    "Phase",
    "Poisson",
    "Population",
    "Recording",
    "Recurrent",
    "Run",
    "SEWBlock",
    "Scheduled",
    "SlidingPSN",
    "SpikeEncoder",
    "SpikeMaxPool2d",
    "SpikingSelfAttention",
    "Stateful",
    "Stream",
    "TimeAware",
    "td_batch_norm",
]
