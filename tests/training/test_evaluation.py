import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from spikesim.datasets import collate
from spikesim.errors import ConfigError
from spikesim.neurons import LIF
from spikesim.nn import Mean, Network
from spikesim.training import SpikingClassifier, evaluate


def _network(readout=True):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), LIF(threshold=0.2), nn.Linear(6, 3))
    return Network(module, readout=Mean() if readout else None)


def _samples(lengths):
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randint(0, 4, (length, 2, 2, 2), generator=generator, dtype=torch.uint8), index % 3)
        for index, length in enumerate(lengths)
    ]


def _one_by_one(network, samples):
    """Scores of each recording alone, without padding."""
    return torch.cat([network(frames[:, None].float()) for frames, _ in samples])


@pytest.mark.parametrize("lengths", [[4] * 7, [4, 1, 3, 2, 4, 4, 2]])
def test_padding_and_batches_do_not_change_the_result(lengths):
    network, samples = _network(), _samples(lengths)
    logits, labels = _one_by_one(network, samples), torch.tensor([label for _, label in samples])
    for size in (2, 7):
        batches = [collate(samples[i : i + size]) for i in range(0, 7, size)]
        found = evaluate(network, batches)
        assert found.samples == 7
        assert found.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
        assert found.loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)
        assert 0 < found.rates["module.2"] < 1
        sums = [network.unread(frames[:, None].float())[:, 0].cumsum(0) for frames, _ in samples]
        for t in range(4):
            right = [sums[k][min(t, len(sums[k]) - 1)].argmax() == labels[k] for k in range(7)]
            assert found.accuracy_at[t] == pytest.approx(sum(map(int, right)) / 7)
        table = np.array(found.confusion)
        assert table.sum() == 7 and table.trace() / 7 == pytest.approx(found.accuracy)
        assert table.sum(1).tolist() == torch.bincount(labels, minlength=3).tolist()
        sure, named = logits.softmax(1).max(1)
        bins = [(sure > k / 15) & (sure <= (k + 1) / 15) for k in range(15)]
        gaps = [
            abs((sure[b].mean() - (named == labels)[b].float().mean()).item()) * int(b.sum()) for b in bins if b.any()
        ]
        assert found.calibration_error == pytest.approx(sum(gaps) / 7, abs=1e-6)


def test_the_mode_is_put_back_and_gradients_are_not_kept():
    network = _network().train()
    evaluate(network, [collate(_samples([2]))])
    assert network.training
    assert all(p.grad is None for p in network.parameters())


def test_no_sample_is_named():
    with pytest.raises(ConfigError, match="no sample to evaluate"):
        evaluate(_network(), [])


def test_a_network_without_readout_is_refused():
    with pytest.raises(ConfigError, match=r"no readout over time; build it with Network\(..., readout=Mean\(\)\)"):
        SpikingClassifier(_network(readout=False), classes=3)


def test_only_matrices_decay():
    classifier = SpikingClassifier(_network(), classes=3, weight_decay=0.5)
    classifier.trainer = type("Trainer", (), {"estimated_stepping_batches": 10})()
    groups = classifier.configure_optimizers()["optimizer"].param_groups
    decayed, free = groups
    assert [p.ndim for p in decayed["params"]] == [2, 2] and decayed["weight_decay"] == 0.5
    assert all(p.ndim < 2 for p in free["params"]) and free["weight_decay"] == 0.0
