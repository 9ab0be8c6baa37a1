"""Train spiking networks on event recordings: named splits, validation-selected weights, exact resume.

Each name is imported on first use, so that the command line can show its help without torch.

Example:
    >>> from spikesim.training import TrainConfig
    >>> TrainConfig(data="recordings", epochs=5).timesteps
    10
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikesim.training.activity import Activity, rate_penalty
    from spikesim.training.classifier import SpikingClassifier
    from spikesim.training.config import TrainConfig, read_config
    from spikesim.training.data import EventDataModule
    from spikesim.training.evaluation import Evaluation, evaluate
    from spikesim.training.images import fit_images, image_accuracy
    from spikesim.training.interrupt import TrainingInterrupted
    from spikesim.training.losses import CountMSE, CrossEntropy, Loss, StepCrossEntropy
    from spikesim.training.measured import Measured, evaluate_run
    from spikesim.training.metrics import AccuracyOverTime
    from spikesim.training.rates import FiringRates
    from spikesim.training.record import TrainResult
    from spikesim.training.redrawing import redraw
    from spikesim.training.restore import TrainedRun, load_run
    from spikesim.training.run import resume, train
    from spikesim.training.streaming import Prediction, predict
    from spikesim.training.sweep_config import Sweep, read_sweep
    from spikesim.training.sweep_results import SweepResult
    from spikesim.training.sweeping import run_sweep
    from spikesim.training.weights import load_weights, read_weights

__all__ = [
    "AccuracyOverTime",
    "Activity",
    "CountMSE",
    "CrossEntropy",
    "Evaluation",
    "EventDataModule",
    "FiringRates",
    "Loss",
    "Measured",
    "Prediction",
    "SpikingClassifier",
    "StepCrossEntropy",
    "Sweep",
    "SweepResult",
    "TrainConfig",
    "TrainResult",
    "TrainedRun",
    "TrainingInterrupted",
    "evaluate",
    "evaluate_run",
    "fit_images",
    "image_accuracy",
    "load_run",
    "load_weights",
    "predict",
    "rate_penalty",
    "read_config",
    "read_sweep",
    "read_weights",
    "redraw",
    "resume",
    "run_sweep",
    "train",
]

_HOME = {
    "AccuracyOverTime": "metrics",
    "Activity": "activity",
    "CountMSE": "losses",
    "CrossEntropy": "losses",
    "Evaluation": "evaluation",
    "EventDataModule": "data",
    "FiringRates": "rates",
    "Loss": "losses",
    "Measured": "measured",
    "Prediction": "streaming",
    "SpikingClassifier": "classifier",
    "StepCrossEntropy": "losses",
    "Sweep": "sweep_config",
    "SweepResult": "sweep_results",
    "TrainConfig": "config",
    "TrainResult": "record",
    "TrainedRun": "restore",
    "TrainingInterrupted": "interrupt",
    "evaluate": "evaluation",
    "evaluate_run": "measured",
    "fit_images": "images",
    "image_accuracy": "images",
    "load_run": "restore",
    "load_weights": "weights",
    "predict": "streaming",
    "rate_penalty": "activity",
    "read_config": "config",
    "read_sweep": "sweep_config",
    "read_weights": "weights",
    "redraw": "redrawing",
    "resume": "run",
    "run_sweep": "sweeping",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    """Import the module that a public name lives in."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
