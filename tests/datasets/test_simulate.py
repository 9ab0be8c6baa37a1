import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.events import pixel as pixel_oracle

from spikesim.datasets import PixelModel, simulate_events
from spikesim.errors import ConfigError, EventError

IDEAL = PixelModel(threshold=0.3, threshold_std=0, refractory_us=0, noise=0, log_offset=1e-9)


def movie_of(log_intensity, log_offset=1e-9):
    """Frames ``[F, 1, W]`` whose log intensity the pixel model sees as given, ``[F, W]``."""
    return (np.exp(np.asarray(log_intensity, float)) - log_offset)[:, None, :]


@pytest.mark.parametrize("contrast", [0.05, 0.29, 0.31, 0.95, 3.05, -0.31, -2.2])
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_ramp_gives_its_events_at_the_closed_form_times(contrast, pieces):
    times = np.arange(pieces + 1) * 100_000
    ramp = np.linspace(0, contrast, pieces + 1)[:, None]
    events = simulate_events(movie_of(ramp), times, IDEAL)
    count = math.floor(abs(contrast) / 0.3)
    expected = [(k + 1) * 0.3 / abs(contrast) * times[-1] for k in range(count)]
    np.testing.assert_allclose(events.t, expected, atol=1.01)
    assert set(events.p.tolist()) <= {int(contrast > 0)}


@pytest.mark.parametrize("refractory", [1, 500, 3000])
def test_a_ramp_with_dead_time_spaces_its_events_by_both(refractory):
    model = PixelModel(threshold=0.3, threshold_std=0, refractory_us=refractory, noise=0, log_offset=1e-9)
    events = simulate_events(movie_of([[0.0], [6.1]]), [0, 20_000], model)
    rise = 0.3 / 6.1 * 20_000
    expected = rise + np.arange(math.floor((20_000 - rise) / (rise + refractory)) + 1) * (rise + refractory)
    np.testing.assert_allclose(events.t, expected, atol=1.01)


traces = st.lists(st.floats(-3, 3), min_size=2, max_size=12)


@settings(deadline=None, max_examples=200)
@given(traces, st.floats(0.05, 1.0), st.sampled_from([0, 40, 700, 5000]), st.integers(0, 2**32 - 1))
def test_a_pixel_equals_the_scalar_oracle(trace, threshold, refractory, seed):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.integers(1, 2000, len(trace)))
    # Without the jitter a trace that comes back to a level meets it exactly, which rounding decides.
    movie = movie_of((np.array(trace) + rng.normal(0, 1e-3, len(trace)))[:, None])
    events = simulate_events(movie, times, PixelModel(threshold, 0, refractory, 0, 1e-9))
    expected = pixel_oracle(np.log(movie[:, 0, 0] + 1e-9), times, threshold, refractory)
    # Events of one microsecond are ordered by polarity.
    assert sorted(events.p.tolist()) == sorted(polarity for _, polarity in expected)
    np.testing.assert_allclose(events.t, [t for t, _ in expected], atol=1)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_sum_of_polarities_follows_the_log_intensity(seed):
    rng = np.random.default_rng(seed)
    log_intensity = np.cumsum(rng.normal(0, 0.5, (20, 6)), axis=0)
    times = np.arange(20) * 1000
    events = simulate_events(movie_of(log_intensity), times, IDEAL)
    for frame, now in enumerate(times):
        past = events.select(events.t < now)
        followed = np.bincount(past.x, weights=2.0 * past.p - 1, minlength=6) * 0.3
        assert (abs(log_intensity[frame] - log_intensity[0] - followed) <= 0.3 + 1e-6).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 3.0]))
def test_events_are_sorted_and_none_lies_in_the_dead_time(seed, noise):
    rng = np.random.default_rng(seed)
    movie = np.exp(rng.normal(0, 1, (15, 4, 5)))
    events = simulate_events(movie, np.arange(15) * 2500 + 7, PixelModel(noise=noise), seed=seed)
    assert events.sorted
    assert events.sensor_size == (5, 4, 2)
    for place in range(20):
        own = events.t[(events.y * 5 + events.x) == place]
        assert (np.diff(own) >= 1000).all()


