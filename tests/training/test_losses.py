"""Losses and metrics over time against loops, against snnTorch, under masks."""

import math

import pytest
import snntorch.functional as reference
import torch
from torch import nn
from torch.nn import functional

from spikesim.errors import ConfigError, ShapeError
from spikesim.neurons import IF, LIF, SignedIF
from spikesim.nn import Count, Last, Max, Mean, Network
from spikesim.training import AccuracyOverTime, Activity, CountMSE, CrossEntropy, StepCrossEntropy, rate_penalty

T, N, K = 5, 4, 3
LOSSES = [
    CrossEntropy(),
    CrossEntropy(Count()),
    CrossEntropy(Max(), label_smoothing=0.1),
    CrossEntropy(Last()),
    StepCrossEntropy(),
    StepCrossEntropy(balance=0.5, level=0.3, label_smoothing=0.1),
    CountMSE(),
    CountMSE(right=0.8, wrong=0.1),
]


def scores(seed=0):
    y = torch.randn(T, N, K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return y.requires_grad_(), torch.tensor([0, 2, 1, 2])


def named(loss):
    return f"{type(loss).__name__}-{LOSSES.index(loss)}"


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_masked_steps_are_as_if_they_were_not_there(loss):
    y, target = scores()
    lengths = [5, 2, 4, 1]
    mask = torch.arange(T).unsqueeze(1) < torch.tensor(lengths)
    masked = loss(y, target, mask)
    alone = torch.stack([loss(y[:length, n : n + 1], target[n : n + 1]) for n, length in enumerate(lengths)]).mean()
    assert torch.allclose(masked, alone, atol=1e-12)
    (gradient,) = torch.autograd.grad(masked, y)
    assert bool((gradient[~mask] == 0).all()) and bool((gradient[mask] != 0).any())
    whole = torch.ones(T, N, dtype=torch.bool)
    assert torch.allclose(loss(y, target), loss(y, target, whole), rtol=1e-14)


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_gradients_and_soft_labels(loss):
    y, target = scores(1)
    assert torch.autograd.gradcheck(lambda v: loss(v, target), y)
    hard = functional.one_hot(target, K).double()
    assert torch.allclose(loss(y, hard), loss(y, target))
    assert math.isfinite(loss(y, 0.5 * hard + 0.5 / K).item())


def test_equal_to_snntorch():
    y, target = scores(2)
    y = y.detach().float()
    spikes = (y > 0).float()
    close = {"atol": 1e-6, "rtol": 1e-6}
    assert torch.allclose(CrossEntropy(Count())(spikes, target), reference.ce_count_loss()(spikes, target), **close)
    assert torch.allclose(CrossEntropy(Max())(y, target), reference.ce_max_membrane_loss()(y, target), **close)
    expected = reference.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(spikes, target)
    assert torch.allclose(CountMSE(0.8, 0.2)(spikes, target), expected, **close)
    each = StepCrossEntropy(balance=0.0)(spikes, target)
    assert torch.allclose(each, reference.ce_rate_loss()(spikes, target), **close)


def test_temporal_efficient_training_as_its_equations():
    y, target = scores(3)
    total = 0.0
    for t in range(T):
        total += 0.7 * functional.cross_entropy(y[t], target) / T
        total += 0.3 * functional.mse_loss(y[t], torch.full_like(y[t], 1.5)) / T
    assert torch.allclose(StepCrossEntropy(balance=0.3, level=1.5)(y, target), total)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda y, c: CrossEntropy()(y[0], c), r"shape \(4, 3\).*network.unread"),
        (lambda y, c: CrossEntropy()(y[:0], c), "at least one step"),
        (lambda y, c: StepCrossEntropy()(y, c[:2]), r"target has shape \(2,\), but it must be \(4,\) or \(4, 3\)"),
        (lambda y, c: CountMSE()(y, c.double()), "class numbers are whole"),
        (lambda y, c: CrossEntropy()(y, c + 1), "the target holds class 3, but the network gives scores of 3 classes"),
        (lambda y, c: CrossEntropy()(y, c, torch.ones(T, N)), "the mask is torch.float32"),
        (lambda y, c: AccuracyOverTime(2).update(y, c), r"with T from 1 to 2"),
    ],
)
def test_what_does_not_fit_is_named(call, match):
    with pytest.raises(ShapeError, match=match):
        call(*scores())


@pytest.mark.parametrize(
    "make",
    [
        lambda: CrossEntropy(label_smoothing=1.0),
        lambda: StepCrossEntropy(balance=-0.1),
        lambda: CountMSE(right=2.0),
        lambda: AccuracyOverTime(0),
        lambda: Activity(nn.Linear(2, 2)),
        lambda: rate_penalty({}),
        lambda: rate_penalty({"a": torch.zeros(1)}, low=0.5, high=0.1),
    ],
)
def test_settings_outside_their_range_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_accuracy_over_time_against_a_loop():
    metric = AccuracyOverTime(T)
    right, samples = [0] * T, 0
    for seed, lengths in ((0, [5, 2, 4, 1]), (1, [3, 3, 1, 2])):
        y, target = scores(seed)
        mask = torch.arange(T).unsqueeze(1) < torch.tensor(lengths)
        metric.update(y.detach(), target, mask)
        for n, length in enumerate(lengths):
            for t in range(T):
                right[t] += int(y[: min(t + 1, length), n].mean(0).argmax() == target[n])
            samples += 1
    assert metric.compute().tolist() == [count / samples for count in right]
    short = AccuracyOverTime(T)
    short.update(y.detach()[:2], target)
    assert short.compute()[1:].unique().numel() == 1


def test_rates_are_those_of_the_spikes_and_carry_gradients():
    torch.manual_seed(0)
    net = Network(nn.Sequential(nn.Linear(6, 8), LIF(), nn.Linear(8, 4), SignedIF()), readout=Mean())
    x, mask = 3 * torch.rand(7, 5, 6), torch.rand(7, 5) > 0.3
    with net.record() as recording, Activity(net) as activity:
        net(x, mask)
    rates = activity.rates(mask)
    for layer, spikes in (("1", recording["1"].spikes), ("3", recording["3"].spikes)):
        expected = spikes.float().abs()[mask].mean(0)
        assert torch.allclose(rates[f"module.{layer}"], expected, atol=1e-6)
    rate_penalty(rates, high=0.05).backward()
    assert net.module[0].weight.grad.abs().sum() > 0


def test_a_penalty_makes_a_layer_sparse_or_wakes_it():
    torch.manual_seed(0)
    x = torch.rand(10, 16, 6)
    for low, high, weight, wanted in ((0.0, 0.05, 2.0, "fewer"), (0.3, 1.0, 0.1, "more")):
        layer = nn.Linear(6, 8)
        with torch.no_grad():
            layer.weight.mul_(weight)
        net = Network(nn.Sequential(layer, LIF()))
        optimizer = torch.optim.Adam(net.parameters(), 0.05)
        seen = []
        for _ in range(60):
            with Activity(net) as activity:
                net(x)
            rates = activity.rates()
            loss = rate_penalty(rates, low=low, high=high)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append((rates["module.1"].mean().item(), loss.item()))
        assert seen[-1][1] < seen[0][1]
        assert seen[-1][0] < seen[0][0] if wanted == "fewer" else seen[-1][0] > seen[0][0]


def test_a_neuron_on_its_own_keeps_its_time_apart():
    neuron = IF()
    with Activity(neuron) as activity:
        neuron(torch.ones(3, 2, 5))
    assert activity.rates()[""].tolist() == [1.0] * 5
