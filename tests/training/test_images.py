import pytest
import torch
from torch import nn

from spikesim.errors import ConfigError, DivergenceError
from spikesim.training import fit_images, image_accuracy


def _data(samples=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 4, generator=generator)
    return x, (x[:, 0] > 0).long()


def _fit(seed=0):
    torch.manual_seed(0)
    return fit_images(nn.Linear(4, 2), _data(), _data(seed=1), epochs=10, batch_size=16, lr=0.1, seed=seed)


def test_it_learns_and_repeats():
    first, second, other = _fit(), _fit(), _fit(seed=1)
    assert image_accuracy(first, *_data(seed=2)) > 0.9
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)
    assert not first.training


def test_the_weights_kept_are_those_that_validate_best():
    x, y = _data()
    # Labels of the validation set are flipped: every step of training makes it worse.
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    nn.init.zeros_(model.weight)
    nn.init.constant_(model.bias, 0.0)
    seen = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            if not self.training:
                seen.append(self.inner.weight.detach().clone())
            return self.inner(x)

    fit_images(Watched(), (x, y), (x, 1 - y), epochs=5, batch_size=16, lr=0.1)
    assert torch.equal(model.weight, seen[0])  # the first epoch, not the last
    assert not torch.equal(model.weight, seen[-1])


def test_bad_input_is_named():
    x, y = _data()
    with pytest.raises(ConfigError, match="at least one training"):
        fit_images(nn.Linear(4, 2), (x[:0], y[:0]), (x, y))
    with pytest.raises(DivergenceError, match="lower learning rate"):
        fit_images(nn.Linear(4, 2), (x * float("nan"), y), (x, y))
    with pytest.raises(ConfigError, match="no image"):
        image_accuracy(nn.Linear(4, 2), x[:0], y[:0])


def test_accuracy_is_independent_of_the_batch_size_and_keeps_the_mode():
    x, y = _data()
    model = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.9)).train()
    assert image_accuracy(model, x, y, 7) == image_accuracy(model, x, y, 64)
    assert model.training
