"""Events from frames: the pixel model, a camera that is shown movies, and scenes whose motion is known."""

from spikesim.datasets.simulator.model import PixelModel
from spikesim.datasets.simulator.simulate import simulate_events
from spikesim.datasets.simulator.stream import EventSimulator, Simulated, simulate_stream

__all__ = ["EventSimulator", "PixelModel", "Simulated", "simulate_events", "simulate_stream"]
