"""N-Digits: the handwritten digits that ship with scikit-learn, seen by a simulated event camera.

1797 recordings of 34 x 34 pixels and 300 ms in N-MNIST's own files and folders, made in seconds and
without a download, so that a tutorial or a test can train on events anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.atomic import write_whole
from spikesim.datasets.counter import key_of
from spikesim.datasets.events import Events
from spikesim.datasets.formats import NMNIST_SENSOR, encode_bin
from spikesim.datasets.simulator.camera import NOISE_STREAM, SHOT_STREAM, Camera, keys_of
from spikesim.datasets.simulator.light import Light
from spikesim.datasets.simulator.model import PixelModel
from spikesim.datasets.simulator.pixel import unpack
from spikesim.datasets.simulator.saccade import triangle_path
from spikesim.datasets.simulator.share import with_noise
from spikesim.datasets.simulator.warp import draw
from spikesim.datasets.split import random_split
from spikesim.errors import ConfigError, DatasetError

SCHEMA = 1
MANIFEST = "ndigits.json"
MODEL = PixelModel(noise=0.02)
"""The pixels of N-Digits, unless others are asked for."""

_ZOOM = 2.6  # the 8 x 8 digits become 20.8 pixels wide, as N-MNIST's digits in their frame


def generate_ndigits(
    root: str | os.PathLike[str],
    *,
    samples: int | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    model: PixelModel | None = None,
    threads: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the N-Digits recordings in N-MNIST's layout.

    Each digit is enlarged, moved along N-MNIST's three saccades and turned into events by the ideal
    pixel model. All recordings share the thresholds of one camera; each has its own noise. The folder
    is built beside ``root`` and renamed when its manifest ``ndigits.json`` is in it, so an interrupted
    run leaves nothing under ``root`` and the next one starts over. Where ``root`` already holds the same
    recordings, nothing is done.

    Args:
        root: folder to make, with ``Train/<digit>/<index>.bin`` and ``Test/<digit>/<index>.bin``.
        samples: only the first so many of the 1797 digits; all by default.
        seed: fixes thresholds, noise and split; the same seed gives the same bytes, whatever ``threads``.
        test_fraction: share of each digit that goes to ``Test``.
        model: the pixel's parameters; :data:`MODEL` by default.
        threads: threads to work with; one per available core by default.
        overwrite: replace other N-Digits recordings that ``root`` holds.

    Returns:
        ``root`` as a path.

    Raises:
        ConfigError: an option is out of range.
        DatasetError: ``root`` holds something else, or N-Digits made with other options.
        OSError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import generate_ndigits, load_nmnist
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     train, test = load_nmnist(generate_ndigits(Path(folder) / "ndigits", samples=50))
        ...     len(train), len(test), train.classes[:3]
        (40, 10, ('0', '1', '2'))
    """
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    if samples is not None and not 1 <= samples <= len(labels):
        raise ConfigError(f"samples is {samples}; expected 1 to {len(labels)}, or None for all")
    if not 0 <= test_fraction <= 1:
        raise ConfigError(f"test_fraction is {test_fraction}; expected a share from 0 to 1")
    if threads is not None and threads < 1:
        raise ConfigError(f"threads is {threads}; expected 1 or more")
    model = model or MODEL
    pictures = pictures[:samples].reshape(-1, 8, 8) / 16.0
    labels = labels[:samples]
    options = {
        "schema": SCHEMA,
        "name": "N-Digits",
        "seed": seed,
        "samples": len(labels),
        "test_fraction": test_fraction,
        "pixel": _described(model),
    }
    target = Path(root)
    if _already_there(target, options, overwrite):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f".{target.name}.partial-{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    try:
        made = _write_all(building, pictures, labels, model, seed, test_fraction, threads)
        write_whole(building / MANIFEST, (json.dumps(options | made, indent=2) + "\n").encode())
        _move_into_place(building, target, options, overwrite)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def _write_all(
    folder: Path,
    pictures: NDArray[np.float64],
    labels: NDArray[np.int64],
    model: PixelModel,
    seed: int,
    test_fraction: float,
    threads: int | None,
) -> dict[str, Any]:
    """Write every recording; return what the manifest says of them."""
    (train, test), split = random_split(labels, (1 - test_fraction, test_fraction), seed)
    part = np.full(len(labels), "Train", dtype="<U5")
    part[test] = "Test"
    for name in ("Train", "Test"):
        (folder / name).mkdir(parents=True)
        for digit in np.unique(labels[part == name]):
            (folder / name / str(digit)).mkdir()
    width, height, _ = NMNIST_SENSOR
    camera = Camera.drawn(model, seed, height, width)

    def write_one(index: int) -> tuple[int, bytes]:
        keys = key_of(seed, SHOT_STREAM, index), key_of(seed, NOISE_STREAM, index)
        events = _digit_events(pictures[index], camera, *keys)
        content = encode_bin(events)
        write_whole(folder / part[index] / str(labels[index]) / f"{index:05d}.bin", content)
        return len(events), hashlib.sha256(content).digest()

    executor = ThreadPoolExecutor(threads or _cores())
    try:
        written = list(executor.map(write_one, range(len(labels))))
    finally:
        executor.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest
    return {
        "train": len(train),
        "test": len(test),
        "split": split,
        "events": sum(count for count, _ in written),
        "sha256": hashlib.sha256(b"".join(digest for _, digest in written)).hexdigest(),
    }


