"""From a trained ANN to a spiking network, with proof."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import nn

import spikesim
from spikesim.converters.artefact import load_network, save_converted
from spikesim.converters.bias import calibrate_biases
from spikesim.converters.certificate import certify
from spikesim.converters.data import Batches
from spikesim.converters.layer_reports import layer_reports
from spikesim.converters.measure import accuracy_over_time
from spikesim.converters.neurons_of import neurons_of
from spikesim.converters.policies import NeuronPolicy, neuron_policy
from spikesim.converters.potential import calibrate_potentials
from spikesim.converters.prepare import Prepared, prepare
from spikesim.converters.proof import mixes_time, prove
from spikesim.converters.ranges import activation_ranges, cap_of
from spikesim.converters.report import ConversionReport
from spikesim.converters.scales import fold_scales
from spikesim.converters.settling import SettlingNetwork, steady_network, time_biases
from spikesim.converters.telescope import telescope
from spikesim.converters.thresholds import Threshold, checked, parse_threshold
from spikesim.converters.trace import own_randomness
from spikesim.errors import ConfigError, TimestepsError
from spikesim.nn import Network

CHECKED = 32
"""Calibration samples on which a converted network is checked."""


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
    model: nn.Module | Prepared,
    calibration: Batches = (),
    *,
    timesteps: int,
    neuron: str | NeuronPolicy | None = None,
    threshold: str | Threshold = "mse",
    granularity: Literal["channel", "layer"] = "channel",
    calibrate_bias: bool = True,
    evaluate: Batches | None = None,
    bias_samples: int = 256,
    exact: bool = False,
    calibrate_potential: bool = False,
) -> Converted:
    """Convert a trained ANN to a spiking network of IF neurons with binary spikes.

    Every ReLU becomes an IF neuron (or another, ``neuron=``) with threshold 1, reset by subtraction and half its
    threshold as initial potential (Bu et al., AAAI 2022); batch-norm and scales are folded into weights and biases.
    The model is not changed.

    Args:
        model: Takes one tensor ``[N, ...]``, returns one; ReLU, ReLU6, Hardtanh(0, c) as activations. Or what
            :func:`~spikesim.converters.prepare.prepare` made of it, to convert it in several ways. Transformers too:
            norms, softmax, GELU and attention stay analog, on running means, and layers between them get spikes.
        calibration: Typical inputs, unlabelled: a tensor, or an iterable of tensors or ``(x, y)`` pairs, read once.
        timesteps: T, the number of time steps, for which the thresholds are optimal.
        neuron: What stands for a ReLU, see :func:`neuron_policy`; ``"if"``, or ``"st_bif"`` with ``exact``. Where
            analog values of both signs become spikes: the same if it has two signs (``"st_bif"``,
            ``"multi_threshold"``), else ``"multi_threshold(4)"``.
        threshold: ``"mse"``, ``"max"``, ``"percentile(p)"``, or a function of a :class:`Histogram`.
        granularity: One threshold per ``"channel"`` or per ``"layer"``.
        calibrate_bias: Correct biases so that mean rates equal mean activations; uses no labels.
        evaluate: Labelled data ``(x, y)`` or a loader: accuracy at every t = 1..T goes into the report.
        bias_samples: Largest number of calibration samples used for the biases.
        exact: Neurons that take spikes back run until nothing moves; the outputs are then those of the ANN with
            quantised ReLUs, and the report holds a certificate that they are.
        calibrate_potential: Give each neuron an initial potential of its own, after the biases; uses no labels.

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
    policy = neuron_policy(neuron or ("st_bif" if exact else "if"))
    if exact and not policy.settles:
        raise ConfigError(
            f"neuron is {policy.name!r}, which does not take back what it has sent; exact=True needs 'st_bif' or "
            "'multi_threshold'"
        )
    if calibrate_potential and (exact or policy.wait or policy.name == "parallel"):
        raise ConfigError(
            "calibrate_potential=True sets what a neuron holds before its first step, which means nothing to "
            f"{'an exact network' if exact else repr(policy.name)}: leave it out"
        )
    parse_threshold(threshold, policy.levels(timesteps))  # a mistake is told before the data are read
    ready = model if isinstance(model, Prepared) else prepare(model, calibration, bias_samples)
    ann, seen, samples = ready.ann, ready.seen, ready.samples(timesteps)
    both = neurons_of(ann, policy, neuron is not None)
    policy = both.relu
    method, rule = parse_threshold(threshold, policy.levels(timesteps))
    signed_rule = parse_threshold(threshold, both.signed.levels(timesteps))[1]
    if callable(threshold):
        rule = signed_rule = partial(checked, rule)
    theta = activation_ranges(ann, seen, rule, granularity, signed_rule)
    learnt = sum(getattr(module, "trained", None) is not None for module in ann.modules())
    method += f", {learnt} learnt" if learnt else ""
    worth = {n: both.at(ann, n).worth(reach, timesteps, cap_of(ann, n)) for n, reach in theta.items()}
    builders = (partial(policy.build, timesteps), partial(both.signed.build, timesteps))
    with own_randomness(ready.like):
        snn = fold_scales(ann, ready.example, worth, *builders)
        snn = telescope(snn, ready.example, timesteps if exact else None)
    proof = prove(snn)
    most, few = policy.tally(timesteps), samples[:CHECKED]
    even = most if exact else None
    shifts = calibrate_biases(ann, snn, worth, samples, timesteps, even, policy.wait) if calibrate_bias else {}
    starts = calibrate_potentials(ann, snn, worth, samples, timesteps) if calibrate_potential else {}
    hoist = not exact and not mixes_time(snn)
    network: Network
    if exact:
        network = SettlingNetwork(time_biases(snn, ready.example, timesteps), timesteps).eval()
    else:
        network = steady_network(snn, timesteps, policy.wait, hoist)
    bias = f"channel means on {len(samples)} samples, {len(shifts)} layers" if shifts else "none"
    bias += "; initial potentials of every neuron" if starts else ""
    report = ConversionReport(
        model=ready.name,
        timesteps=timesteps,
        wait=policy.wait,
        neuron=both.name,
        threshold=method,
        granularity=granularity,
        bias_calibration=bias,
        output_bias_shift=shifts.get("output"),
        calibration_samples=seen.samples,
        folding_error=ready.folding_error,
        hoisted=hoist,
        layers=layer_reports(ann, network, seen, few, theta, worth, shifts, timesteps, most, policy.wait),
        proof=proof,
        certificate=certify(network, few, timesteps, most) if exact else None,
        accuracy=None if evaluate is None else accuracy_over_time(ann, network, evaluate, ready.like, policy.wait),
        audit=ready.audit,
        versions={"spikesim": spikesim.__version__, "torch": torch.__version__},
    )
    return Converted(network, report)