def test_noise_is_the_asked_share_and_uniform():
    movie = np.ones((2, 20, 20))
    movie[1, :10] = 100.0
    clean = simulate_events(movie, [0, 10**6], PixelModel(refractory_us=0, noise=0))
    noisy = simulate_events(movie, [0, 10**6], PixelModel(refractory_us=0, noise=1.0))
    assert len(noisy) == 2 * len(clean)
    added = np.bincount(noisy.y, minlength=20) - np.bincount(clean.y, minlength=20)
    assert (abs(added - len(clean) / 20) < 6 * np.sqrt(len(clean) / 20)).all()
    assert abs(noisy.p[noisy.y >= 10].mean() - 0.5) < 0.1


def test_thresholds_spread_over_the_pixels():
    movie = np.stack([np.ones((1, 400)), np.full((1, 400), np.e)])
    model = PixelModel(threshold=0.5, threshold_std=0.05, refractory_us=0, noise=0, log_offset=1e-12)
    first = simulate_events(movie, [0, 10**6], model)
    thresholds = np.array([first.t[first.x == x][0] / 1e6 for x in range(400)])
    assert abs(thresholds.mean() - 0.5) < 0.01
    assert 0.04 < thresholds.std() < 0.06


def test_the_seed_fixes_everything():
    movie = np.exp(np.random.default_rng(0).normal(0, 1, (6, 8, 8)))
    times = np.arange(6) * 3000
    assert simulate_events(movie, times, seed=3) == simulate_events(movie, times, seed=3)
    assert simulate_events(movie, times, seed=3) != simulate_events(movie, times, seed=4)


def test_finer_frames_of_the_same_signal_change_nothing():
    coarse = np.array([[0.0], [2.0], [-1.0]])
    fine = np.interp(np.arange(21), [0, 10, 20], coarse[:, 0])[:, None]
    once = simulate_events(movie_of(coarse), [0, 10_000, 20_000], IDEAL)
    often = simulate_events(movie_of(fine), np.arange(21) * 1000, IDEAL)
    assert once.p.tolist() == often.p.tolist()
    np.testing.assert_allclose(once.t, often.t, atol=1)


def test_more_events_than_the_first_buffer_holds():
    swing = np.tile([[0.0], [9.2]], (30, 64))
    swing[0] = 0.1  # so that no level is met exactly: each swing crosses thirty
    events = simulate_events(movie_of(swing), np.arange(60) * 10_000, IDEAL)
    assert len(events) == 64 * 30 * 59


def test_a_single_frame_or_a_still_movie_is_an_empty_recording():
    assert len(simulate_events(np.ones((1, 4, 4)), [0])) == 0
    assert len(simulate_events(np.ones((9, 4, 4)), np.arange(9))) == 0


@pytest.mark.parametrize(
    ("frames", "times", "message"),
    [
        (np.ones((4, 4)), [0], r"frames have shape \(4, 4\)"),
        (np.ones((0, 4, 4)), [], "at least one frame"),
        (np.ones((2, 4, 4)), [0], r"times_us has shape \(1,\)"),
        (np.ones((2, 4, 4)), [0.0, 1.0], "dtype float64"),
        (np.ones((3, 4, 4)), [0, 5, 5], "frame 2 is 5, after 5"),
        (np.ones((2, 4, 4)), [-1, 5], "from -1 to 5"),
        (np.ones((2, 4, 4)), [0, 2**31], "below 2\\*\\*31"),
        (np.full((2, 4, 4), -1.0), [0, 1], "frame 0 has intensity -1.0 at x = 0, y = 0"),
        (np.full((2, 4, 4), np.nan), [0, 1], "intensity nan"),
    ],
)
def test_bad_movies_are_refused(frames, times, message):
    with pytest.raises(EventError, match=message):
        simulate_events(frames, times)


@pytest.mark.parametrize(
    "option",
    [
        {"threshold": 0},
        {"threshold": float("nan")},
        {"threshold_std": -1},
        {"refractory_us": -1},
        {"refractory_us": 0.5},
        {"noise": -0.1},
        {"log_offset": 0},
        {"log_offset": float("inf")},
    ],
)
def test_bad_parameters_are_refused(option):
    with pytest.raises(ConfigError, match=f"PixelModel {next(iter(option))} is"):
        PixelModel(**option)
