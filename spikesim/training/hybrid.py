"""A converted ANN as the start of training on events: thresholds, leaks and weights go on learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from spikesim.converters import finetunable, load_converted
from spikesim.errors import ConfigError, SpikesimError
from spikesim.nn import Constant, Network

if TYPE_CHECKING:
    from spikesim.training.config import TrainConfig


def converted_network(config: TrainConfig, shape: Sequence[int], classes: int) -> Network:
    """The network in the folder of a conversion, made trainable and fed with frames instead of one constant picture.

    An ANN that was trained on mean frames is linear up to its first neuron, so that T frames give its first layer the
    current of their mean, spread over time.

    Args:
        config: its ``model`` is the folder.
        shape: ``[P, H, W]`` of a frame.
        classes: number of classes.

    Raises:
        ConfigError: settings that belong to fresh networks, an input told otherwise than as a constant, or other frames
            or classes.
        CheckpointError: the folder is damaged.
        ConversionError: the network cannot be trained, see :func:`spikesim.converters.finetunable`.

    >>> from spikesim.training import TrainConfig
    >>> converted_network(TrainConfig(data="recordings", model=".", width=8), (2, 34, 34), 10)
    Traceback (most recent call last):
    spikesim.errors.ConfigError: width: the network in . has its own; leave it out
    """
    if set_too := sorted({"width", "tau"} & config.changed().keys()):
        raise ConfigError(f"{', '.join(set_too)}: the network in {config.model} has its own; leave it out")
    network = finetunable(load_converted(config.model))
    if type(network.encoder) is not Constant:
        raise ConfigError(
            f"the network in {config.model} is not told the same input at every step, so that frames cannot take its "
            "place: convert with --neuron if or signed_if"
        )
    network = Network(network.module, readout=network.readout)
    try:
        with torch.no_grad():
            found = tuple(network(torch.zeros(2, 1, *shape)).shape)
    except (SpikesimError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the network in {config.model} does not take frames [P, H, W] = {list(shape)}: "
            f"{(str(error).splitlines() or [''])[0]}"
        ) from error
    if found != (1, classes):
        raise ConfigError(
            f"the network in {config.model} gives {list(found[1:])} scores, the recordings {classes} classes"
        )
    return network.train()
