"""Part 1 of the demo: train a CNN on scikit-learn's digits, audit it, convert it, cost it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from rich.console import Console

    from spikesim.converters import Audit
    from spikesim.energy import EnergyReport

STEPS = (1, 2, 4, 8, 16, 32)
ENERGY_STEPS = 8
_FRACTIONS = (0.6, 0.15, 0.25)


@dataclass(frozen=True)
class Digits:
    """What part 1 found; accuracies are fractions of the held-out test images.

    Args:
        ann: the trained CNN.
        calibration: the training images that thresholds were made from.
        samples: images per split.
        ann_accuracy: of the CNN.
        one_run: of the network converted for the largest T, read after each T of :data:`STEPS`.
        for_each: of a network converted for each T.
        accuracy_at: of the network converted for :data:`ENERGY_STEPS`, after every step.
        audit: verdict on each operation of the CNN.
        energy: of the network converted for :data:`ENERGY_STEPS`, beside the CNN.
        seconds: wall time.
    """

    ann: nn.Module
    calibration: torch.Tensor
    samples: dict[str, int]
    ann_accuracy: float
    one_run: list[float]
    for_each: list[float]
    accuracy_at: list[float]
    audit: Audit
    energy: EnergyReport
    seconds: float


def run_digits(seed: int, quick: bool, console: Console) -> Digits:
    """Do part 1.

    Args:
        seed: of split, weights and order.
        quick: a fifth of the images and a quarter of the training.
        console: told what happens.
    """
    from spikesim.converters import audit, convert, folded
    from spikesim.energy import energy_report
    from spikesim.models import digits_cnn
    from spikesim.training import fit_images, image_accuracy

    started = time.perf_counter()
    train, validation, test = _images(seed, 360 if quick else None)
    console.print(f"1. Train digits_cnn, an ANN, on {len(train[0])} images of handwritten digits")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        ann = fit_images(digits_cnn(), train, validation, epochs=5 if quick else 20, seed=seed)
    accuracy = image_accuracy(ann, *test)
    verdicts = audit(ann, test[0][:1])
    console.print(f"2. Convert it: {_count(verdicts)}; accuracy on {len(test[0])} held-out images")
    reports = {t: convert(ann, train[0], timesteps=t, evaluate=test).report for t in STEPS}
    network = convert(ann, train[0], timesteps=ENERGY_STEPS).network
    shown = test[0][:64]
    source = "held-out digits of scikit-learn"
    beside = "the trained digits_cnn, batch-norm folded"
    energy = energy_report(network, shown, input="analog", ann=folded(ann, shown), ann_name=beside, source=source)
    measured = {t: report.accuracy.snn for t, report in reports.items() if report.accuracy is not None}
    return Digits(
        ann=ann,
        calibration=train[0],
        samples={"training": len(train[0]), "validation": len(validation[0]), "test": len(test[0])},
        ann_accuracy=accuracy,
        one_run=[measured[STEPS[-1]][t - 1] for t in STEPS],
        for_each=[measured[t][-1] for t in STEPS],
        accuracy_at=measured[ENERGY_STEPS],
        audit=verdicts,
        energy=energy,
        seconds=time.perf_counter() - started,
    )


def _images(seed: int, samples: int | None) -> list[tuple[torch.Tensor, torch.Tensor]]:
    from sklearn.datasets import load_digits

    from spikesim.datasets import random_split

    pictures, labels = load_digits(return_X_y=True)
    x = torch.tensor(pictures[:samples] / 16.0, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels[:samples])
    return [(x[part], y[part]) for part in random_split(labels[:samples], _FRACTIONS, seed).parts]


def _count(verdicts: Audit) -> str:
    kinds = [row.verdict.value for row in verdicts.rows]
    return ", ".join(f"{kinds.count(kind)} operations {kind}" for kind in dict.fromkeys(kinds))
