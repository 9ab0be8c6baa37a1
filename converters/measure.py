"""Accuracy, spikes and energy of a converted network at every step, from one run."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikesim.converters.data import Batches, check_shape, pairs_of
from spikesim.converters.early_exit import EarlyExit
from spikesim.converters.expense import Tally, counted_run
from spikesim.converters.folding import folded
from spikesim.converters.inputs import Inputs, as_given, count, pieces, tensors_of
from spikesim.converters.movements import TokenEmbedding
from spikesim.converters.report import Accuracy
from spikesim.converters.settling import SettlingNetwork, waits
from spikesim.energy import Ledger, Profile, load_profile, price
from spikesim.energy.record import called
from spikesim.errors import CalibrationError, ConfigError, ConversionError
from spikesim.nn import Constant, Network

PROFILE = "horowitz45-fp32"
_LIVE_VALUES = 2**25


@torch.no_grad()
def measure(
    network: Network,
    data: Batches,
    ann: nn.Module | None = None,
    *,
    profile: str | Path | Profile | None = PROFILE,
    like: Tensor | None = None,
) -> Accuracy:
    """Accuracy, spikes and energy of a network read out after every t = 1..T, from one run; and of its ANN.

    Args:
        network: A converted network; its outputs before the readout are summed from the first step that counts.
        data: Labelled batches, see :func:`spikesim.converters.data.pairs_of`; class scores on axis 1.
        ann: The ANN, on the same samples; None to leave it out. Its batch-norms are folded before it is counted, as
            those of the network were; where that cannot be done a warning says that they are charged.
        profile: Prices of the operations, see :func:`spikesim.energy.load_profile`; None to count no operations, which
            takes about half the time.
        like: Gives dtype and device of the inputs; those of the network by default.

    Raises:
        CalibrationError: There is no labelled sample, the outputs are no class scores ``[N, classes]``,
            or inputs or labels cannot belong to the model.
        ConfigError: The network has no T of its own, or the profile cannot be read.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert, measure
        >>> x = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
        >>> model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> network, _ = convert(model, x, timesteps=4)
        >>> found = measure(network, (x, model(x).argmax(1)), model)
        >>> found.ann, len(found.snn), found.expense.energy[0] < found.expense.energy[3]
        (1.0, 4, True)
    """
    timesteps, wait = _steps(network)
    prices = profile if profile is None or isinstance(profile, Profile) else load_profile(profile)
    like = _like(network) if like is None else like
    settles = isinstance(network, SettlingNetwork)
    tally = None if prices is None else Tally(prices, timesteps, wait, settles)
    right_ann, right_snn, samples, right_settled = 0, torch.zeros(timesteps, dtype=torch.float64), 0, 0
    for x, y in _pieces(network, data, timesteps + wait, like):
        if samples == 0 and ann is not None and tally is not None:
            ann = _without_norms(ann, x)
        scores, ann_ledger = _run(ann, x, tally is not None) if ann is not None else (None, None)
        if scores is not None:
            _check_scores(scores, y)
            right_ann += int((scores.argmax(1) == y).sum())
        outputs, ledger = _run(network, x, tally is not None)
        if scores is None:
            _check_scores(outputs[0] if isinstance(outputs, Tensor) else outputs, y)
        if tally is not None and ledger is not None:
            tally.add(ledger, ann_ledger)
        # The largest sum is the largest mean.
        right = (outputs[wait:].cumsum(0).argmax(2) == y).sum(1).double().cpu()
        right_settled += int(right[-1])
        right_snn += right[:timesteps]
        samples += len(y)
    if samples == 0:
        raise CalibrationError("evaluate= holds no labelled sample")
    return Accuracy(
        samples=samples,
        ann=None if ann is None else right_ann / samples,
        snn=(right_snn / samples).tolist(),
        settled=right_settled / samples if settles else None,
        expense=None if tally is None else tally.expense(ann is not None),
    )


class Early(BaseModel):
    """What an early exit gives: means over the samples.

    Args:
        samples: Number of samples.
        accuracy: As a fraction.
        steps: Until a sample is done, those before the readout begins included.
        spikes: Until then; None if they were not counted.
        energy: The same in joules.

    Example:
        >>> from spikesim.converters.measure import Early
        >>> Early(samples=2, accuracy=1.0, steps=3.5).steps
        3.5
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int
    accuracy: float
    steps: float
    spikes: float | None = None
    energy: float | None = None


