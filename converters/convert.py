"""From a trained ANN to a spiking network, with proof."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

import spikesim
from spikesim.converters.artefact import load_network, save_converted
from spikesim.converters.calibration import calibrate as run_stages
from spikesim.converters.certificate import certify
from spikesim.converters.data import Batches
from spikesim.converters.differential import differential_graph
from spikesim.converters.inputs import Inputs
from spikesim.converters.latency import Latency, depth_of
from spikesim.converters.layer_reports import layer_reports
from spikesim.converters.measure import PROFILE, measure
from spikesim.converters.policies import NeuronPolicy
from spikesim.converters.prefix import Task
from spikesim.converters.prepare import Prepared, prepare
from spikesim.converters.proof import mixes_time, prove
from spikesim.converters.readouts import Readout, common_range, counted, delay_of, drop_scale
from spikesim.converters.recipe import Granularity, Recipe
from spikesim.converters.report import ConversionReport
from spikesim.converters.running import RunningSum
from spikesim.converters.scales import fold_scales
from spikesim.converters.settling import SettlingNetwork, steady_network, time_biases
from spikesim.converters.telescope import telescope
from spikesim.converters.thresholds import Threshold
from spikesim.converters.trace import own_randomness
from spikesim.energy import Profile
from spikesim.errors import ConfigError, ConversionError
from spikesim.nn import Network


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
        """Write weights and a probe (safetensors), graph and report (JSON), see :func:`load_converted`.

        Raises:
            ConfigError: The folder cannot be written to; what was in it stays.
        """
        save_converted(self.network, self.report, folder)


def load_converted(folder: str | Path, *, verify: bool = True) -> Converted:
    """Read what :meth:`Converted.save` wrote; the ANN's class is not needed and no stored code runs.

    Args:
        folder: Where it was written to.
        verify: Ask the network what it was asked when it was saved, and compare; takes a run of four samples.

    Raises:
        CheckpointError: A file is missing, damaged, or of another schema version, or the network answers otherwise
            than it did.

    Example:
        >>> from spikesim.converters import load_converted
        >>> load_converted("no-such-folder")
        Traceback (most recent call last):
        ...
        spikesim.errors.CheckpointError: no converted network in no-such-folder: missing weights.safetensors, \
probe.safetensors, report.json, network.json
    """
    return Converted(*load_network(folder, verify))


def convert(
    model: nn.Module | Prepared,
    calibration: Batches = (),
    *,
    timesteps: int,
    neuron: str | NeuronPolicy | None = None,
    threshold: str | Threshold = "mse",
    granularity: Granularity = "channel",
    calibrate: str | Iterable[str] = ("bias",),
    evaluate: Batches | None = None,
    samples: int = 256,
    exact: bool = False,
    allow_analog: Collection[str] = (),
    readout: str | Readout = "membrane",
    profile: str | Path | Profile | None = PROFILE,
) -> Converted:
    """Convert a trained ANN to a spiking network of IF neurons with binary spikes.

    Every ReLU becomes an IF neuron (or another, ``neuron=``) with threshold 1, reset by subtraction and half its
    threshold as initial potential (Bu et al., AAAI 2022); batch-norm and scales are folded into weights and biases.
    The model is not changed.

    Args:
        model: Takes tensors ``[N, ...]``, returns tensors; ReLU, ReLU6, Hardtanh(0, c) as activations. Or what
            :func:`~spikesim.converters.prepare.prepare` made of it, to convert it in several ways. Transformers too:
            norms, softmax, GELU and attention stay analog, on running means, and layers between them get spikes.
        calibration: Typical inputs, unlabelled: a tensor, or an iterable of tensors or ``(x, y)`` pairs, read once; a
            tuple, or a dict by name, stands for the tensor where the model takes several.
        timesteps: T, the number of time steps, for which the thresholds are optimal.
        neuron: What stands for a ReLU, see :func:`neuron_policy`; ``"if"``, or ``"st_bif"`` with ``exact``. Where
            analog values of both signs become spikes: the same if it has two signs (``"st_bif"``,
            ``"multi_threshold"``, ``"differential"``), else ``"multi_threshold(4)"``.
        threshold: ``"mse"``, ``"max"``, ``"percentile(p)"``, ... or a function of a :class:`Histogram`.
        granularity: One threshold per ``"channel"`` or per ``"layer"``.
        calibrate: Label-free calibration, stage by stage in the given order, see
            :data:`~spikesim.converters.calibration.STAGES`: ``"weights"``, ``"scale"``, ``"bias"``, ``"potential"``.
        evaluate: Labelled data ``(x, y)`` or a loader: accuracy, spikes and energy at every t = 1..T, from one run.
        samples: Largest number of calibration samples that the stages use.
        exact: Neurons that take spikes back run until nothing moves; the outputs are then those of the ANN with
            quantised ReLUs, and the report holds a certificate that they are.
        allow_analog: Operations that may stay analog, by their names in the audit or by what they are (``"GELU"``,
            ``"sigmoid"``); nothing else does.
        readout: ``"membrane"`` averages the current into the output over T; ``"count"`` counts spikes of neurons behind
            the outputs ``[N, classes]``; ``"delayed(k)"`` averages over T after k steps more, ``"delayed"`` finds k.
        profile: Prices for the energy of ``evaluate``, see :func:`spikesim.energy.load_profile`; None to leave it out.

    Returns:
        The network (``[N, ...] -> [N, ...]``) and the report.

    Raises:
        ConversionError: Operations cannot be converted; all are named, with the way to rewrite them.
        CalibrationError: The weights or the calibration data give no usable thresholds.
        TimestepsError: ``timesteps`` is below 1.
        ConfigError: An unknown name, choices that do not go together, a threshold function that gives no usable
            values, or ``allow_analog`` names what the model does not have.

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
    recipe = Recipe.of(
        timesteps=timesteps,
        neuron=neuron,
        threshold=threshold,
        granularity=granularity,
        calibrate=calibrate,
        exact=exact,
        readout=readout,
    )
    if isinstance(model, Prepared) and allow_analog:
        raise ConfigError("the network is prepared already: give allow_analog to prepare(), and not to convert()")
    ready = model if isinstance(model, Prepared) else prepare(model, calibration, samples, allow_analog)
    return apply(recipe, ready, evaluate, profile)


