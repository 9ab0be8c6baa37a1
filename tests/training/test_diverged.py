"""A NaN loss leaves the state that gave it, and a message that says where and what to try."""

import pytest
import torch

from spikesim.datasets import EventBatch
from spikesim.errors import DivergenceError
from spikesim.training import load_run, train


def test_weights_and_batch_that_gave_a_nan_are_kept(tiny):
    with pytest.raises(DivergenceError, match=r"in epoch 1, batch \d.*lower learning rate.*diverged.ckpt") as stopped:
        train(tiny.but(lr=1e30))
    kept = torch.load(tiny.out / "diverged.ckpt", weights_only=True)
    about, batch = kept["spikesim"], kept["batch"]
    assert about["epoch"] == 1 and f"batch {about['batch']}" in str(stopped.value)
    run = load_run(tiny.out / "diverged.ckpt")
    for name, value in run.network.state_dict().items():
        torch.testing.assert_close(value, kept["state_dict"]["network." + name], rtol=0, atol=0, equal_nan=True)
    again = EventBatch(batch["x"], batch["lengths"], batch.get("mask"), batch["y"])
    y = run.network.train()(again.x.float(), mask=again.mask)
    assert not torch.nn.functional.cross_entropy(y, again.y).isfinite()
    assert not list(tiny.out.glob(".diverged*"))


def test_it_says_what_was_broken_before(tiny):
    from spikesim.models import conv_snn
    from spikesim.training import SpikingClassifier

    classifier = SpikingClassifier(conv_snn(width=2), 10)
    with torch.no_grad():
        classifier.network.module.classifier.weight.fill_(float("inf"))
    frames = torch.zeros(2, 1, 2, 34, 34, dtype=torch.uint8)
    batch = EventBatch(frames, torch.tensor([2]), None, torch.tensor([1]))
    with pytest.raises(DivergenceError, match=r"where module\.classifier\.weight had become NaN or infinite before"):
        classifier.training_step(batch, 0)
