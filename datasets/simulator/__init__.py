"""Events from frames: the pixel model, a camera that is shown movies, and scenes whose motion is known."""

from spikesim.datasets.simulator.model import PixelModel
from spikesim.datasets.simulator.movies import Movie, open_movie
from spikesim.datasets.simulator.pictures import move_picture, rotate, saccade, translate
from spikesim.datasets.simulator.scene import Motion, Scene
from spikesim.datasets.simulator.shapes import moving_bar, moving_dots, moving_grating
from spikesim.datasets.simulator.simulate import simulate_events
from spikesim.datasets.simulator.stream import EventSimulator, Simulated, simulate_stream

__all__ = [
    "EventSimulator",
    "Motion",
    "Movie",
    "PixelModel",
    "Scene",
    "Simulated",
    "move_picture",
    "moving_bar",
    "moving_dots",
    "moving_grating",
    "open_movie",
    "rotate",
    "saccade",
    "simulate_events",
    "simulate_stream",
    "translate",
]
