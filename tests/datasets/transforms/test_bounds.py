"""Every kernel of the transforms runs once with Numba's bounds check."""

from oracles.checked_process import run_checked

SCRIPT = """
import numpy as np
from oracles.streams import stream
from spikesim.datasets import transforms as T

S = (24, 16, 2)
tried = [
    T.CenterCrop(S, 8), T.CropTime(100, 60_000), T.RandomCutout(S), T.Decimation(3), T.Denoise(900, S),
    T.Downsample(0.5, 0.5, S), T.DropEvent(0.3), T.DropEventByArea(S), T.DropEventByTime(),
    T.DropPixel([(3, 4)], sensor_size=S), T.EventDrop(S), T.DropPixel(hot_pixel_frequency=9, sensor_size=S),
    T.EventDownsampling(S, (6, 4)), T.HotPixelFilter(2, S), T.EventDownsampling(S, (7, 5), "differentiator"),
    T.MergePolarities(), T.NDA(S), T.NumpyAsType(int), T.RandomCrop(S, 9), T.RandomDropPixel(0.3, S),
    T.RandomFlipLR(S, 1.0), T.RandomFlipUD(S, 1.0), T.RandomFlipPolarity(0.5), T.RandomRoll(S, 5),
    T.RandomRotate(S, 90), T.RandomShear(S, 45), T.RandomTimeReversal(1.0), T.RefractoryPeriod(300),
    T.SamplePoints(20, "farthest"), T.SamplePoints(400), T.SpatialJitter(S, 9, 9),
    T.SpatialJitter(S, clip_outliers=False), T.TemporalDelete(), T.TimeAlignment(), T.TimeJitter(500.0),
    T.TimeSkew(1.5), T.ToAveragedTimesurface(S, 5, 7), T.ToFrame(S, n_time_bins=7, overlap=0.5),
    T.ToFrame(S, event_count=9), T.ToFrame(S, time_window=999, remainder="tonic"), T.ToImage(S),
    T.ToSparseTensor(S, n_event_bins=4), T.ToTimesurface(S, 999, 500), T.ToVoxelGrid(S, 5),
    T.ToVoxelGrid(S, 5, "centres"), T.UniformNoise(S, 50), T.RefractoryPeriod(300, "interval"),
]
for transform in tried:
    for n in (0, 1, 300):
        for events in (stream(n), stream(n)[::-1].copy()):
            try:
                transform(events)
            except T_ERRORS as error:
                assert "earlier" in str(error), (transform, error)
edge = stream(4)
edge["x"], edge["y"] = [0, 23, 0, 23], [0, 0, 15, 15]
for transform in tried:
    transform(edge)
first, second = (stream(200, seed=k) for k in (1, 2))
for mixer in (T.CutMix(S), T.EventMix(S, weigh="distance")):
    mixer((first, 0), (second, 1))
T.nearest_points(np.random.default_rng(0).random((30, 3)), np.zeros((4, 3)), 5)
T.hot_pixels([first, second], S, factor=3)
print("ran", len(tried))
""".replace("T_ERRORS", "__import__('spikesim').errors.EventError")


def test_no_kernel_leaves_its_arrays(tmp_path):
    assert "ran" in run_checked(SCRIPT, tmp_path)
