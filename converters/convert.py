"""From a trained ANN to a spiking network, with proof."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, fx, nn

import spikesim
from spikesim.converters.artefact import load_network, save_converted
from spikesim.converters.audit import audited
from spikesim.converters.bias import calibrate_biases
from spikesim.converters.data import Batches, inputs_of
from spikesim.converters.folding import folding_error
from spikesim.converters.measure import accuracy_over_time, firing_rates
from spikesim.converters.observe import Observation, check_weights, observe
from spikesim.converters.proof import mixes_time, prove
from spikesim.converters.report import ConversionReport, LayerReport
from spikesim.converters.scales import fold_scales
from spikesim.converters.thresholds import Threshold, checked, parse_threshold, safe_thresholds
from spikesim.converters.trace import own_randomness
from spikesim.errors import CalibrationError, ConfigError, ConversionError, TimestepsError
from spikesim.nn import Constant, Mean, Network

_LIVE_VALUES = 2**26


class Converted(NamedTuple):
    """A converted network and what was measured on the way.

    Args:
        network: Takes ``[N, ...]`` like the ANN, returns its outputs in the ANN's scale.
        report: See :class:`ConversionReport`.

    Example:
        >>> from spikesim.converters import Converted
        >>> Converted._fields
        ('network', 'report')
    """

    network: Network
    report: ConversionReport

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors), graph and report (JSON) into ``folder``, see :func:`load_converted`."""
        save_converted(self.network, self.report, folder)


def load_converted(folder: str | Path) -> Converted:
    """Read what :meth:`Converted.save` wrote; the ANN's class is not needed and no stored code runs.

    Raises:
        CheckpointError: A file is missing, damaged, or of another schema version.

    Example:
        >>> from spikesim.converters import load_converted
        >>> load_converted("no-such-folder")
        Traceback (most recent call last):
        ...
        spikesim.errors.CheckpointError: no converted network in no-such-folder: missing weights.safetensors, \
network.json, report.json
    """
    return Converted(*load_network(folder))


def convert(
    model: nn.Module,
    calibration: Batches,
    *,
    timesteps: int,
    threshold: str | Threshold = "mse",
    granularity: Literal["channel", "layer"] = "channel",
    calibrate_bias: bool = True,
    evaluate: Batches | None = None,
    bias_samples: int = 256,
) -> Converted:
    """Convert a trained ANN to a spiking network of IF neurons with binary spikes.

    Every ReLU becomes an IF neuron with threshold 1, reset by subtraction and half its threshold as initial
    potential (Bu et al., AAAI 2022); batch-norm and scales are folded into weights and biases. The model is not
    changed.

    Args:
        model: Takes one tensor ``[N, ...]``, returns one; ReLU, ReLU6, Hardtanh(0, c) as activations.
        calibration: Typical inputs, unlabelled: a tensor, or an iterable of tensors or ``(x, y)`` pairs, read once.
        timesteps: T, the number of time steps, for which the thresholds are optimal.
        threshold: ``"mse"``, ``"max"``, ``"percentile(p)"``, or a function of a :class:`Histogram`.
        granularity: One threshold per ``"channel"`` or per ``"layer"``.
        calibrate_bias: Correct biases so that mean rates equal mean activations; uses no labels.
        evaluate: Labelled data ``(x, y)`` or a loader: accuracy at every t = 1..T goes into the report.
        bias_samples: Largest number of calibration samples used for the biases and the firing rates.

    Returns:
        The network (``[N, ...] -> [N, ...]``) and the report.

    Raises:
        ConversionError: Operations cannot be converted; all are named, with the way to rewrite them.
        CalibrationError: The weights or the calibration data give no usable thresholds.
        TimestepsError: ``timesteps`` is below 1.
        ConfigError: An unknown threshold rule or granularity, or a threshold function that gives no usable values.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(64, 4, generator=torch.Generator().manual_seed(0))
        >>> ann = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)).eval()
        >>> network, report = convert(ann, x, timesteps=256)
        >>> report.spiking_layers, bool((network(x) - ann(x)).abs().max() < 0.05)
        (1, True)
    """
    whole: object = timesteps
    if isinstance(whole, bool) or not isinstance(whole, Integral) or int(whole) < 1:
        raise TimestepsError(f"timesteps is {timesteps!r}, but it must be a whole number of at least 1")
    timesteps = int(timesteps)
    if granularity not in ("channel", "layer"):
        raise ConfigError(f"granularity is {granularity!r}, but it must be 'channel' or 'layer'")
    method, rule = parse_threshold(threshold, timesteps)
    rule = partial(checked, rule) if callable(threshold) else rule
    check_weights(model)
    like = _like(model)
    example, data = _first(calibration, like)
    found, canonical = audited(model, example)
    if canonical is None or not found.convertible:
        raise ConversionError(found.refusal())
    ann = canonical.graph
    folding_error(model, ann, example)  # before the data are read
    seen = observe(ann, data, _how_many(ann, timesteps, bias_samples), like)
    error = folding_error(model, ann, seen.kept)
    theta = _thresholds(ann, seen, rule, granularity)
    with own_randomness(like):
        snn = fold_scales(ann, example, theta)
    proof = prove(snn)
    shifts = calibrate_biases(ann, snn, theta, seen.kept, timesteps) if calibrate_bias else {}
    hoist = not mixes_time(snn)
    network = Network(snn, encoder=Constant(timesteps, hoist=hoist), readout=Mean()).eval()
    bias = f"channel means on {len(seen.kept)} samples, {len(shifts)} layers" if shifts else "none"
    report = ConversionReport(
        model=type(model).__name__,
        timesteps=timesteps,
        threshold=method,
        granularity=granularity,
        bias_calibration=bias,
        output_bias_shift=shifts.get("output"),
        calibration_samples=seen.samples,
        folding_error=error,
        hoisted=hoist,
        layers=_layers(ann, network, seen, theta, shifts),
        proof=proof,
        accuracy=None if evaluate is None else accuracy_over_time(ann, network, evaluate, like),
        audit=found,
        versions={"spikesim": spikesim.__version__, "torch": torch.__version__},
    )
    return Converted(network, report)


