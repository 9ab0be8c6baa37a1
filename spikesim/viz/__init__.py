"""Pictures and pages from plain arrays; nothing here knows a network.

Every drawing function returns a :class:`matplotlib.figure.Figure` that belongs to no window, so that
nothing has to be closed and no display is needed. Matplotlib is imported on the first drawing.
"""

from spikesim.viz.accuracy import accuracy_over_time
from spikesim.viz.curves import training_curves
from spikesim.viz.energy import energy_bars
from spikesim.viz.files import png_bytes, write_bytes, write_text
from spikesim.viz.page import Section, html_page

__all__ = [
    "Section",
    "accuracy_over_time",
    "energy_bars",
    "html_page",
    "png_bytes",
    "training_curves",
    "write_bytes",
    "write_text",
]
