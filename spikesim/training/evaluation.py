"""What a network achieves on labelled event batches: accuracy at every t, loss, calibration, confusions, rates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from spikesim.errors import ConfigError
from spikesim.training.ranks import gathered
from spikesim.training.rates import FiringRates

if TYPE_CHECKING:
    from spikesim.datasets import EventBatch
    from spikesim.nn import Network


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` measured.

    Args:
        accuracy: share of samples whose highest score is the label's.
        loss: mean cross-entropy in nats.
        samples: number of samples.
        rates: spikes per neuron and time step, per spiking layer.
        accuracy_at: what accuracy the mean of the scores up to step t would give, for t = 1..T; a recording that has
            ended says what it said at its end.
        calibration_error: expected difference between confidence and accuracy, over 15 bins of confidence (Guo et al.,
            ICML 2017).
        confusion: samples by true class (rows) and named class.
    """

    accuracy: float
    loss: float
    samples: int
    rates: dict[str, float] = field(default_factory=dict)
    accuracy_at: tuple[float, ...] = ()
    calibration_error: float = float("nan")
    confusion: tuple[tuple[int, ...], ...] = ()


def scores(network: Network, batch: EventBatch) -> torch.Tensor:
    """Run a network on one batch; counts become floats on the batch's own device.

    Returns:
        Class scores ``[N, classes]``, read out over the unmasked time steps.
    """
    logits: torch.Tensor = network(batch.x.float(), mask=batch.mask)
    return logits


@torch.no_grad()
def evaluate(
    network: Network, batches: Iterable[EventBatch], device: str | torch.device = "cpu", *, shared: bool = False
) -> Evaluation:
    """Measure a network in eval mode; its mode is put back afterwards.

    Args:
        network: with a readout, so that its output is ``[N, classes]``.
        batches: labelled batches.
        device: where the network already is.
        shared: the batches are this process's share of a set that several measure together; each then gets the
            measures of the whole set, every sample counted once.

    Raises:
        ConfigError: there is no sample.
    """
    from spikesim.training.metrics import right_over_time

    training = network.training
    network.eval()
    loss, over_time, logits, labels = 0.0, [], [], []
    try:
        with FiringRates(network) as rates:
            for batch in batches:
                moved = batch.to(device)
                rates.mask = moved.mask
                y = network.unread(moved.x.float(), moved.mask)
                said = network.read_out(y, moved.mask)
                loss += torch.nn.functional.cross_entropy(said, moved.y, reduction="sum").item()
                over_time.append(right_over_time(y, moved.likeliest, moved.mask).cpu())
                logits.append(said.float().cpu())
                labels.append(moved.likeliest.cpu())
    finally:
        network.train(training)
    if shared:
        parts = gathered((logits, labels, over_time, loss))
        logits, labels, over_time = ([row for part in parts for row in part[k]] for k in range(3))
        loss = sum(part[3] for part in parts)
    if not sum(len(label) for label in labels):
        raise ConfigError("there is no sample to evaluate; give a data set or split that is not empty")
    return _summary(torch.cat(logits), torch.cat(labels), loss, over_time, rates.means(shared))


def _summary(
    logits: torch.Tensor, labels: torch.Tensor, loss: float, over_time: list[torch.Tensor], rates: dict[str, float]
) -> Evaluation:
    from torchmetrics.functional.classification import multiclass_calibration_error, multiclass_confusion_matrix

    samples, classes = logits.shape
    steps = max(len(right) for right in over_time)
    # A batch of shorter recordings says at later steps what it said at its end.
    total = sum(torch.cat([right, right[-1:].expand(steps - len(right))]) for right in over_time)
    named = logits.argmax(1)
    return Evaluation(
        accuracy=int((named == labels).sum()) / samples,
        loss=loss / samples,
        samples=samples,
        rates=rates,
        accuracy_at=tuple((torch.as_tensor(total).double() / samples).tolist()),
        calibration_error=float(multiclass_calibration_error(logits.softmax(1), labels, classes, n_bins=15)),
        confusion=tuple(map(tuple, multiclass_confusion_matrix(named, labels, classes).tolist())),
    )
