"""From settings to their objects: the loss, the Lightning module, the callbacks of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim import __version__
from spikesim.errors import ConfigError
from spikesim.models import BUILT_IN, build
from spikesim.models.lookup import fitting
from spikesim.nn import Count, Last, Max, Mean, Network
from spikesim.training.losses import CountMSE, CrossEntropy, Loss, StepCrossEntropy

if TYPE_CHECKING:
    import lightning.pytorch as lightning
    from lightning.pytorch.loggers import Logger

    from spikesim.training.classifier import SpikingClassifier
    from spikesim.training.config import TrainConfig
    from spikesim.training.keep import KeepCheckpoints

_READOUTS = {"mean": Mean, "count": Count, "max": Max, "last": Last}


def loss_of(config: TrainConfig, network: Network) -> Loss:
    """The loss that the settings name.

    >>> from spikesim.models import conv_snn
    >>> from spikesim.training import TrainConfig
    >>> loss_of(TrainConfig(data="recordings", loss="count"), conv_snn(width=4)).readout
    Count()
    """
    if config.loss == "step":
        return StepCrossEntropy(label_smoothing=config.label_smoothing)
    if config.loss == "count_mse":
        return CountMSE()
    readout = network.readout if config.loss == "readout" else _READOUTS[config.loss]()
    return CrossEntropy(readout, config.label_smoothing)


def network_of(config: TrainConfig, shape: Sequence[int], classes: int) -> Network:
    """The network of a run, with fresh weights.

    Args:
        config: the settings.
        shape: ``[P, H, W]`` of a frame.
        classes: number of classes.

    Raises:
        ConfigError: the frames are not square, the settings are not the network's, or it has no readout.
        CheckpointError, ConversionError: the model is a converted network that cannot be loaded or trained.

    >>> from spikesim.training import TrainConfig
    >>> network_of(TrainConfig(data="recordings", width=4), (2, 34, 34), 10).readout
    Mean()
    """
    if _is_folder(config.model):
        from spikesim.training.hybrid import converted_network

        return converted_network(config, shape, classes)
    channels, height, width = shape
    if height != width and fitting(config.model, size=height):
        raise ConfigError(
            f"the recordings are {width}x{height} pixels, and {config.model} takes square ones; "
            "give a network of your own with --model package.module:factory"
        )
    options = fitting(config.model, channels=channels, classes=classes, size=height, inputs=channels * height * width)
    # What was asked for on purpose must be taken; the defaults are those of conv_snn.
    chosen = {k: v for k, v in config.changed().items() if k in ("width", "tau")}
    chosen = {"width": config.width, "tau": config.tau} if config.model == "conv_snn" else chosen
    if config.model in BUILT_IN and (extra := chosen.keys() - fitting(config.model, **chosen).keys()):
        raise ConfigError(f"{', '.join(sorted(extra))}: {config.model} takes no such setting; leave it out")
    options |= fitting(config.model, **chosen)
    network = build(config.model, **options)
    if not isinstance(network, Network) or network.readout is None:
        raise ConfigError(
            f"{config.model} gives a {type(network).__name__}; training on events needs a spikesim Network "
            "with a readout: return Network(module, readout=Mean())"
        )
    return network


def _is_folder(model: str) -> bool:
    return model not in BUILT_IN and ":" not in model and Path(model).is_dir()


def classifier_of(
    config: TrainConfig, network: Network, classes: Sequence[str], shape: Sequence[int]
) -> SpikingClassifier:
    """The Lightning module of a run; its checkpoints say what a reader needs to build the network again."""
    from spikesim.training.classifier import SpikingClassifier
    from spikesim.training.diverged import NAME as DIVERGED
    from spikesim.training.restore import SCHEMA

    # The checkpoint may be read from another folder.
    kept = config.but(data=config.data.expanduser().resolve())
    if _is_folder(config.model):
        kept = kept.but(model=str(Path(config.model).resolve()))

    return SpikingClassifier(
        network,
        len(classes),
        loss_of(config, network),
        optimizer=config.optimizer,
        lr=config.lr,
        weight_decay=config.weight_decay,
        warmup=config.warmup,
        rates=(config.rate_penalty, config.rate_low, config.rate_high) if config.rate_penalty else None,
        synops=config.synop_penalty,
        compile=config.compile,
        rule=config.rule,
        metadata={
            "schema": SCHEMA,
            "version": __version__,
            "config": kept.to_json(),
            "classes": list(classes),
            "shape": list(shape),
        },
        diverged=config.out / DIVERGED,
    )


def callbacks_of(config: TrainConfig, keep: KeepCheckpoints, progress: bool) -> list[lightning.Callback]:
    """What watches a run, in the order in which it is told."""
    from lightning.pytorch.callbacks import EMAWeightAveraging

    from spikesim.training.memory_guard import MemoryGuard
    from spikesim.training.metrics_csv import MetricsCsv
    from spikesim.training.patience import Patience
    from spikesim.training.progress import EpochLines
    from spikesim.training.rate_watch import RateWatch

    callbacks: list[lightning.Callback] = [MetricsCsv(config.out / "metrics.csv"), RateWatch(), MemoryGuard()]
    if config.ema:
        # Before what saves: the average is what is measured and kept.
        callbacks.insert(0, EMAWeightAveraging(decay=config.ema))
    if config.patience:
        # Told before the last checkpoint is written, so that a resumed run waits no longer than an unbroken one.
        callbacks.append(Patience(config.patience))
    callbacks.append(keep)
    if progress:
        callbacks.append(EpochLines())
    return callbacks


def strategy_of(config: TrainConfig) -> dict[str, Any]:
    """What Lightning's trainer must know of the devices and of how they share the work."""
    if config.strategy is None:
        return {"devices": 1}
    from lightning.pytorch.plugins.environments import TorchElasticEnvironment
    from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy

    from spikesim.training.ranks import place

    # Its own processes have torchrun's environment, too, so that there is one way in.
    environment = TorchElasticEnvironment()
    strategy = (
        DDPStrategy(cluster_environment=environment)
        if config.strategy == "ddp"
        else FSDPStrategy(cluster_environment=environment, auto_wrap_policy=_blocks(), state_dict_type="full")
    )
    return {
        "devices": config.devices,
        "num_nodes": place().nodes,
        "strategy": strategy,
        "sync_batchnorm": config.sync_batchnorm,
    }


def _blocks() -> set[type]:
    """Layers whose weights are gathered together where they are needed."""
    from spikesim.models.spikformer import Block

    return {Block}


def logger_of(config: TrainConfig) -> Logger | bool:
    """TensorBoard's writer if it is asked for; the metrics of a run go into a CSV file of our own.

    Raises:
        ConfigError: it is asked for and not installed.
    """
    if not config.tensorboard:
        return False
    from lightning.pytorch.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(config.out, name="", version="tensorboard")
    except ModuleNotFoundError as error:
        raise ConfigError("tensorboard is asked for but not installed: pip install 'spikesim[tensorboard]'") from error
