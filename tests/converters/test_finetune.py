"""Hybrid training: what a converted network is before the first step, what learns, and that it helps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikesim.converters import convert, finetunable
from spikesim.converters.finetune import LeakIF
from spikesim.errors import ConversionError
from spikesim.neurons import IF
from spikesim.training import fit_images, image_accuracy

POLICIES = ["if", "signed_if", "st_bif(3)", "burst", "group", "multi_threshold(2)", "srp(2)", "differential(3)"]


def model(seed: int = 0, width: int = 24) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)
    ).eval()  # fmt: skip


def blobs(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes that overlap a little."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (count,), generator=generator)
    centres = torch.tensor([[0.2] * 3 + [0.6] * 3, [0.6] * 3 + [0.2] * 3, [0.2, 0.6] * 3])
    return centres[y] + 0.16 * torch.randn(count, 6, generator=generator), y


@pytest.mark.parametrize("neuron", POLICIES)
def test_outputs_are_the_same_and_gradients_reach_everything(neuron: str) -> None:
    x, y = blobs(64, 0)
    done = convert(model(), x, timesteps=4, neuron=neuron)
    network = finetunable(done)
    assert torch.equal(network(x), done.network(x))
    F.cross_entropy(network(x), y).backward()
    named = dict(network.named_parameters())
    thresholds = [p for name, p in named.items() if name.endswith("threshold")]
    assert len(thresholds) == 2
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in named.values())
    assert all(float(p.grad.abs().max()) > 0 for p in named.values())
    assert all(p.grad is None for p in done.network.parameters())


def test_leaks_are_learnt_where_neurons_have_one() -> None:
    x, y = blobs(64, 0)
    done = convert(model(), x, timesteps=4, calibrate="bias,potential")
    network = finetunable(done)
    assert torch.equal(network(x), done.network(x))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.5)
    for _ in range(3):
        optimiser.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimiser.step()
    leaks = [p for name, p in network.named_parameters() if name.endswith("keep")]
    assert len(leaks) == 2 and all(p != 1.0 for p in leaks)
    assert not torch.equal(network(x), done.network(x))


@pytest.mark.parametrize("neuron", ["if", "signed_if"])
def test_some_epochs_make_a_short_network_better(neuron: str) -> None:
    train, validation, test = blobs(512, 1), blobs(128, 2), blobs(512, 3)
    ann = fit_images(model(3), train, validation, epochs=15)
    done = convert(ann, train[0][:128], timesteps=1, neuron=neuron, threshold="max", calibrate="none")
    before = image_accuracy(done.network, *test)
    network = fit_images(finetunable(done), train, validation, epochs=5, lr=2e-3)
    after, wanted = image_accuracy(network, *test), image_accuracy(ann, *test)
    assert before < wanted - 0.03  # a network so short, with thresholds so high, has something to learn
    assert after > before + 0.5 * (wanted - before)


def test_a_leak_of_one_is_no_leak_and_less_forgets() -> None:
    x = torch.rand(9, 50, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(LeakIF()(x), IF()(x))
    v, sent = 0.0, []
    for value in x[:, 0, 0].double().tolist():
        v = 0.75 * v + value
        sent.append(float(v >= 1.0))
        v -= sent[-1]
    assert LeakIF(0.75)(x)[:, 0, 0].tolist() == sent


def test_a_loaded_network_learns_too(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from spikesim.converters import load_converted

    x, _ = blobs(64, 0)
    done = convert(model(), x, timesteps=4)
    done.save(tmp_path)
    assert torch.equal(finetunable(load_converted(tmp_path).network)(x), done.network(x))


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"exact": True}, "without exact=True"), ({"neuron": "parallel"}, "signed_if"), ({"neuron": "cos"}, "signed_if")],
)
def test_what_cannot_learn_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConversionError, match=said):
        finetunable(convert(model(), blobs(32, 0)[0], timesteps=4, **settings))  # type: ignore[arg-type]


def test_a_network_that_was_not_converted_is_refused() -> None:
    from spikesim.neurons import LIF
    from spikesim.nn import Network

    with pytest.raises(ConversionError, match="no converted neuron"):
        finetunable(Network(nn.Sequential(LIF())))
