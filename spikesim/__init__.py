"""spikesim: convert, train and cost spiking neural networks."""

__version__ = "0.1.0"
