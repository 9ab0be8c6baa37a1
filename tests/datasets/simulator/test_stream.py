"""A movie in pieces is the movie as a whole, for any cut and any number of threads."""

import multiprocessing
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.checked_process import run_checked

from spikesim.datasets import EventSimulator, PixelModel, simulate_events, simulate_stream
from spikesim.datasets.simulator import camera, stream
from spikesim.datasets.simulator.photoreceptor import srgb_light
from spikesim.errors import ConfigError, EventError, StateError

EVERYTHING = PixelModel(
    0.1, 0.03, 300, 0.0, 0.0, 0.15, linear_below=0.1, cutoff_hz=80, leak_hz=5, shot_noise_hz=40, hot_fraction=0.2,
    hot_hz=60,
)  # fmt: skip


def movie(seed, count=40, shape=(6, 9), dtype=np.uint8, colour=False):
    rng = np.random.default_rng(seed)
    shape = (count, *shape, 3) if colour else (count, *shape)
    numbers = np.clip(np.cumsum(rng.normal(0, 30, shape), 0) + 100, 0, 255)
    frames = numbers.astype(dtype) if np.dtype(dtype).kind == "u" else (numbers / 255).astype(dtype)
    return frames, 11 + np.cumsum(rng.integers(1, 3000, count))


def in_pieces(frames, times, cuts, **options):
    edges = [0, *sorted(cuts), len(frames)]
    pieces = [(frames[a:b], times[a:b]) for a, b in pairwise(edges)]
    return np.concatenate([events.data for events in simulate_stream(pieces, **options)])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 40), max_size=6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([EVERYTHING, PixelModel(), PixelModel.preset("noisy")]),
    st.sampled_from([(np.uint8, False), (np.uint8, True), (np.float32, False)]),
)
def test_pieces_equal_the_whole_event_for_event(cuts, seed, model, kind):
    frames, times = movie(seed, dtype=kind[0], colour=kind[1])
    whole = simulate_events(frames, times, model, seed=seed)
    assert (in_pieces(frames, times, cuts, model=model, seed=seed) == whole.data).all()


def test_one_frame_at_a_time_equals_the_whole_and_every_piece_is_in_order():
    frames, times = movie(1)
    simulator, parts = EventSimulator(EVERYTHING, seed=1), []
    for frame, time in zip(frames, times, strict=True):
        events, noise = simulator.push(frame[None], [time])
        assert events.sorted and len(noise) == len(events)
        assert not len(events) or events.t.max() < time
        parts.append(events.data)
    parts.append(simulator.finish().events.data)
    whole = simulate_events(frames, times, EVERYTHING, seed=1)
    assert (np.concatenate(parts) == whole.data).all()
    on = int(whole.p.sum())
    assert (simulator.tally.on, simulator.tally.off) == (on, len(whole) - on)
    assert 0 < simulator.tally.noise < len(whole)
    assert simulator.sensor_size == (9, 6, 2)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["codes", "light"]), min_size=2, max_size=8), st.integers(0, 2**32 - 1))
