"""Recordings of different lengths, from the cache to loss, rates and energy: as if each had been run alone."""

import pytest
import torch
from oracles.streams import stream
from torch import nn
from torch.nn import functional

from spikesim.datasets import CachedFrames, EventBatch, Events, event_loader
from spikesim.datasets.transforms import CutMix, MixedDataset, ToFrame
from spikesim.energy import COLUMNS, Ledger
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Count, DelayedMean, Last, Mean, Network
from spikesim.training import FiringRates, SpikingClassifier, evaluate
from spikesim.training.evaluation import scores

READOUTS = [Mean(), Count(), Last(), DelayedMean(1)]


@pytest.fixture(scope="module")
def samples():
    """Seven recordings of 2 to 8 steps of 20 ms."""
    spans = [35_000, 150_000, 90_000, 60_000, 150_000, 110_000, 75_000]
    return [
        (Events(stream(60 + 40 * n, size=(8, 8), span=span, seed=n), (8, 8, 2)), n % 3) for n, span in enumerate(spans)
    ]


@pytest.fixture(scope="module")
def cached(samples, tmp_path_factory):
    return CachedFrames(samples, ToFrame(time_window=20_000), root=tmp_path_factory.mktemp("cache"))


def network(readout=None):
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3, padding=1), LIF(threshold=0.4), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3), IF(0.3)]
    return Network(nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 3), LI()), readout=readout or Mean()).eval()


def batches(cached, size):
    return list(event_loader(cached, size, shuffle=True, seed=1))


def alone(batch, n):
    """A sample of a batch, by itself and without padding."""
    return batch.x[: batch.lengths[n], n : n + 1].float()


@pytest.mark.parametrize("readout", READOUTS, ids=lambda r: type(r).__name__)
def test_output_and_state_are_those_of_the_sample_alone(cached, readout):
    net = network(readout)
    for batch in batches(cached, 4):
        assert batch.mask is not None
        together = net.run(batch.x.float(), mask=batch.mask)
        for n in range(len(batch.y)):
            single = net.run(alone(batch, n))
            assert torch.allclose(together.output[n], single.output[0], atol=1e-5)
            for layer, states in single.state.items():
                for name, value in states.items():
                    if torch.is_floating_point(value):
                        assert torch.allclose(together.state[layer][name][n], value[0], atol=1e-5), (layer, name)


@pytest.mark.parametrize("size", [3, 7])
def test_loss_accuracy_and_rates_are_those_of_the_samples(cached, size):
    net, parts = network(), batches(cached, size)
    found = evaluate(net, parts)
    with FiringRates(net) as rates:
        singles = [(net(alone(batch, n)), batch.y[n : n + 1]) for batch in parts for n in range(len(batch.y))]
    logits, labels = (torch.cat(column) for column in zip(*singles))
    assert found.loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert found.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    # A rate is a mean over all real steps; alone, each call adds its own.
    assert found.rates == pytest.approx(rates.means()) and all(0 < rate < 1 for rate in found.rates.values())


def test_the_gradient_is_that_of_the_samples(cached):
    net, (batch,) = network(), batches(cached, 7)
    functional.cross_entropy(scores(net, batch), batch.y).backward()
    together = [parameter.grad.clone() for parameter in net.parameters()]
    net.zero_grad()
    for n in range(7):
        (functional.cross_entropy(net(alone(batch, n)), batch.y[n : n + 1]) / 7).backward()
    assert all(torch.allclose(a, b.grad, atol=1e-5) for a, b in zip(together, net.parameters()))


def test_energy_counts_are_those_of_the_samples(cached):
    net, (batch,) = network(), batches(cached, 7)
    together = Ledger.record(net, batch.x, input="events", mask=batch.mask)
    singles = [Ledger.record(net, alone(batch, n), input="events") for n in range(7)]
    assert together.active.tolist() == batch.mask.sum(1).tolist()
    for layer in together.layers:
        for column in COLUMNS:
            expected = torch.zeros(len(batch.x), dtype=torch.int64)
            for single in singles:
                steps = single[layer].counts.get(column)
                if steps is not None:
                    expected[: len(steps)] += steps
            assert torch.equal(together[layer].counts.get(column, torch.zeros_like(expected)), expected), (
                layer,
                column,
            )
    assert together.total()["synops_binary"] > 0


def test_recorded_spikes_are_those_of_the_samples(cached):
    net, (batch,) = network(), batches(cached, 7)
    with net.record() as recording:
        net(batch.x.float(), mask=batch.mask)
    assert torch.equal(recording["1"].mask, batch.mask)
    for n in range(7):
        with net.record() as single:
            net(alone(batch, n))
        for layer in ("1", "4"):
            assert torch.allclose(recording[layer].rates()[n], single[layer].rates()[0])


def test_mixed_samples_are_trained_and_evaluated(samples):
    mixed = MixedDataset(samples, CutMix(), transform=ToFrame(time_window=20_000))
    (batch,) = event_loader(mixed, 7, shuffle=False, seed=0, classes=3)
    assert batch.y.shape == (7, 3) and batch.mask is not None
    net = network()
    logits = net(batch.x.float(), mask=batch.mask)
    expected = -(batch.y * logits.log_softmax(1)).sum(1).mean()
    assert evaluate(net, [batch]).loss == pytest.approx(expected.item(), rel=1e-5)
    hard = EventBatch(batch.x, batch.lengths, batch.mask, batch.y.argmax(1))
    assert evaluate(net, [batch]).accuracy == evaluate(net, [hard]).accuracy
    classifier = SpikingClassifier(net, classes=3)
    classifier.log = lambda *_, **__: None
    classifier.training_step(batch, 0).backward()
    assert classifier.train_accuracy.compute() == pytest.approx(evaluate(net, [hard]).accuracy)
