"""Say which layers hardly fire, or hardly ever stop, and what helps."""

from __future__ import annotations

import logging

import lightning.pytorch as lightning

logger = logging.getLogger(__name__)

SILENT = 1e-4  # spikes per neuron and step: less than this teaches a layer nothing
BUSY = 0.5


class RateWatch(lightning.Callback):
    """After each validation, warn once of every layer whose firing rate leaves little to learn from.

    Reads the rates that :class:`spikesim.training.SpikingClassifier` logs.
    """

    def __init__(self) -> None:
        self._told: set[tuple[str, bool]] = set()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look at the rates of the epoch; the first says little, as weights have hardly moved."""
        if not trainer.current_epoch or not trainer.is_global_zero:
            return
        for name, value in trainer.callback_metrics.items():
            if name.startswith("rate/") and (advice := advise(name.removeprefix("rate/"), float(value))):
                told = (name, float(value) < SILENT)
                if told not in self._told:
                    self._told.add(told)
                    logger.warning("epoch %d: %s", trainer.current_epoch + 1, advice)


def advise(layer: str, rate: float) -> str | None:
    """What to say of a layer, or None.

    >>> advise("module.1", 0.1), advise("module.1", 0.0)[:42]
    (None, 'module.1 fires 0.0e+00 spikes per neuron a')
    """
    if rate < SILENT:
        return (
            f"{layer} fires {rate:.1e} spikes per neuron and step, so almost nothing is passed on or learnt there; "
            "lower its threshold, raise --tau, put a batch-norm before it, or wake it: --rate-penalty 0.1 "
            "--rate-low 0.01"
        )
    if rate > BUSY:
        return (
            f"{layer} fires at {100 * rate:.0f} % of its steps, which carries little and costs energy; raise its "
            "threshold or quiet it: --rate-penalty 0.1"
        )
    return None
