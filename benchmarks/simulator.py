"""How fast frames become events: 128 x 128 pixels, 200 frames at 1000 frames/s, from arrays in memory to `Events`.

Two movies of 8-bit codes: ``calm``, a blob over a gradient (about 3 events for each hundred pixels and frames with
the ideal pixel), and ``busy``, a texture that moves everywhere (about 11). Models: ``ideal`` and ``clean`` are the
presets; ``full`` is the preset ``noisy`` (thresholds per pixel, low-pass, leakage, shot noise) with a refractory period
of 500 us and hot pixels. ``light`` means frames of float64, for which the logarithm and the decay of the filter are
computed instead of looked up.

As a yardstick stands the rate that is quoted for v2e on one core at this size, 0.06 M events/s; it is quoted, not
measured here. Event rates depend on the movie: frames/s say what the pixels cost.

    python benchmarks/simulator.py            about a minute; writes results/simulator.json
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from harness import Results, interleave, machine

from spikesim.datasets import Events, PixelModel, simulate_events
from spikesim.datasets.simulator.photoreceptor import srgb_light

FRAMES, SIDE = 200, 128
QUOTED_V2E = 0.06e6  # events/s
MODELS = {
    "ideal": PixelModel.preset("ideal"),
    "clean": PixelModel.preset("clean"),
    "full": PixelModel.preset("noisy", refractory_us=500, hot_fraction=0.001, hot_hz=50.0),
}


def calm() -> np.ndarray:
    y, x = np.indices((SIDE, SIDE))
    frames = []
    for k in range(FRAMES):
        middle = 20 + 0.45 * k, 64 + 30 * np.sin(k / 30)
        blob = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / (2 * 9**2))
        frames.append(np.rint(60 + 40 * x / SIDE + 150 * blob))
    return np.clip(frames, 0, 255).astype(np.uint8)


def busy() -> np.ndarray:
    waves = np.random.default_rng(0).uniform(-0.3, 0.3, (40, 3))
    y, x = np.indices((SIDE, SIDE))
    frames = []
    for k in range(FRAMES):
        moved = waves[:, :2] @ np.stack([x.ravel() - 0.25 * k, y.ravel() + 0.1 * k])
        frames.append(np.sin(moved + 20 * waves[:, 2:]).sum(0).reshape(SIDE, SIDE))
    texture = np.array(frames)
    return np.rint(255 * (texture - texture.min()) / np.ptp(texture)).astype(np.uint8)


def calls_of(codes: np.ndarray, threads: int) -> dict[str, Callable[[], Events]]:
    """What is timed: each model on codes and on light."""
    times = np.arange(FRAMES) * 1000
    inputs = {"": codes, ", light": srgb_light()[codes]}
    return {
        f"{name}{kind}": partial(simulate_events, frames, times, model, threads=threads)
        for name, model in MODELS.items()
        for kind, frames in inputs.items()
    }


def main() -> None:
    results = Results("simulator", again=True)
    results.content |= {"machine": machine(), "quoted_v2e_events_per_second": QUOTED_V2E}
    pixels = FRAMES * SIDE**2
    for threads in (1, 2):
        torch.set_num_threads(threads)  # one: the harness counts processor time, which waiting does not lengthen
        for movie, codes in (("calm", calm()), ("busy", busy())):
            calls = calls_of(codes, threads)
            counts = {name: len(call()) for name, call in calls.items()}
            samples = interleave(calls, rounds=9, seconds=20)
            print(f"\n{movie}, {threads} thread(s)   events     frames/s   Mpix/s   Mev/s   of v2e's quoted event rate")
            rows = {}
            for name, sample in samples.items():
                frames, events = FRAMES / sample.median, counts[name] / sample.median
                rows[name] = sample.summary() | {
                    "events": counts[name],
                    "frames_per_second": frames,
                    "pixels_per_second": pixels / sample.median,
                    "events_per_second": events,
                    "of_quoted_v2e": events / QUOTED_V2E,
                }
                mark = "" if sample.trusted else "   DISTURBED"
                print(f"  {name:16s} {counts[name]:10d} {frames:12.0f} {pixels / sample.median / 1e6:8.0f}", end="")
                print(f" {events / 1e6:7.2f} {events / QUOTED_V2E:9.0f} x{mark}")
            results.add(f"{movie}, {threads} threads", rows)


if __name__ == "__main__":
    main()
