"""A whole training run: data, network, Lightning, the test with the selected weights, the run's folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from spikesim.errors import CheckpointError, ConfigError
from spikesim.training.assemble import network_of
from spikesim.training.config import TrainConfig, read_config
from spikesim.training.evaluation import evaluate
from spikesim.training.fitting import check_fit
from spikesim.training.interrupt import TrainingInterrupted
from spikesim.training.launch import run_ranks
from spikesim.training.ranks import check_ranks, gathered, leave, own_threads, place, started_as_rank
from spikesim.training.record import TrainResult, read_result, write_record
from spikesim.training.settings import interrupt_signal_kept, quiet_lightning, reproducible
from spikesim.training.weights import load_weights
from spikesim.viz import write_text

if TYPE_CHECKING:
    from spikesim.nn import Network
    from spikesim.training.data import EventDataModule

_log = logging.getLogger(__name__)


def train(config: TrainConfig, *, progress: bool = False) -> TrainResult:
    """Train a spiking network on event recordings and write everything about it into a folder.

    The split is drawn once from the seed. Weights are selected on the validation split; the test split
    is used once, after training, with the selected weights. The folder holds ``config.json``,
    ``metrics.csv``, ``curves.png``, ``checkpoints/best.ckpt`` and ``last.ckpt``, ``result.json`` and
    ``README.md``. Random generators and torch's settings are as before when the call returns. During the run
    the process keeps the memory it frees (:func:`spikesim.tune_allocator`).

    Args:
        config: the settings.
        progress: show a line per epoch, and a bar on a terminal, on standard error.

    Raises:
        ConfigError: the folder already holds a run, or the network does not fit the data.
        DatasetError: the recordings are missing or not laid out as expected.
        DivergenceError: the loss became NaN or infinite.
        TrainingInterrupted: Ctrl-C; the last completed epoch is safe and :func:`resume` continues.

    Example:
        >>> from spikesim.training import TrainConfig, train
        >>> train(TrainConfig(data="no/such/folder", out="runs/none"))
        Traceback (most recent call last):
        spikesim.errors.DatasetError: ...
    """
    if any((config.out / name).exists() for name in ("result.json", "checkpoints/last.ckpt")):
        raise ConfigError(
            f"{config.out} already holds a run; continue it with `spikesim train --resume {config.out}`, "
            "or choose another folder with --out"
        )
    return _started(config, continued=False, progress=progress)


def resume(folder: str | Path, *, progress: bool = False) -> TrainResult:
    """Continue an interrupted run with its own settings; a finished one just returns its result.

    The weights, optimiser, learning rate, random generators and batch order continue from the last
    completed epoch, so that the result equals that of an unbroken run.

    Args:
        folder: the run's folder.
        progress: as in :func:`train`.

    Raises:
        ConfigError: the folder holds no run.
        CheckpointError: its last checkpoint is damaged or was written by something else.

    Example:
        >>> from spikesim.training import resume
        >>> resume("no/such/folder")
        Traceback (most recent call last):
        spikesim.errors.ConfigError: no/such/folder/config.json does not exist; ...
    """
    folder = Path(folder)
    config = read_config(folder / "config.json").but(out=folder)
    if (folder / "result.json").exists():
        return read_result(folder)
    return _started(config, continued=True, progress=progress)


def _started(config: TrainConfig, *, continued: bool, progress: bool) -> TrainResult:
    check_ranks(config)
    if config.strategy is None or started_as_rank():
        return run_here(config, continued=continued, progress=progress)
    with _stops_named(config.out):
        run_ranks(config, continued=continued, progress=progress)
    return read_result(config.out)


def run_here(config: TrainConfig, *, continued: bool, progress: bool) -> TrainResult:
    """Train in this process, alone or as one of several that have been started.

    Args:
        config: the settings.
        continued: go on from the last checkpoint.
        progress: as in :func:`train`.
    """
    from spikesim.training.data import EventDataModule
    from spikesim.training.keep import read_run_checkpoint
    from spikesim.training.memory_guard import memory_kept

    last = config.out / "checkpoints" / "last.ckpt"
    # Without a checkpoint the first epoch was not completed: the same seed repeats it from the start.
    checkpoint = last if continued and last.exists() else None
    if checkpoint is not None:
        read_run_checkpoint(checkpoint)  # a damaged file is named before any data is read
    started = time.perf_counter()
    with memory_kept(), reproducible(config.seed, own_threads(config)), _stops_named(config.out):
        data = EventDataModule(config)
        data.setup()
        data.refuse_few(place().world)
        network = network_of(config, data.shape, len(data.classes))
        check_fit(network, config.model, data.shape, data.classes, config.timesteps)
        # The run may be continued from another folder.
        kept = config.but(data=config.data.expanduser().resolve())
        if place().first:
            write_text(config.out / "config.json", kept.to_json() + "\n")
        seconds = _seconds_before(config.out) if checkpoint else 0.0
        device = device_of(config.device)
        best_epoch, best_accuracy = _fit(config, data, network, device, checkpoint, progress)
        if config.strategy == "fsdp":  # of the one that was trained, every process holds a part
            network = network_of(config, data.shape, len(data.classes))
        network.to(device)
        load_weights(network, config.out / "checkpoints" / "best.ckpt")
        tested = evaluate(network, data.test_dataloader(), device, shared=True)
    seconds += time.perf_counter() - started
    result = None
    if place().first:
        result = write_record(config, data, network, tested, best_epoch, best_accuracy, seconds)
    result = gathered(result)[0]
    leave()
    return result


def _fit(
    config: TrainConfig,
    data: EventDataModule,
    network: Network,
    device: torch.device,
    checkpoint: Path | None,
    progress: bool,
) -> tuple[int, float]:
    import lightning.pytorch as lightning

    from spikesim.training.assemble import callbacks_of, classifier_of, logger_of, strategy_of
    from spikesim.training.keep import KeepCheckpoints, SafeCheckpointIO

    classifier = classifier_of(config, network, data.classes, data.shape)
    keep = KeepCheckpoints(config.out / "checkpoints")
    logger = logger_of(config)
    with quiet_lightning(), interrupt_signal_kept():
        trainer = lightning.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            **strategy_of(config),
            max_epochs=config.epochs,
            logger=logger,
            callbacks=callbacks_of(config, keep, progress),
            precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
            gradient_clip_val=config.clip or None,
            accumulate_grad_batches=config.accumulate,
            log_every_n_steps=1,
            plugins=[SafeCheckpointIO()],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the loader's own sampler knows the epoch
        )
        try:
            trainer.fit(classifier, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        except RuntimeError as error:
            if checkpoint is None or "state_dict" not in str(error):
                raise
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                f"{checkpoint} does not fit the network that {config.out / 'config.json'} describes ({reason}); "
                "put the settings of the run back, or start anew in another folder"
            ) from error
        except SystemExit as exit_:  # Lightning ends the process after Ctrl-C; a library must not
            raise KeyboardInterrupt from exit_
    return keep.best_epoch, keep.best_accuracy


@contextmanager
def _stops_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not (folder / "config.json").exists():  # nothing has begun that could be continued
            raise
        raise TrainingInterrupted(folder) from interrupt


def device_of(asked: str) -> torch.device:
    """Where a run computes.

    Args:
        asked: "auto", "cpu" or "cuda".

    Raises:
        ConfigError: another word, or a GPU is asked for that is not there.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device: given {asked!r}, expected auto, cpu or cuda")
    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise ConfigError("device: given 'cuda', but torch finds no GPU here; use --device cpu")
    return torch.device("cuda", place().local_rank) if available and asked != "cpu" else torch.device("cpu")


def _seconds_before(folder: Path) -> float:
    from spikesim.training.metrics_csv import read_metrics

    path = folder / "metrics.csv"
    if not path.exists():
        raise CheckpointError(f"{path} is missing, so the run cannot be continued; start a new one")
    try:
        return sum(float(row["seconds"]) for row in read_metrics(path))
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); start the run anew, its seed repeats it") from error
