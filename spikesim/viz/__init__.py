"""Pictures and pages from plain arrays; nothing here knows a network.

Every drawing function returns a :class:`matplotlib.figure.Figure` that belongs to no window, so that
nothing has to be closed and no display is needed. Matplotlib is imported on the first drawing.
"""

from spikesim.viz.accuracy import accuracy_over_time
from spikesim.viz.curves import rate_curves, training_curves
from spikesim.viz.energy import energy_bars
from spikesim.viz.files import check_writable, png_bytes, write_bytes, write_text
from spikesim.viz.outcome import confusion_matrix, firing_rates, predictions
from spikesim.viz.page import Section, html_page
from spikesim.viz.phase import phase_plane
from spikesim.viz.recording import recording_preview
from spikesim.viz.spikes import raster, state_trace
from spikesim.viz.surrogates import surrogate_curves
from spikesim.viz.tradeoff import energy_accuracy

__all__ = [
    "Section",
    "accuracy_over_time",
    "check_writable",
    "confusion_matrix",
    "energy_accuracy",
    "energy_bars",
    "firing_rates",
    "html_page",
    "phase_plane",
    "png_bytes",
    "predictions",
    "raster",
    "rate_curves",
    "recording_preview",
    "state_trace",
    "surrogate_curves",
    "training_curves",
    "write_bytes",
    "write_text",
]