def _cores() -> int:
    """Cores that this process may use (macOS cannot say; there it is all of them)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _digit_events(picture: NDArray[np.float64], camera: Camera, shot_key: np.uint64, noise_key: np.uint64) -> Events:
    width, height, _ = NMNIST_SENSOR
    shifts, times = triangle_path()
    middle = (shifts.min(0) + shifts.max(0)) / 2
    origin = (
        (width - _ZOOM * picture.shape[1]) / 2 - middle[0],
        (height - _ZOOM * picture.shape[0]) / 2 - middle[1],
    )
    unturned = np.tile([1.0, 0.0], (len(times), 1))
    movie = draw(picture, _ZOOM, origin, shifts, unturned, (width, height))
    standing = camera.begin(movie[0], 0, shot_key)
    keys = keys_of(camera, standing, Light(movie[1:], np.empty(0)), times)
    model = camera.model
    keys = with_noise(keys, float(model.noise), noise_key, times[0], times[-1], model.refractory_us, height, width)
    return Events.from_columns(*unpack(keys), NMNIST_SENSOR)


def _described(model: PixelModel) -> dict[str, Any]:
    """What a manifest says of the pixels: what it always said, and whatever else is not as usual."""
    always = ("threshold", "threshold_std", "refractory_us", "noise", "log_offset")
    usual = asdict(PixelModel())
    return {name: value for name, value in asdict(model).items() if name in always or value != usual[name]}


def _already_there(target: Path, options: dict[str, Any], overwrite: bool) -> bool:
    """Whether ``target`` holds these very recordings; refuses what must not be replaced."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    manifest = target / MANIFEST
    if not manifest.is_file():
        raise DatasetError(f"{target} holds something other than N-Digits; choose a new or an empty folder")
    try:
        found = json.loads(manifest.read_text())
        same = {name: found.get(name) for name in options} == options
        complete = sum(1 for _ in target.glob("T*/*/*.bin")) == found.get("samples")
    except (OSError, ValueError, AttributeError) as error:
        raise DatasetError(f"{manifest} is damaged ({error}); delete {target} and try again") from error
    if same and complete:
        return True
    if not overwrite:
        differing = [f"{name} {found.get(name)}" for name in options if found.get(name) != options[name]]
        reason = f"was made with {', '.join(differing)}" if differing else "has lost some of its files"
        raise DatasetError(f"N-Digits in {target} {reason}; choose another folder or pass overwrite=True")
    return False


def _move_into_place(building: Path, target: Path, options: dict[str, Any], overwrite: bool) -> None:
    replaced = target.with_name(f".{target.name}.replaced-{os.getpid()}")
    if overwrite and (target / MANIFEST).is_file():
        os.replace(target, replaced)
    try:
        os.replace(building, target)  # an empty folder may be there
    except OSError:
        # Another process may have finished the same recordings meanwhile.
        if not _already_there(target, options, overwrite=False):
            raise
    finally:
        shutil.rmtree(replaced, ignore_errors=True)
