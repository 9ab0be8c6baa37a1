"""What `events.py` measures: a transform of ours beside Tonic's of the same name, and how their results compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SENSOR = (128, 128, 2)
START = 1_000_000  # microseconds; before `filter_time` Tonic's Denoise keeps everything
GESTURE = np.dtype([("x", "i2"), ("y", "i2"), ("p", "?"), ("t", "i8")])
NMNIST = np.dtype([("x", "i8"), ("y", "i8"), ("t", "i8"), ("p", "i8")])


def recording(count: int, dtype: np.dtype = GESTURE, start: int = START, seed: int = 0) -> np.ndarray:
    """A blob that circles at 200 thousand events a second, and a tenth of noise, on 128 x 128 pixels."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 5 * count, count))
    turn = 2 * np.pi * t / 1e6
    noise = rng.random(count) < 0.1
    data = np.zeros(count, dtype)
    for name, middle in (("x", 64 + 40 * np.cos(turn)), ("y", 64 + 40 * np.sin(turn))):
        blob = np.clip(middle + rng.normal(0, 6, count), 0, 127)
        data[name] = np.where(noise, rng.integers(0, 128, count), blob)
    data["t"], data["p"] = t - t[0] + start, rng.integers(0, 2, count)
    return data


def same(ours: Any, theirs: Any) -> str:
    """Equal in every value; dtypes may differ."""
    if getattr(ours, "dtype", None) is not None and getattr(ours.dtype, "names", None):
        fields = all(np.array_equal(ours[n], theirs[n]) for n in ours.dtype.names)
        return "equal" if len(ours) == len(theirs) and fields else "UNEQUAL"
    if hasattr(ours, "to_dense"):
        ours, theirs = ours.to_dense().numpy(), theirs.to_dense().numpy()
    return "equal" if np.array_equal(ours, theirs) else "UNEQUAL"


