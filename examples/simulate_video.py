"""A video becomes events: ideal pixels, noisy pixels, and what a filter makes of the noise.

Draws a wheel that turns into a short movie in a temporary folder (a GIF if imageio is there, else an .npy file), shows
it to two cameras, compares a denoising filter with what is known to be noise, and writes the events.
Run: python examples/simulate_video.py
"""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np

from spikesim.datasets import EventSimulator, PixelModel, read_events, to_frames, write_events
from spikesim.datasets.simulator import Simulated, open_movie
from spikesim.datasets.simulator.stream import joined
from spikesim.datasets.transforms import Denoise

SIZE, FRAMES, FPS = 64, 60, 50
SHADES = np.array(list(" .:*#"))


def wheel() -> np.ndarray:
    """Codes ``[F, H, W]`` of a wheel with five spokes that turns by a fifth in the movie."""
    y, x = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    turned = angle + np.linspace(0, 2 * np.pi / 5, FRAMES)[:, None, None]
    light = 120 + 90 * np.tanh(3 * np.sin(5 * turned)) * (radius < 0.45 * SIZE) * np.clip(radius / 6, 0, 1)
    return light.astype(np.uint8)


def save(frames: np.ndarray, folder: Path) -> Path:
    """Write the movie as a GIF, or as an array where imageio is missing."""
    if importlib.util.find_spec("imageio") is None:
        np.save(folder / "wheel.npy", frames)
        return folder / "wheel.npy"
    from imageio.v3 import imwrite

    imwrite(folder / "wheel.gif", frames, duration=1000 / FPS, loop=0)
    return folder / "wheel.gif"


def record(path: Path, model: PixelModel) -> Simulated:
    """Show a movie to a camera, a piece at a time."""
    camera = EventSimulator(model, seed=0)
    parts = [camera.push(frames, times) for frames, times in open_movie(path, FPS).pieces()]
    return joined([*parts, camera.finish()])


def draw(counts: np.ndarray) -> str:
    """Counts ``[H, W]`` as characters, darker for more events."""
    level = np.minimum(counts[::2].astype(int), 2 * len(SHADES) - 2) // 2
    return "\n".join("  " + "".join(row) for row in SHADES[level])


def main() -> None:
    """Run the example."""
    with tempfile.TemporaryDirectory() as folder:
        path = save(wheel(), Path(folder))
        movie = open_movie(path, FPS)
        print(f"{movie.kind} of {movie.frames} frames, {movie.size[0]} x {movie.size[1]} pixels, {FPS} frames/s")
        clean = record(path, PixelModel.preset("ideal"))
        noisy = record(path, PixelModel.preset("noisy", leak_hz=1.0))
        for name, made in (("ideal", clean), ("noisy", noisy)):
            print(f"{name}: {made.events}, {100 * made.noise.mean():.1f} % shot noise")
        print("\nfirst of 20 time steps, noisy:")
        print(draw(to_frames(noisy.events, 20).frames[0].sum(0)))

        kept = Denoise(10_000)(noisy.events)
        # Which events are left: times, places and polarities name each one.
        left = np.isin(noisy.events.data, kept.data)
        print(
            f"\nDenoise(10 ms) keeps {100 * left[~noisy.noise].mean():.0f} % of what is signal or leakage "
            f"and {100 * left[noisy.noise].mean():.0f} % of the shot noise"
        )
        write_events(Path(folder) / "wheel.aedat", noisy.events)
        print(f"written and read again: {read_events(Path(folder) / 'wheel.aedat') == noisy.events}")


if __name__ == "__main__":
    main()
