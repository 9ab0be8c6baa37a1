"""The pictures and the energy report of a finished run, on its test recordings."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from spikesim.errors import SpikesimError
from spikesim.training.redrawing import of_test
from spikesim.viz import (
    png_bytes,
    predictions,
    raster,
    write_bytes,
    write_text,
)

if TYPE_CHECKING:
    from spikesim.datasets import EventBatch
    from spikesim.nn import Network
    from spikesim.training.evaluation import Evaluation

_log = logging.getLogger(__name__)

SHOWN = 8  # samples in the picture of predictions
COUNTED = 32  # test recordings of the energy report, evenly spaced

PICTURES = {
    "rate_curves.png": "firing rate of every spiking layer over epochs",
    "accuracy.png": "accuracy after every time step",
    "confusion.png": "which classes are taken for which",
    "rates.png": "firing rate of every spiking layer",
    "raster.png": "spikes of every layer on the first test recording",
    "predictions.png": "test recordings, and what they were taken for",
    "energy.html": "energy per layer beside its baselines, under every profile, in a browser",
    "energy.json": "the same as numbers, with the ledger",
}
"""Files that :func:`write_pictures` writes, and what they show."""


def write_pictures(
    folder: Path, network: Network, batch: EventBatch, tested: Evaluation, classes: tuple[str, ...], source: str
) -> str:
    """Write every file of :data:`PICTURES`.

    Args:
        folder: of the run.
        network: with the selected weights, in evaluation mode, on the device of ``batch``.
        batch: test recordings of all classes.
        tested: what was measured on all of them.
        classes: their names.
        source: where the recordings come from, for the energy report.

    Returns:
        The verdict of the energy report in words, or why there is none.
    """
    few = _few(batch)
    with torch.no_grad(), network.record(samples=0) as recording:
        said = network(few.x.float(), mask=few.mask).float().softmax(1)
    confidences, named = said.max(1)
    figures = {
        **of_test(tested, classes),
        "predictions.png": predictions(
            _busiest(few.x),
            [classes[k] for k in few.likeliest.tolist()],
            [classes[k] for k in named.tolist()],
            confidences.tolist(),
        ),
        "raster.png": _rasters({name: recording[name].spikes for name in recording}),
    }
    for name, figure in figures.items():
        write_bytes(folder / name, png_bytes(figure))
    return _energy(folder, network, batch, source, tested.accuracy_at)


def _few(batch: EventBatch) -> EventBatch:
    from spikesim.datasets import EventBatch

    step = max(1, -(-len(batch.y) // SHOWN))
    mask = None if batch.mask is None else batch.mask[:, ::step]
    return EventBatch(batch.x[:, ::step], batch.lengths[::step], mask, batch.y[::step])


def _busiest(x: torch.Tensor) -> Any:
    """The frame of each recording with the most events; summed over time a moving thing is a smear."""
    step = x.flatten(2).sum(2).argmax(0)  # [N]
    return x[step, torch.arange(x.shape[1], device=x.device)].float().cpu().numpy()


def _rasters(spikes: Mapping[str, Any]) -> Any:
    from spikesim.viz.canvas import canvas

    figure, axes = canvas(len(spikes), 3.6, 3.2)
    for axis, (layer, fired) in zip(axes, spikes.items()):
        raster(fired.flatten(1).cpu().numpy(), most=100, axis=axis)
        part = axis.get_title()  # which of its neurons are drawn, where these are not all
        axis.set_title(f"{layer}\n{part}" if part else layer, fontsize=9)
    return figure


def _energy(folder: Path, network: Network, batch: EventBatch, source: str, accuracies: Sequence[float]) -> str:
    from spikesim.converters import fold_batchnorm
    from spikesim.energy import energy_report

    try:
        x = batch.x.float()
        report = energy_report(fold_batchnorm(network, x), x, input="events", mask=batch.mask, source=source)
    except SpikesimError as error:  # a network of the user's own may do what has no count
        _log.warning("no energy report: %s", error)
        return f"No energy report: {error}"
    report.save(folder / "energy.json")
    steps = len(accuracies) == report.ledger.timesteps
    write_text(folder / "energy.html", report.to_html([float(a) for a in accuracies] if steps else None))
    return report.verdict