def close(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Floats of other widths or another order of summing."""
    if ours.shape != theirs.shape:
        return "UNEQUAL"
    apart = float(np.abs(ours - theirs).max())
    return f"equal within {apart:.0e}" if apart < 1e-3 else "UNEQUAL"


def but_the_last(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Tonic's voxel grid lacks the event at the very end (events.md 1.4 a)."""
    apart = np.abs(ours - theirs)
    one = np.count_nonzero(apart > 1e-3) == 1 and abs(float(apart.max()) - 1) < 1e-3
    return "equal but for the event at the end, which Tonic loses" if one else "UNEQUAL"


def wrong(why: str) -> Callable[[Any, Any], str]:
    """A documented defect of Tonic's: the two must differ."""
    return lambda ours, theirs: f"differs: {why}" if not same_or_false(ours, theirs) else "UNEXPECTEDLY EQUAL"


def same_or_false(ours: Any, theirs: Any) -> bool:
    return getattr(ours, "shape", 0) == getattr(theirs, "shape", 1) and same(ours, theirs) == "equal"


def random(ours: Any, theirs: Any) -> str:
    return "random"


def as_many(ours: Any, theirs: Any) -> str:
    return "random, equally many" if len(ours) == len(theirs) else "UNEQUAL"


def full_steps(step: int) -> Callable[[Any, Any], str]:
    """EventDownsampling up to the last full step: Tonic leaves an unfinished one out."""

    def compare(ours: np.ndarray, theirs: np.ndarray) -> str:
        end = (int(theirs["t"].max()) // step - 1) * step
        a, b = (sorted(map(tuple, d[d["t"] < end][["x", "y", "t", "p"]].tolist())) for d in (ours, theirs))
        # Within a step Tonic goes column by column.
        return "equal up to the last full step" if a and a == [(x, y, t, bool(p)) for x, y, t, p in b] else "UNEQUAL"

    return compare


@dataclass(frozen=True)
class Case:
    """A pair of transforms.

    Args:
        ours, theirs: build them from the modules.
        compare: of the results.
        target: how many times as fast ours must be.
        dtype: of the events.
        count: how many, or None for the usual number.
        start: of the recording.
        frames: whether they take frames in place of events.
    """

    ours: Callable[[Any], Callable[[Any], Any]]
    theirs: Callable[[Any], Callable[[Any], Any]]
    compare: Callable[[Any, Any], str] = same
    target: float = 1.0
    dtype: np.dtype = GESTURE
    count: int | None = None
    start: int = START
    frames: bool = False


def both(build: Callable[[Any], Any], compare: Any = same, target: float = 1.0, **options: Any) -> Case:
    """The same call for both modules."""
    return Case(build, build, compare, target, **options)


S = SENSOR
TAIL = "Tonic drops the tail (1.4 h)"
CASES: dict[str, dict[str, Case]] = {
    "frames": {
        "ToFrame(n_time_bins=16)": Case(
            lambda m: m.ToFrame(S, n_time_bins=16), lambda m: m.ToFrame(S, n_time_bins=16), wrong(TAIL), 20
        ),
        "ToFrame(n_time_bins=16), rule tonic": Case(
            lambda m: m.ToFrame(S, n_time_bins=16, remainder="tonic"),
            lambda m: m.ToFrame(S, n_time_bins=16), target=20,
        ),
        "ToFrame(n_event_bins=16), rule tonic": Case(
            lambda m: m.ToFrame(S, n_event_bins=16, remainder="tonic"), lambda m: m.ToFrame(S, n_event_bins=16),
            target=20,
        ),
        "ToFrame(time_window=10_000), T = 499": Case(
            lambda m: m.ToFrame(S, time_window=10_000, remainder="tonic"), lambda m: m.ToFrame(S, time_window=10_000)
        ),
        "ToFrame(event_count=5000), T = 200": Case(
            lambda m: m.ToFrame(S, event_count=5000, remainder="tonic"), lambda m: m.ToFrame(S, event_count=5000)
        ),
        "ToSparseTensor(n_time_bins=16)": Case(
            lambda m: m.ToSparseTensor(S, n_time_bins=16, remainder="tonic"),
            lambda m: m.ToSparseTensor(S, n_time_bins=16),
        ),
        "ToImage": Case(lambda m: m.ToImage(S, dtype="int16"), lambda m: m.ToImage(S)),
        "ToBinaRep(10, 8)": both(lambda m: m.ToBinaRep(10, 8), close, frames=True),
    },
    "grids and surfaces": {
        "ToVoxelGrid(10), p int64": both(lambda m: m.ToVoxelGrid(S, 10), but_the_last, 10, dtype=NMNIST),
        "ToVoxelGrid(10), p bool": both(
            lambda m: m.ToVoxelGrid(S, 10), wrong("Tonic ignores boolean polarity (1.4 a)"), 10
        ),
        "ToTimesurface(10_000, 10_000)": both(lambda m: m.ToTimesurface(S, 10_000, 10_000), close),
        "ToAveragedTimesurface, 20 k events": both(lambda m: m.ToAveragedTimesurface(S), close, 200, count=20_000),
        "ToAveragedTimesurface, 50 k events": both(lambda m: m.ToAveragedTimesurface(S), close, 200, count=50_000),
    },
    "filters": {
        "Denoise(10_000)": both(lambda m: m.Denoise(10_000), target=80),
        "RefractoryPeriod(1000), rule of Tonic": Case(
            lambda m: m.RefractoryPeriod(1000, rule="interval"), lambda m: m.RefractoryPeriod(1000), target=80
        ),
        "RefractoryPeriod(1000), dead time": both(
            lambda m: m.RefractoryPeriod(1000), wrong("dropped events prolong Tonic's (1.4 i)"), 80
        ),
        "Decimation(4)": both(lambda m: m.Decimation(4), target=80),
    },
    "drops and crops": {
        "DropEvent(0.2)": both(lambda m: m.DropEvent(0.2), as_many),
        "DropEventByTime(0.2)": both(lambda m: m.DropEventByTime(0.2), random),
        "DropEventByArea(0.2)": both(lambda m: m.DropEventByArea(S, 0.2), random),
        "DropPixel, 4 given": both(lambda m: m.DropPixel([(1, 2), (3, 4), (60, 64), (64, 24)])),
        "DropPixel, hot": both(lambda m: m.DropPixel(hot_pixel_frequency=60)),
        "RandomDropPixel(0.01)": both(lambda m: m.RandomDropPixel(0.01, S), random),
        "CropTime(2 s to 4 s)": both(lambda m: m.CropTime(2_000_000, 4_000_000)),
        "CenterCrop(64)": both(lambda m: m.CenterCrop(S, (64, 64))),
        "RandomCrop(64)": both(lambda m: m.RandomCrop(S, (64, 64)), random),
        "EventDownsampling, integrator": both(
            lambda m: m.EventDownsampling(S, (32, 32), "integrator", 1.0, 2), full_steps(1000), start=0
        ),
        "EventDownsampling, differentiator": both(
            lambda m: m.EventDownsampling(S, (32, 32), "differentiator", 1.0, 2, 2), full_steps(1000), start=0
        ),
    },
    "moves": {
        "RandomFlipLR(p=1)": both(lambda m: m.RandomFlipLR(S, 1.0)),
        "RandomFlipUD(p=1)": both(lambda m: m.RandomFlipUD(S, 1.0)),
        "RandomFlipPolarity(p=1), recording": Case(
            lambda m: m.RandomFlipPolarity(1.0, per="recording"), lambda m: m.RandomFlipPolarity(1.0)
        ),
        "RandomFlipPolarity(0.5), per event": Case(
            lambda m: m.RandomFlipPolarity(0.5), lambda m: m.RandomFlipPolarity(1.0),
            wrong("Tonic flips all or none (1.4 m); here p = 1, so that it flips"),
        ),
        "RandomTimeReversal(p=1)": both(lambda m: m.RandomTimeReversal(1.0)),
        "MergePolarities": both(lambda m: m.MergePolarities()),
        "TimeAlignment": both(lambda m: m.TimeAlignment()),
        "TimeSkew(1.5, 3)": both(lambda m: m.TimeSkew(1.5, 3)),
        "TimeJitter(10), unsorted": Case(
            lambda m: m.TimeJitter(10.0, sort_timestamps=False), lambda m: m.TimeJitter(10.0), random
        ),
        "TimeJitter(10), sorted": both(lambda m: m.TimeJitter(10.0, sort_timestamps=True), random),
        "SpatialJitter(1, 1)": both(lambda m: m.SpatialJitter(S, 1.0, 1.0, clip_outliers=True), random),
        "Downsample(0.5)": both(lambda m: m.Downsample(spatial_factor=0.5)),
        "UniformNoise(100_000)": both(lambda m: m.UniformNoise(S, 100_000), as_many),
        "NumpyAsType(int)": both(lambda m: m.NumpyAsType(int)),
    },
}  # fmt: skip
"""Groups of cases. ``EventDrop`` is one of three drops above, or nothing."""