def test_pieces_may_hold_codes_or_light_in_turn(kinds, seed):
    """Few levels, so that a pixel often is what it was some frames ago."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(np.array([0, 40, 200], np.uint8), (len(kinds), 3, 4, 5))
    times = np.arange(3 * len(kinds)).reshape(-1, 3) * 700
    table = srgb_light()
    for model in (PixelModel.preset("ideal"), EVERYTHING):
        forms = {"codes": lambda k: k, "light": lambda k: table[k]}
        pieces = [(forms[kind](piece), when) for kind, piece, when in zip(kinds, codes, times, strict=True)]
        mixed = np.concatenate([events.data for events in simulate_stream(pieces, model, seed=seed)])
        whole = simulate_events(table[codes].reshape(-1, 4, 5), times.ravel(), model, seed=seed)
        assert (mixed == whole.data).all()


def test_events_of_a_frames_own_microsecond_wait_for_those_that_come_first():
    """The pixel on the right crosses exactly at the frame, the one on the left in the same microsecond after it."""
    light = np.array([[0.0, 0.0], [0.25 - 2**-20, 0.25], [0.7, 0.25]])[:, None]
    model = PixelModel(0.25, 0, 0, 0, 0.0, linear_below=1.0)  # numbers this round have no rounding
    times = np.array([0, 4096, 8192])
    whole = simulate_events(light, times, model)
    assert whole.data[["t", "x"]].tolist()[:2] == [(4096, 0), (4096, 1)] and len(whole) == 3
    simulator = EventSimulator(model)
    assert len(simulator.push(light[:2], times[:2]).events) == 0
    assert (in_pieces(light, times, [1, 2], model=model) == whole.data).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_threads_change_nothing(monkeypatch, dtype):
    monkeypatch.setattr(camera, "_WORTH_A_THREAD", 1)
    frames, times = movie(2, shape=(17, 31), dtype=dtype)
    one = simulate_events(frames, times, EVERYTHING, seed=2)
    for threads in (2, 3, 7, 10_000):
        assert simulate_events(frames, times, EVERYTHING, seed=2, threads=threads) == one


def test_the_size_of_what_the_kernels_get_changes_nothing(monkeypatch):
    frames, times = movie(3, shape=(20, 40))
    whole = simulate_events(frames, times, EVERYTHING, seed=3)
    monkeypatch.setattr(stream, "_PIECE", 3 * 800)
    assert simulate_events(frames, times, EVERYTHING, seed=3) == whole


def _child(queue, frames, times):
    queue.put(simulate_events(frames, times, EVERYTHING, seed=4, threads=2).data.tobytes())


def test_a_forked_worker_simulates_what_its_parent_does(monkeypatch):
    monkeypatch.setattr(camera, "_WORTH_A_THREAD", 1)
    frames, times = movie(4)
    expected = simulate_events(frames, times, EVERYTHING, seed=4, threads=2).data.tobytes()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=_child, args=(queue, frames, times))
    worker.start()
    assert queue.get(timeout=120) == expected
    worker.join()


def test_movies_last_longer_than_a_key_can_tell():
    """2**31 us is the limit between two frames only."""
    step = 2**31 - 1
    times = 5 + np.arange(6) * step
    light = np.exp(np.arange(6) % 2)[:, None, None] * np.ones((1, 2, 2))
    model = PixelModel(0.3, 0, 0, 0, 1e-9)
    events = simulate_events(light, times, model)
    short = simulate_events(light, np.arange(6) * 10**6, model)
    assert len(events) == len(short) > 40 and events.sorted
    np.testing.assert_allclose((events.t - 5) / step, short.t / 10**6, atol=2e-6)
    unix = 1_790_000_000_000_000  # microseconds since 1970 fit too
    assert (simulate_events(light, unix + np.arange(6) * 10**6, model).t - unix - short.t).max() <= 1
    assert simulate_events(light, times, PixelModel(0.3, 0, 0, 0, 1e-9, shot_noise_hz=1e-3)).sorted


def test_bad_pieces_are_refused_and_leave_the_camera_as_it_was():
    frames, times = movie(5)
    simulator = EventSimulator(EVERYTHING, seed=5)
    with pytest.raises(StateError, match="before the first frame"):
        simulator.finish()
    parts = [simulator.push(frames[:20], times[:20]).events.data]
    bad = [
        (frames[20:], times[:20], "expected one integer in microseconds for each of the 20 frames|after"),
        (frames[20:], times[20:] - times[20] + times[19], "frame 20 is .* expected a later time"),
        (frames[20:, :, :5], times[20:], "frame 20 has 5 x 6 pixels, those before it 9 x 6"),
        (frames[20:] * -1.0, times[20:], "expected 0 or more"),
        (frames[20:21], [times[19] + 2**31], "frame 20 comes 2147483648 us after the one before"),
        (frames[20:], times[20:].astype(float), "dtype float64"),
    ]
    for movie_, when, message in bad:
        with pytest.raises(EventError, match=message):
            simulator.push(movie_, when)
    assert len(simulator.push(frames[:0], times[:0]).events) == 0
    parts += [simulator.push(frames[20:], times[20:]).events.data, simulator.finish().events.data]
    assert (np.concatenate(parts) == simulate_events(frames, times, EVERYTHING, seed=5).data).all()
    with pytest.raises(StateError, match="new EventSimulator"):
        simulator.push(frames, times)


def test_no_piece_at_all_and_bad_options():
    with pytest.raises(EventError, match="there are no frames"):
        list(simulate_stream([]))
    with pytest.raises(ConfigError, match="use shot_noise_hz"):
        EventSimulator(PixelModel(noise=0.1))
    for threads in (0, 1.5, True):
        with pytest.raises(ConfigError, match="threads is"):
            EventSimulator(threads=threads)


def test_a_threshold_that_floods_the_memory_is_refused(monkeypatch):
    code = (
        "import numpy as np, spikesim.datasets.simulator.sweep as s; s.LARGEST_CHUNK = 2**13\n"
        "from spikesim.datasets import EventSimulator, PixelModel\n"
        "from spikesim.errors import EventError, StateError\n"
        "camera = EventSimulator(PixelModel(1e-4, 0, 0))\n"
        "try: camera.push(np.exp(np.arange(3.0))[:, None, None], [0, 10, 20])\n"
        "except EventError as error: print(error)\n"
        "try: camera.push(np.ones((1, 1, 1)), [30])\n"
        "except StateError as error: print(error)\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "events between 0 and 20 us; expected a higher threshold than 0.0001" in done.stdout, done.stderr
    assert "new EventSimulator" in done.stdout


def test_kernels_stay_inside_their_arrays(tmp_path):
    script = """
import numpy as np
from spikesim.datasets import PixelModel, generate_ndigits, load_nmnist, simulate_events
from spikesim.datasets.simulator import camera
camera._WORTH_A_THREAD = 1
rng = np.random.default_rng(0)
everything = PixelModel(0.02, 0.01, 50, linear_below=0.1, cutoff_hz=80, leak_hz=5, shot_noise_hz=400, hot_fraction=0.2,
                        hot_hz=60)
for shape in ((20, 33, 31), (5, 1, 1), (4, 2, 300)):
    codes = rng.integers(0, 256, shape).astype(np.uint8)
    for frames in (codes, codes / 255.0):
        for model in (everything, PixelModel(0.02, refractory_us=0)):
            events = simulate_events(frames, np.arange(shape[0]) * 5000, model, threads=2)
            assert len(events) > (4096 if shape[0] == 20 else 3), len(events)
train, test = load_nmnist(generate_ndigits("made", samples=20))
assert len(train[0][0]) > 1000
"""
    run_checked(script, tmp_path)
