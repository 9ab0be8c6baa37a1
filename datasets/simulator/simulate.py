"""Events from a movie that fits into memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from spikesim.datasets.counter import key_of
from spikesim.datasets.events import Events
from spikesim.datasets.simulator.camera import NOISE_STREAM
from spikesim.datasets.simulator.light import Encoding
from spikesim.datasets.simulator.model import PixelModel, model_or_default
from spikesim.datasets.simulator.share import with_share
from spikesim.datasets.simulator.stream import EventSimulator
from spikesim.errors import EventError


def simulate_events(
    frames: ArrayLike,
    times_us: ArrayLike,
    model: PixelModel | None = None,
    *,
    seed: int = 0,
    encoding: Encoding = "auto",
    threads: int = 1,
) -> Events:
    """Turn a movie into events.

    The mapped intensity, ``log(log_offset + frame)`` without other settings, is taken as a straight line between
    frames, so the crossing times are exact (and rounded down to whole microseconds); a ramp of log contrast c gives
    ``floor(c / threshold)`` events without a refractory period. The first frame sets what each pixel remembers.

    Args:
        frames: grey ``[F, H, W]`` or colour ``[F, H, W, 3]``, 0 or more, with at least one frame.
        times_us: time of each frame ``[F]`` in microseconds: increasing integers from 0 on, below 2**52, less than
            2**31 us apart.
        model: parameters of the pixel; ``PixelModel()`` by default.
        seed: fixes the differences between pixels, and the noise.
        encoding: what the numbers mean: ``"srgb"`` codes, ``"linear"`` light (white is 1.0, or the largest code), or
            ``"auto"``: sRGB if they are uint8 or uint16, else linear.
        threads: threads that share out the pixels; the events do not depend on it.

    Returns:
        The events in order of time, sensor ``(W, H, 2)``; events of one microsecond by row, column and polarity.

    Raises:
        EventError: frames or times have another shape or bad values.
        ConfigError: ``encoding`` or ``threads`` is none.

    References:
        ESIM: Rebecq et al. 2018, https://proceedings.mlr.press/v87/rebecq18a.html; the dead time is
        that of Lichtsteiner et al. 2008.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets import PixelModel, simulate_events
        >>> model = PixelModel(threshold=0.5, threshold_std=0, refractory_us=0, log_offset=1)
        >>> brighter = np.exp([[[0.0]], [[1.25]]]) - 1            # log intensity rises by 1.25
        >>> simulate_events(brighter, [0, 1000], model).t.tolist()
        [400, 800]
    """
    model = model_or_default(model)
    simulator = EventSimulator(replace(model, noise=0.0), seed=seed, encoding=encoding, threads=threads)
    if np.ndim(times_us) == 1 and len(np.asarray(times_us)) == 0:
        raise EventError(f"frames have shape {np.shape(frames)}; expected [F, H, W] with at least one frame")
    first = simulator.push(frames, times_us).events
    last = simulator.finish().events
    events = Events._trusted(np.concatenate([first.data, last.data]), first.sensor_size) if len(last) else first
    times = np.asarray(times_us)
    noise_key = key_of(seed, NOISE_STREAM)
    return with_share(events, float(model.noise), noise_key, int(times[0]), int(times[-1]), model.refractory_us)
