"""Part 2 of the demo: generate event recordings, train a spiking network on them, cost it."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from rich.console import Console

    from spikesim.energy import EnergyReport
    from spikesim.training import TrainResult

TIMESTEPS = 8
WIDTH = 16


@dataclass(frozen=True)
class Events:
    """What part 2 found.

    Args:
        network: the trained network, with the weights selected on the validation split.
        recordings: their folder.
        result: of the training run; its folder is gone.
        accuracies: of training and validation after each epoch, as fractions.
        energy: of the network on test recordings, beside its baselines.
        seconds: wall time.
    """

    network: nn.Module
    recordings: Path
    result: TrainResult
    accuracies: dict[str, list[float]]
    energy: EnergyReport
    seconds: float


def run_events(recordings: Path, seed: int, quick: bool, console: Console) -> Events:
    """Do part 2.

    Args:
        recordings: folder for the generated recordings; used as it is if it holds the same ones.
        seed: of recordings, split, weights and order.
        quick: an eighth of the recordings, a narrow network and two epochs.
        console: told what happens.
    """
    from spikesim.converters import fold_batchnorm
    from spikesim.datasets import generate_ndigits
    from spikesim.energy import energy_report
    from spikesim.models import conv_snn
    from spikesim.training import EventDataModule, TrainConfig, load_weights, train
    from spikesim.training.metrics_csv import read_metrics

    started = time.perf_counter()
    console.print("3. Generate N-Digits: the same digits as a simulated event camera sees them")
    generate_ndigits(recordings, samples=200 if quick else None, seed=seed, overwrite=True)
    width, epochs = (4, 2) if quick else (WIDTH, 12)
    console.print(f"4. Train conv_snn, a spiking network, on them (T={TIMESTEPS}, {epochs} epochs)")
    with tempfile.TemporaryDirectory(prefix="spikesim-demo-") as folder:
        config = TrainConfig(
            data=recordings, out=Path(folder), timesteps=TIMESTEPS, width=width, epochs=epochs, seed=seed, device="cpu"
        )
        result = train(config, progress=True)
        rows = read_metrics(result.folder / "metrics.csv")
        network = conv_snn(width=width)
        load_weights(network, result.best_checkpoint)
    data = EventDataModule(config)
    data.setup()
    batch = data.test_sample(64)
    folded = fold_batchnorm(network, batch.x.float())
    source = "test recordings of N-Digits"
    energy = energy_report(folded, batch.x, input="events", mask=batch.mask, source=source)
    return Events(
        network=network,
        recordings=recordings,
        result=result,
        accuracies={
            name: [float(row[column]) for row in rows]
            for name, column in (("training", "train_accuracy"), ("validation", "val_accuracy"))
        },
        energy=energy,
        seconds=time.perf_counter() - started,
    )
