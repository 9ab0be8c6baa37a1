"""What a simulated camera is made of: the differences between its pixels, and where each pixel stands."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spikesim.datasets.counter import key_of, normal_at, uniform_at
from spikesim.datasets.simulator.light import Light
from spikesim.datasets.simulator.model import PixelModel
from spikesim.datasets.simulator.photoreceptor import Receptor, half_decays, mapped_codes
from spikesim.datasets.simulator.sweep import CAMERA, DRIFT, HOT, LARGEST_CHUNK, OFF, ON, STATES, begin, sweep
from spikesim.errors import EventError

THRESHOLD_STREAM, NOISE_STREAM, OFF_STREAM, PHASE_STREAM, HOT_STREAM, SHOT_STREAM = range(1, 7)
"""What random numbers are for; each has a stream of its own."""

_PER_US = 1e-6
_WORTH_A_THREAD = 2**17  # pixels of all frames


@njit(cache=True, nogil=True)
def draw_thresholds(key: Any, mean: Any, spread: Any, height: Any, width: Any) -> Any:
    """Draw one threshold per pixel, normal and never below a tenth of the mean."""
    thresholds = np.empty((height, width), np.float64)
    for y in range(height):
        for x in range(width):
            drawn = mean + spread * normal_at(key, np.uint64(y * width + x))
            thresholds[y, x] = max(drawn, 0.1 * mean)
    return thresholds


@njit(cache=True, nogil=True)
def _uniform(key: Any, height: Any, width: Any) -> Any:
    """Draw one number in [0, 1) per pixel."""
    drawn = np.empty((height, width), np.float64)
    for y in range(height):
        for x in range(width):
            drawn[y, x] = uniform_at(key, np.uint64(y * width + x))
    return drawn


@dataclass(frozen=True)
class Camera:
    """A camera of one size and seed.

    Attributes:
        model: parameters of its pixels.
        receptor: the same, as the kernels want them.
        pixels: thresholds, leakage and noise of each pixel, ``[4, H, W]``.
        phases: where in the cycle of leakage each pixel starts, ``[H, W]``, in ON thresholds.
    """

    model: PixelModel
    receptor: Receptor
    pixels: NDArray[np.float64]
    phases: NDArray[np.float64]

    @classmethod
    def drawn(cls, model: PixelModel, seed: int, height: int, width: int) -> Camera:
        """Draw the pixels of a camera.

        Args:
            model: parameters of the pixels.
            seed: of the draws.
            height: rows of pixels.
            width: columns of pixels.

        Example:
            >>> from spikesim.datasets import PixelModel
            >>> from spikesim.datasets.simulator.camera import Camera
            >>> camera = Camera.drawn(PixelModel(threshold_std=0), 0, height=2, width=3)
            >>> camera.pixels[0].tolist()
            [[0.3, 0.3, 0.3], [0.3, 0.3, 0.3]]
        """
        pixels = np.zeros((CAMERA, height, width))
        mean, spread = float(model.threshold), float(model.threshold_std)
        pixels[ON] = draw_thresholds(key_of(seed, THRESHOLD_STREAM), mean, spread, height, width)
        pixels[OFF] = pixels[ON]
        if model.threshold_off is not None:
            spread = spread if model.threshold_off_std is None else float(model.threshold_off_std)
            pixels[OFF] = draw_thresholds(key_of(seed, OFF_STREAM), float(model.threshold_off), spread, height, width)
        phases = np.zeros((height, width))
        if model.leak_hz:
            pixels[DRIFT] = model.leak_hz * _PER_US * pixels[ON]
            phases = _uniform(key_of(seed, PHASE_STREAM), height, width)
        if model.hot_fraction and model.hot_hz:
            chosen = _uniform(key_of(seed, HOT_STREAM), height, width) < model.hot_fraction
            pixels[HOT] = np.where(chosen, model.hot_hz * _PER_US, 0.0)
        receptor = Receptor(
            offset=float(model.log_offset),
            linear_below=float(model.linear_below),
            cutoff=np.pi * _PER_US * model.cutoff_hz,
            dark=float(model.cutoff_dark),
            shot=_PER_US * model.shot_noise_hz,
            shot_bright=float(model.shot_noise_bright),
            refractory=float(model.refractory_us),
        )
        return cls(model, receptor, pixels, phases)

    def begin(self, lights: NDArray[np.float64], time_us: int, key: np.uint64) -> Standing:
        """The state of the camera that has looked at its first frame for long.

        Args:
            lights: linear light ``[H, W]``.
            time_us: when.
            key: of the draws of shot noise.
        """
        state = np.empty((STATES, lights.size))
        candidates = np.empty(lights.size, np.int64)
        flat = np.ascontiguousarray(lights).reshape(-1), self.phases.reshape(-1)
        begin(*flat, float(time_us), self.pixels.reshape(CAMERA, -1), self.receptor, key, state, candidates)
        return Standing(state, candidates, key)


@dataclass(frozen=True)
class Standing:
    """Where each pixel of a camera stands.

    Attributes:
        state: see :mod:`~spikesim.datasets.simulator.sweep`, ``[6, pixels]``.
        candidates: how many candidates of noise each pixel has had, ``[pixels]``.
        key: of the draws of shot noise.
    """

    state: NDArray[np.float64]
    candidates: NDArray[np.int64]
    key: np.uint64


def keys_of(
    camera: Camera, standing: Standing, light: Light, times: NDArray[np.int64], threads: int = 1
) -> NDArray[np.int64]:
    """Show a camera frames, and change where it stands.

    Args:
        camera: the camera.
        standing: where its pixels stand since the frame before.
        light: the frames, ``[F, H, W]``.
        times: of the frame before and of each of them in microseconds, ``[F + 1]``, over less than 2**31 us.
        threads: that share out the pixels.

    Returns:
        The events, as keys from ``times[0]`` on, unsorted.

    Raises:
        EventError: there are hundreds of millions of them.
    """
    durations, which = np.unique(np.diff(times), return_inverse=True)
    halves = np.empty((len(durations) if camera.model.cutoff_hz else 1, light.table.size))
    for duration, out in zip(durations, halves, strict=False):
        half_decays(light.table, float(duration), camera.receptor, out)
    tables = light.table, mapped_codes(light.table, camera.receptor), halves, which.astype(np.int64)
    frames = light.frames.reshape(len(light.frames), -1)
    width, pixels = light.frames.shape[2], frames.shape[1]

    def part(first: int, last: int) -> NDArray[np.int64]:
        return sweep(
            frames, times, *tables, first, last, width,
            camera.pixels.reshape(CAMERA, -1), camera.receptor, standing.key, standing.state, standing.candidates,
        )  # fmt: skip

    threads = max(1, min(threads, pixels, frames.size // _WORTH_A_THREAD))
    if threads == 1:
        parts = [part(0, pixels)]
    else:
        edges = np.linspace(0, pixels, threads + 1).astype(int).tolist()
        # Made anew each time: threads do not survive a fork.
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(part, edges[:-1], edges[1:]))
    if any(keys.size and keys[0] < 0 for keys in parts):
        raise EventError(
            f"there are more than {LARGEST_CHUNK} events between {times[0]} and {times[-1]} us; expected a higher "
            f"threshold than {camera.model.threshold:g}, or less noise"
        )
    return parts[0] if threads == 1 else np.concatenate(parts)
