"""Whether a network and the recordings go together, found out before the first epoch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from spikesim.errors import ConfigError
from spikesim.nn import Network


def check_fit(network: Network, model: str, shape: Sequence[int], classes: Sequence[str], timesteps: int) -> None:
    """Raise unless a network gives one score per class for frames of the recordings, found by empty ones.

    Random generators, statistics and the mode of the network stay as they were.

    Args:
        network: of the run.
        model: its name in the settings.
        shape: ``[P, H, W]`` of a frame.
        classes: of the recordings.
        timesteps: T.

    Raises:
        ConfigError: it gives something else, or cannot take such frames.

    Example:
        >>> from spikesim.models import conv_snn
        >>> check_fit(conv_snn(width=2, classes=3), "conv_snn", (2, 34, 34), ["a", "b"], 2)
        Traceback (most recent call last):
        spikesim.errors.ConfigError: model: conv_snn gives 3 scores per recording, but the recordings have 2 classes...
    """
    empty, training = torch.zeros(timesteps, 1, *shape), network.training
    try:
        with torch.random.fork_rng(), torch.no_grad():
            y = network.eval()(empty)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:  # whatever a network of the user's own raises
        raise ConfigError(
            f"model: {model} cannot take the recordings' frames, [T, N, P, H, W] with T={timesteps} and "
            f"[P, H, W]={list(shape)}: {error}; give a network for frames of that shape"
        ) from error
    finally:
        network.train(training)
    found = list(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
    if found == [1, len(classes)]:
        return
    named = ", ".join(map(str, classes[:12])) + (", ..." if len(classes) > 12 else "")
    if isinstance(found, list) and len(found) == 2 and found[0] == 1:
        raise ConfigError(
            f"model: {model} gives {found[1]} scores per recording, but the recordings have {len(classes)} classes "
            f"({named}); let its last layer have {len(classes)} outputs, or take away the folders of other classes"
        )
    raise ConfigError(
        f"model: {model} gives {found} for one recording, but training needs [1, {len(classes)}], a score per class; "
        "give it a readout over time and a flat last layer"
    )