def apply(
    recipe: Recipe,
    ready: Prepared,
    evaluate: Batches | None = None,
    profile: str | Path | Profile | None = PROFILE,
) -> Converted:
    """Convert by a recipe.

    Args:
        recipe: What was asked for.
        ready: The network and what was seen of it.
        evaluate: Labelled data, or None.
        profile: Prices for the energy of ``evaluate``, None to leave it out.

    Raises:
        ConversionError, CalibrationError, ConfigError: see :func:`convert`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.convert import apply
        >>> from spikesim.converters.prepare import prepare
        >>> from spikesim.converters.recipe import Recipe
        >>> apply(Recipe.of(timesteps=4), prepare(nn.Sequential(nn.ReLU()), torch.rand(8, 3))).report.timesteps
        4
    """
    source, chosen, last = ready.ann, recipe.policy, ""
    if recipe.readout.counts:
        ready, last = counted(ready)
    ann, kept = ready.ann, ready.samples(recipe.timesteps)
    recipe = recipe.fitted(ann)
    policy = recipe.policy
    ranges = recipe.ranges(ann, ready.seen)
    if last:
        ranges[last] = common_range(recipe.rule, ready.seen.histograms[last])
    worth = recipe.worth(ann, ranges)
    wait = policy.wait + delay_of(recipe.readout, recipe.timesteps, ann, ready.seen, worth)
    with own_randomness(ready.like):
        snn = fold_scales(ann, ready.example, worth, *recipe.builders)
    if last:
        drop_scale(snn)
    snn = telescope(snn, ready.example, recipe.timesteps if recipe.exact else None)
    proof = prove(snn)
    if proof.analog_nonlinearities and chosen.wait:
        raise ConfigError(
            f"neuron is {chosen.name!r}, whose first {chosen.wait} steps do not count, and what stays analog counts "
            "them all: choose another neuron, or rewrite the model"
        )
    if policy.wait and any(isinstance(module, RunningSum) for module in snn.modules()):
        raise ConversionError(
            f"neuron is {policy.name!r}, whose first {policy.wait} steps do not count, but a max-pool of spikes sums "
            "up all steps: use neuron='cos', or average pools"
        )
    task = Task(ann, snn, worth, kept, recipe.timesteps, recipe.most, wait, recipe.even)
    calibrated = run_stages(task, recipe.stages)
    network, hoist = _network(recipe, task, ready.example)
    few = ready.few(recipe.timesteps)
    outputs = [shift for name, shift in calibrated.shifts.items() if name not in worth]
    layers = layer_reports(network, ready.seen, few, ranges, task, calibrated.shifts, policy.most)
    certificate = certify(network, few, recipe.timesteps, recipe.most) if recipe.exact else None
    report = ConversionReport(
        model=ready.name,
        timesteps=recipe.timesteps,
        wait=wait,
        readout=f"delayed({wait})" if recipe.readout.name == "delayed" else recipe.readout.name,
        latency=Latency(
            timesteps=recipe.timesteps,
            wait=wait,
            drain=certificate.drained if certificate else 0,
            depth=depth_of(snn),
            hold=policy.delay(recipe.timesteps),
        ),
        neuron=recipe.neurons(ann),
        threshold=recipe.method + _learnt(ann),
        granularity=recipe.granularity,
        calibration=calibrated.told,
        output_bias_shift=sum(outputs) / len(outputs) if outputs else None,
        calibration_samples=ready.seen.samples,
        calibration_digest=ready.digest,
        folding_error=ready.folding_error,
        hoisted=hoist,
        layers=layers,
        proof=proof,
        certificate=certificate,
        accuracy=None if evaluate is None else measure(network, evaluate, source, profile=profile, like=ready.like),
        audit=ready.audit,
        versions={"spikesim": spikesim.__version__, "torch": torch.__version__},
    )
    return Converted(network, report)


def _network(recipe: Recipe, task: Task, example: Inputs) -> tuple[Network, bool]:
    """The calibrated graph, run for T steps or until nothing moves; whether its first layers run once."""
    counts = recipe.readout.counts
    if recipe.exact:
        timed = time_biases(task.snn, example, recipe.timesteps)
        return SettlingNetwork(timed, recipe.timesteps, counts=counts).eval(), False
    graph = differential_graph(task.snn, example) if recipe.policy.coding == "change" else task.snn
    hoist = not mixes_time(graph)
    return steady_network(graph, recipe.timesteps, task.wait, hoist, counts), hoist


def _learnt(ann: nn.Module) -> str:
    """How many ranges were learnt in training and not found by the rule."""
    count = sum(getattr(module, "trained", None) is not None for module in ann.modules())
    return f", {count} learnt" if count else ""
