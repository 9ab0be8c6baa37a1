import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.checked_process import run_checked
from oracles.events import frames as frames_oracle

from spikesim.datasets import Events, Frames, to_frames
from spikesim.errors import ConfigError, EventError, TimestepsError

rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 40) | st.integers(0, 10**6), st.integers(0, 1)),
    max_size=60,
).map(lambda drawn: sorted(drawn, key=lambda row: row[2]))


def recording(drawn, polarities=2):
    return Events.from_columns(*np.array(drawn, np.int64).reshape(-1, 4).T, (5, 3, polarities))


@settings(deadline=None)  # the first call compiles
@given(rows, st.integers(1, 20), st.sampled_from(["time", "count"]), st.sampled_from([1, 2]))
def test_frames_equal_the_scalar_loop_and_lose_nothing(drawn, timesteps, by, polarities):
    frames, tally = to_frames(recording(drawn, polarities), timesteps, by)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, frames_oracle(drawn, (5, 3, polarities), timesteps, by))
    assert frames.sum() == tally.kept == tally.events == len(drawn)
    assert tally.overflow == 0


@settings(deadline=None)  # the first call compiles
@given(rows, st.integers(1, 8), st.randoms())
def test_order_inside_a_recording_does_not_matter_to_equal_durations(drawn, timesteps, random):
    shuffled = random.sample(drawn, len(drawn))
    expected = to_frames(recording(drawn), timesteps).frames
    np.testing.assert_array_equal(to_frames(recording(shuffled), timesteps).frames, expected)


@settings(deadline=None)  # the first call compiles
@given(rows, st.integers(1, 8), st.randoms())
def test_exchanging_events_inside_a_bin_changes_nothing(drawn, timesteps, random):
    step = len(drawn) // timesteps
    cuts = [step * k for k in range(timesteps)] + [len(drawn)]
    mixed = []
    for start, end in itertools.pairwise(cuts):
        places = [row[:2] + row[3:] for row in drawn[start:end]]
        random.shuffle(places)
        times = [row[2] for row in drawn[start:end]]
        mixed += [(x, y, t, p) for (x, y, p), t in zip(places, times)]
    expected = to_frames(recording(drawn), timesteps, "count").frames
    np.testing.assert_array_equal(to_frames(recording(mixed), timesteps, "count").frames, expected)


def test_the_last_frame_takes_the_remainder():
    drawn = [(0, 0, t, 0) for t in range(11)]
    assert to_frames(recording(drawn), 4, "time").frames.sum((1, 2, 3)).tolist() == [2, 2, 2, 5]
    assert to_frames(recording(drawn), 4, "count").frames.sum((1, 2, 3)).tolist() == [2, 2, 2, 5]
    assert to_frames(recording(drawn[:3]), 5, "time").frames.sum((1, 2, 3)).tolist() == [1, 1, 1, 0, 0]
    assert to_frames(recording(drawn[:3]), 5, "count").frames.sum((1, 2, 3)).tolist() == [0, 0, 0, 0, 3]


def test_counts_saturate_and_the_overflow_is_told():
    frames, tally = to_frames(recording([(1, 1, 0, 1)] * 300 + [(2, 2, 0, 0)]), 2)
    assert frames[0, 1, 1, 1] == 255
    assert tally == (301, 256, 45)
    assert frames.sum() == tally.kept


@pytest.mark.parametrize("by", ["time", "count"])
@pytest.mark.parametrize("count", [0, 1])
def test_tiny_recordings(by, count):
    frames, tally = to_frames(recording([(1, 1, 5, 1)] * count), 3, by)
    assert frames.shape == (3, 2, 3, 5)
    assert frames.sum() == tally.events == count


@pytest.mark.parametrize("timesteps", [0, -1, 2.5, True, "4"])
def test_bad_timesteps(timesteps):
    with pytest.raises(TimestepsError, match="1 or more"):
        to_frames(recording([]), timesteps)
    with pytest.raises(TimestepsError, match="1 or more"):
        Frames(timesteps)


def test_bad_rule_and_unsorted_count():
    with pytest.raises(ConfigError, match="'number'"):
        Frames(4, by="number")
    with pytest.raises(EventError, match=r"event 1 is earlier.*in_time_order"):
        to_frames(recording([(0, 0, 9, 0), (0, 0, 3, 0)]), 2, "count")


def test_frames_take_the_place_of_tonics_transform():
    from tonic.transforms import Compose, ToFrame

    array = np.zeros(80, [("x", int), ("y", int), ("t", int), ("p", int)])
    rng = np.random.default_rng(0)
    array["x"], array["y"], array["p"] = rng.integers(0, 5, 80), rng.integers(0, 3, 80), rng.integers(0, 2, 80)
    array["t"] = np.sort(rng.integers(0, 9999, 80))
    ours = Compose([Frames(8, by="count", sensor_size=(5, 3, 2))])(array)
    np.testing.assert_array_equal(ours, ToFrame(sensor_size=(5, 3, 2), n_event_bins=8)(array))
    np.testing.assert_array_equal(Frames(8, by="count")(Events(array, (5, 3, 2))), ours)
    with pytest.raises(EventError, match="does not carry its sensor size"):
        Frames(8)(array)


def test_no_kernel_leaves_its_arrays(tmp_path):
    """Every kernel runs once with Numba's bounds check, in a process and a cache of its own."""
    script = """
from pathlib import Path
import numpy as np
from oracles.events import frames
from spikesim.datasets import CachedFrames, Events, RandomErase, RandomMirror, RandomShift, event_loader
from spikesim.datasets import load_nmnist, to_frames, write_bin
from spikesim.datasets.transforms import Denoise, Pipeline, ToFrame
rng = np.random.default_rng(0)
events = Events.from_columns(*(rng.integers(0, top, 300) for top in (5, 3, 999, 2)), (5, 3, 2)).in_time_order()
rows = [tuple(row) for row in events.data.tolist()]
for by in ("time", "count"):
    for timesteps in (1, 7, 500):
        assert (to_frames(events, timesteps, by).frames == frames(rows, (5, 3, 2), timesteps, by)).all()
for part, count in (("Train", 16), ("Test", 4)):
    for k in range(count):
        columns = rng.integers(0, 34, 2000), rng.integers(0, 34, 2000), np.sort(rng.integers(0, 99999, 2000))
        made = Events.from_columns(*columns, rng.integers(0, 2, 2000), (34, 34, 2))
        folder = Path("made", part, str(k % 10))
        folder.mkdir(parents=True, exist_ok=True)
        write_bin(folder / f"{k:05d}.bin", made)
train, test = load_nmnist("made")
assert len(train[0][0]) == 2000
transform = Pipeline([Denoise(1_000), ToFrame(n_time_bins=7)])
framed = CachedFrames(train, transform, root="cache")
loader = event_loader(framed, 5, shuffle=True, seed=0, augment=[RandomShift(3), RandomErase(5), RandomMirror(0.5)])
assert sum(batch.x.shape[1] for batch in loader) == 16
"""
    run_checked(script, tmp_path)
