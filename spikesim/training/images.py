"""Train an ordinary network on images held in memory: the ANN that a conversion starts from."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

from spikesim.errors import ConfigError, DivergenceError
from spikesim.training.schedule import warmup_cosine

Model = TypeVar("Model", bound=nn.Module)
Labelled = tuple[torch.Tensor, torch.Tensor]


def fit_images(
    model: Model,
    train: Labelled,
    validation: Labelled,
    *,
    epochs: int = 20,
    batch_size: int = 64,
    lr: float = 4e-3,
    weight_decay: float = 1e-2,
    seed: int = 0,
) -> Model:
    """Train with AdamW, and keep the weights that validate best.

    Ties in validation accuracy go to the lower validation loss. The model is trained in place and
    returned in eval mode.

    Args:
        model: maps ``[N, ...]`` to scores ``[N, classes]``.
        train: images and labels.
        validation: images and labels used only to select the epoch.
        epochs: passes over the training set.
        batch_size: images per optimiser step.
        lr: peak learning rate.
        weight_decay: AdamW's decay.
        seed: seed of the order; the caller seeds the weights.

    Raises:
        ConfigError: an empty set.
        DivergenceError: the loss became NaN or infinite.

    Example:
        >>> import torch
        >>> from spikesim.training import fit_images, image_accuracy
        >>> x = torch.eye(4).repeat(8, 1)
        >>> y = torch.arange(4).repeat(8)
        >>> _ = torch.manual_seed(0)
        >>> model = fit_images(torch.nn.Linear(4, 4), (x, y), (x, y), epochs=20, batch_size=8, lr=0.1)
        >>> image_accuracy(model, x, y)
        1.0
    """
    if not len(train[0]) or not len(validation[0]):
        raise ConfigError("fit_images needs at least one training and one validation image")
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    steps = epochs * -(-len(train[0]) // batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, steps // 10, steps))
    best = (-1.0, 0.0)
    kept = _copy(model)
    for _ in range(epochs):
        model.train()
        for rows in torch.split(torch.randperm(len(train[0]), generator=generator), batch_size):
            loss = functional.cross_entropy(model(train[0][rows]), train[1][rows])
            if not torch.isfinite(loss):
                raise DivergenceError(f"the loss became {loss.item()}; try a lower learning rate (it was {lr:g})")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        score = _validate(model, *validation)
        if score > best:
            best, kept = score, _copy(model)
    model.load_state_dict(kept)
    return model.eval()


@torch.no_grad()
def image_accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor, batch_size: int = 256) -> float:
    """Measure the share of images whose highest score is the label's, in eval mode.

    Args:
        model: maps ``[N, ...]`` to scores ``[N, classes]``; its mode is put back afterwards.
        x: images ``[N, ...]``.
        y: labels ``[N]``.
        batch_size: images per call.

    Raises:
        ConfigError: there is no image.
    """
    if not len(x):
        raise ConfigError("there is no image to measure the accuracy on")
    training = model.training
    model.eval()
    correct = 0
    for part, labels in zip(torch.split(x, batch_size), torch.split(y, batch_size)):
        correct += int((model(part).argmax(1) == labels).sum())
    model.train(training)
    return correct / len(x)


@torch.no_grad()
def _validate(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    model.eval()
    logits = model(x)
    accuracy = (logits.argmax(1) == y).float().mean().item()
    return accuracy, -functional.cross_entropy(logits, y).item()


def _copy(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
