"""Accuracy, loss and firing rates of a network on labelled event batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from spikesim.errors import ConfigError
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
    """

    accuracy: float
    loss: float
    samples: int
    rates: dict[str, float] = field(default_factory=dict)


def scores(network: Network, batch: EventBatch) -> torch.Tensor:
    """Run a network on one batch; counts become floats on the batch's own device.

    Returns:
        Class scores ``[N, classes]``, read out over the unmasked time steps.
    """
    logits: torch.Tensor = network(batch.x.float(), mask=batch.mask)
    return logits


@torch.no_grad()
def evaluate(network: Network, batches: Iterable[EventBatch], device: str | torch.device = "cpu") -> Evaluation:
    """Measure a network in eval mode; its mode is put back afterwards.

    Args:
        network: with a readout, so that its output is ``[N, classes]``.
        batches: labelled batches.
        device: where the network already is.

    Raises:
        ConfigError: there is no sample.
    """
    training = network.training
    network.eval()
    correct, loss, samples = 0, 0.0, 0
    try:
        with FiringRates(network) as rates:
            for batch in batches:
                moved = batch.to(device)
                rates.mask = moved.mask
                logits = scores(network, moved)
                loss += torch.nn.functional.cross_entropy(logits, moved.y, reduction="sum").item()
                correct += int((logits.argmax(1) == moved.likeliest).sum())
                samples += len(moved.y)
    finally:
        network.train(training)
    if samples == 0:
        raise ConfigError("there is no sample to evaluate; give a data set or split that is not empty")
    return Evaluation(correct / samples, loss / samples, samples, rates.means())