@torch.no_grad()
def measure_early(quick: EarlyExit, data: Batches, *, profile: str | Path | Profile | None = PROFILE) -> Early:
    """Accuracy, steps, spikes and energy of a network with early exits; what a sample no longer does costs nothing.

    Args:
        quick: See :func:`spikesim.converters.early_exit`.
        data: Labelled batches.
        profile: Prices of the operations; None to count none.

    Raises:
        CalibrationError: See :func:`measure`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert, early_exit, measure
        >>> from spikesim.converters.measure import measure_early
        >>> x = torch.rand(40, 4, generator=torch.Generator().manual_seed(0))
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
        >>> network, _ = convert(model, x, timesteps=16)
        >>> data = (x, model(x).argmax(1))
        >>> found, whole = measure_early(early_exit(network, x, 0.95), data), measure(network, data)
        >>> found.steps < 16, found.energy < whole.expense.energy[-1]
        (True, True)
    """
    prices = profile if profile is None or isinstance(profile, Profile) else load_profile(profile)
    network = quick.whole()
    like = _like(network)
    right, samples, steps, spikes, energy = 0, 0, 0, 0.0, 0.0
    for x, y in _pieces(network, data, quick.timesteps + quick.wait, like):
        scores = quick(x)
        _check_scores(scores, y)
        right += int((scores.argmax(1) == y).sum())
        samples, steps = samples + len(y), steps + int(quick.steps.sum())
        if prices is not None:
            running = torch.arange(quick.wait + quick.timesteps, device=like.device)[:, None] < quick.steps
            _, ledger = counted_run(network, x, running)
            spikes += float(ledger.per_step("spikes_out").sum())
            energy += price(ledger, prices).total * ledger.samples
    if samples == 0:
        raise CalibrationError("evaluate= holds no labelled sample")
    counted = None if prices is None else (spikes / samples, energy / samples)
    return Early(
        samples=samples,
        accuracy=right / samples,
        steps=steps / samples,
        spikes=counted and counted[0],
        energy=counted and counted[1],
    )


def _without_norms(ann: nn.Module, x: Inputs) -> nn.Module:
    """The ANN as it would be deployed, for a fair count."""
    if not any(isinstance(module, _BatchNorm) for module in ann.modules()):
        return ann
    try:
        return folded(ann, x)
    except ConversionError as error:
        warnings.warn(
            f"the batch-norms of the ANN cannot be folded and are charged as layers of its own, which favours the "
            f"network: {error}",
            stacklevel=3,
        )
        return ann


def _run(network: nn.Module, x: Inputs, counted: bool) -> tuple[Any, Ledger | None]:
    if counted:
        return counted_run(network, x)
    return (network.unread(x) if isinstance(network, Network) else called(network, x)), None


def _steps(network: Network) -> tuple[int, int]:
    """T, and the steps before it."""
    if isinstance(network, SettlingNetwork):
        return network.timesteps, 0
    if not isinstance(network.encoder, Constant):
        raise ConfigError(
            f"{type(network).__name__} with the encoder {type(network.encoder).__name__} has no T of its own; expected "
            "what convert() returned"
        )
    wait = waits(network)
    return network.encoder.timesteps - wait, wait


def _like(network: Network) -> Tensor:
    weight = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(0)).detach().new_empty(0)
    return weight.long() if any(isinstance(m, TokenEmbedding) for m in network.modules()) else weight


def _pieces(network: Network, data: Batches, steps: int, like: Tensor) -> Iterator[tuple[Any, Tensor]]:
    """Labelled batches, in pieces whose largest layer stays within an eighth of a gigabyte over all steps."""
    graph = getattr(network.module, "graph", None)
    nodes = list(graph.nodes) if graph is not None else []
    shapes = [node.meta.get("shape") or () for node in nodes]
    expected = [node.meta.get("shape") for node in nodes if node.op == "placeholder"]
    for whole, labels in pairs_of(data, max(len(expected), 1)):
        if not count(whole):
            continue
        tensors = tuple(graph.process_inputs(whole)) if graph is not None else tuple(tensors_of(whole))
        if not expected or None in expected:
            expected = [tuple(x.shape[1:]) for x in tensors]
        if len(tensors) == 1:
            check_shape(tensors[0], tuple(expected[0]), "evaluation")
        else:
            check_shape(tensors, tuple(map(tuple, expected)), "evaluation")
        largest = max([math.prod(shape) for shape in shapes if shape], default=tensors[0][0].numel())
        rows = max(1, _LIVE_VALUES // (steps * max(largest, 1)))
        for x, y in zip(pieces(whole, rows), torch.split(labels, rows)):
            yield as_given(x, like), y.to(like.device)


def _check_scores(scores: Any, y: Tensor) -> None:
    if not isinstance(scores, Tensor):
        raise CalibrationError(
            f"evaluate= measures accuracy of one output [N, classes], and the model gives a {type(scores).__name__}: "
            "leave it out, and compare network(x) with the labels by hand"
        )
    if scores.dim() != 2 or y.dim() != 1:
        raise CalibrationError(
            f"evaluate= measures accuracy of outputs [N, classes] with labels [N]; the model gives "
            f"{tuple(scores.shape)} and the labels are {tuple(y.shape)}"
        )
    if y.is_floating_point() or bool(((y < 0) | (y >= scores.shape[1])).any()):
        raise CalibrationError(
            f"the labels of evaluate= must be whole numbers from 0 to {scores.shape[1] - 1}, for the model has "
            f"{scores.shape[1]} outputs; given {y.dtype} from {y.min().item()} to {y.max().item()}"
        )