def _like(model: nn.Module) -> Tensor:
    """An empty tensor of the model's dtype and device; float32 on the CPU where it has no weights."""
    weights = (p for p in itertools.chain(model.parameters(), model.buffers()) if p.is_floating_point())
    weight = next(weights, torch.zeros(0))
    if weight.dtype not in (torch.float32, torch.float64):
        raise ConversionError(f"weights are {weight.dtype}; potentials need float32: call model.float() first")
    return weight.detach().new_empty(0)


def _first(calibration: Batches, like: Tensor) -> tuple[Tensor, Iterator[Tensor]]:
    """The first sample, and an iterator that still gives everything."""
    batches = inputs_of(calibration)
    for batch in batches:
        if len(batch):
            return batch[:1].to(like), itertools.chain([batch], batches)
    raise CalibrationError("the calibration data hold no sample: give some tens of typical inputs, no labels")


def _how_many(ann: fx.GraphModule, timesteps: int, most: int) -> int:
    """Samples to run over T steps at once, so that the largest layer stays within a quarter gigabyte."""
    largest = max(math.prod(node.meta["shape"]) for node in ann.graph.nodes if node.meta["shape"])
    return max(1, min(most, _LIVE_VALUES // (timesteps * largest)))


def _thresholds(ann: fx.GraphModule, seen: Observation, rule: Threshold, granularity: str) -> dict[str, Tensor]:
    theta = {}
    for node in ann.graph.nodes:
        if node.name in seen.histograms:
            histogram = seen.histograms[node.name]
            groups = 1 if granularity == "layer" else _channels_to_come(ann, node)
            try:
                found = rule(histogram.grouped(groups))
            except ConfigError as error:
                raise ConfigError(f"layer '{node.name}': {error}") from error
            cap: float | None = ann.get_submodule(node.target).cap  # type: ignore[assignment]
            theta[node.name] = safe_thresholds(found, histogram).clamp(max=math.inf if cap is None else cap)
    return theta


def _channels_to_come(ann: fx.GraphModule, node: fx.Node) -> int:
    """As how many channels the readers of a neuron layer see it: features that become one channel share a threshold."""
    readers = [ann.get_submodule(str(u.target)) if u.op == "call_module" else None for u in node.users]
    shapes = [u.meta["shape"] for u, m in zip(node.users, readers) if isinstance(m, nn.Unflatten)]
    return math.gcd(node.meta["shape"][0], *(shape[0] for shape in shapes))


def _layers(
    ann: fx.GraphModule, network: Network, seen: Observation, theta: dict[str, Tensor], shifts: dict[str, float]
) -> list[LayerReport]:
    rates = firing_rates(network, seen.kept)
    layers = []
    for node in ann.graph.nodes:
        if node.name not in theta:
            continue
        histogram, values = seen.histograms[node.name], theta[node.name]
        rate, spikes = rates[str(node.target)]
        zero = histogram.zeros.sum().item() / histogram.total.sum().item()
        layers.append(
            LayerReport(
                name=node.name,
                kind="IF",
                shape=node.meta["shape"],
                cap=ann.get_submodule(node.target).cap,  # type: ignore[arg-type]
                threshold_min=values.min().item(),
                threshold_median=values.median().item(),
                threshold_max=values.max().item(),
                dead_channels=int(histogram.dead.sum()),
                zero_fraction=zero,
                firing_rate=rate,
                spikes_per_sample=spikes,
                bias_shift=shifts.get(node.name),
            )
        )
    return layers
