"""Watch the activations of the ANN on calibration data, in one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters.data import Batches, check_shape, inputs_of
from spikesim.converters.histogram import Histogram
from spikesim.converters.inputs import Inputs, as_given, count, first, joined, sample_shapes, tensors_of
from spikesim.converters.rectifier import Rectifier
from spikesim.errors import CalibrationError


@dataclass(frozen=True)
class Observation:
    """What one pass over the calibration data found.

    Args:
        histograms: Activations of each Rectifier, by node name; of signed ones their absolute values.
        samples: Number of samples seen.
        kept: The first samples, ``[n, ...]``, for later label-free measurements.

    Example:
        >>> import torch
        >>> from spikesim.converters.observe import Observation
        >>> Observation({}, 0, torch.zeros(0, 1)).samples
        0
    """

    histograms: dict[str, Histogram]
    samples: int
    kept: Inputs


def check_weights(model: nn.Module) -> None:
    """Refuse NaN and infinity in parameters and buffers, but for masks of zeros and minus infinity.

    Raises:
        CalibrationError: Names every tensor that is not finite.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.observe import check_weights
        >>> layer = nn.Linear(1, 1); _ = nn.init.constant_(layer.weight, float("nan"))
        >>> check_weights(layer)
        Traceback (most recent call last):
        ...
        spikesim.errors.CalibrationError: the weights hold NaN or infinity in 'weight' (1 of 1 values): \
load a sound checkpoint, or train again with a lower learning rate
    """
    bad = []
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        mask = bool(((value == 0) | value.isneginf()).all())  # of attention, where it is meant so
        if value.is_floating_point() and not mask and not bool(torch.isfinite(value).all()):
            bad.append(f"'{name}' ({int((~torch.isfinite(value)).sum())} of {value.numel()} values)")
    if bad:
        raise CalibrationError(
            f"the weights hold NaN or infinity in {', '.join(bad)}: "
            "load a sound checkpoint, or train again with a lower learning rate"
        )


def observe(graph: fx.GraphModule, data: Batches, keep: int, like: Tensor, arity: int = 1) -> Observation:
    """Run the canonical ANN once over ``data`` and count the activations of every Rectifier.

    Args:
        graph: Canonical graph in eval mode.
        data: Calibration data, see :func:`spikesim.converters.data.inputs_of`; read once, a generator will do.
        keep: How many samples to hand back.
        like: Gives dtype and device of the inputs.
        arity: How many tensors the model takes.

    Returns:
        Histograms per Rectifier and the kept samples.

    Raises:
        CalibrationError: No data, samples of unequal shapes, data of zeros only, activations that are not finite,
            or a layer that is silent on all of the data.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.observe import observe
        >>> ann = canonicalise(nn.ReLU(), torch.zeros(1, 2)).graph
        >>> observe(ann, torch.ones(5, 2), 2, torch.zeros(1)).histograms["relu_0"].total.tolist()
        [5, 5]
    """
    histograms: dict[str, Histogram] = {}
    handles = []
    for node in graph.graph.nodes:
        if node.op == "call_module" and isinstance(graph.get_submodule(node.target), Rectifier):
            handles.append(graph.get_submodule(node.target).register_forward_hook(_count(node.name, histograms)))
    samples, largest = 0, 0.0
    kept: list[Any] = []
    try:
        with torch.no_grad():
            for raw in inputs_of(data, arity):
                x = as_given(raw, like)
                if count(x) == 0:
                    continue
                if kept:
                    check_shape(x, sample_shapes(kept[0]), "calibration")
                if not all(bool(torch.isfinite(y).all()) for y in tensors_of(graph(x))):
                    raise CalibrationError(
                        "the output layer gives NaN or infinity on the calibration data; check the weights and the "
                        "scale of the data"
                    )
                if samples < keep:
                    kept.append(first(x, keep - samples))
                samples += count(x)
                largest = max(largest, *(t.abs().max().item() for t in tensors_of(x)))
    finally:
        for handle in handles:
            handle.remove()
    if samples == 0:
        raise CalibrationError("the calibration data hold no sample: give some tens of typical inputs, no labels")
    if largest == 0 and like.is_floating_point():  # a token may well have number 0
        raise CalibrationError(
            f"all {samples} calibration samples are zero: thresholds need typical inputs, as in training"
        )
    silent = [name for name, h in histograms.items() if bool(h.dead.all())]
    if silent:
        raise CalibrationError(
            f"no activation is above zero in {', '.join(repr(s) for s in silent)} on all {samples} calibration "
            "samples, so that no threshold can be set: calibrate with typical inputs, or look for a dead layer"
        )
    return Observation(histograms, samples, joined(kept))


def _count(name: str, histograms: dict[str, Histogram]) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(rectifier: nn.Module, __: Any, output: Tensor) -> None:
        try:
            values = output.abs() if rectifier.signed else output  # levels of either sign are alike
            histograms.setdefault(name, Histogram(output.shape[1])).update(values)
        except CalibrationError as error:
            raise CalibrationError(
                f"layer '{name}': {error}; check the weights and the scale of the calibration data"
            ) from error

    return hook
