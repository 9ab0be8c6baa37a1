"""The ideal pixel: closed forms, and what must hold of any movie."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.simulator import pixel_events

from spikesim.datasets import PixelModel, simulate_events
from spikesim.datasets.simulator.camera import Camera

IDEAL = PixelModel(threshold=0.3, threshold_std=0, refractory_us=0, log_offset=1e-9)


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


@given(st.integers(4, 2**12), st.integers(12, 24), st.integers(0, 2**27), st.booleans())
def test_a_ramp_without_rounding_has_no_tolerance(threshold, duration, begin, falls):
    """Powers of two all along: the time of event k is floor(begin + k threshold / slope), whole numbers included."""
    contrast, threshold, duration = Fraction(1, 2), Fraction(threshold, 2**13), 2**duration
    model = PixelModel(float(threshold), 0, 0, 0, 0.0, linear_below=1.0)
    light = [0.25, 0.75][:: -1 if falls else 1]
    events = simulate_events(np.array(light)[:, None, None], [begin, begin + duration], model)
    expected = [
        begin + math.floor(k * threshold / contrast * duration) for k in range(1, int(contrast / threshold) + 1)
    ]
    assert events.t.tolist() == expected
    assert (events.p == int(not falls)).all()


@given(st.integers(-4000, 4000).filter(bool), st.integers(10, 900), st.integers(10**3, 10**8))
def test_the_times_of_a_ramp_are_exact_and_rounded_down(contrast, threshold, duration):
    contrast, threshold = Fraction(contrast, 1000), Fraction(threshold, 1000)
    model = PixelModel(threshold=float(threshold), threshold_std=0, refractory_us=0, log_offset=0.5)
    start = 0.5 if contrast > 0 else 60.0  # of 0.5 + I, which falls to 1.1 at most
    ramp = np.exp([[[0.0]], [[float(contrast)]]]) * start - 0.5
    events = simulate_events(ramp, [7, 7 + duration], model)
    exact = [7 + k * threshold / abs(contrast) * duration for k in range(1, int(abs(contrast) / threshold) + 1)]
    # Where an exact time is a whole microsecond, the rounding of the logarithm decides on which side of it we are.
    close = [abs(t - round(t)) < Fraction(1, 1000) for t in exact]
    last_is_a_tie = bool(exact) and exact[-1] == 7 + duration
    assert len(events) in (len(exact), len(exact) - last_is_a_tie)
    for made, t, tie in zip(events.t.tolist(), exact, close, strict=False):
        assert made == math.floor(t) or (tie and abs(made - t) <= 1)


@pytest.mark.parametrize("refractory", [1, 500, 3000])
def test_a_ramp_with_dead_time_spaces_its_events_by_both(refractory):
    model = PixelModel(threshold=0.3, threshold_std=0, refractory_us=refractory, log_offset=1e-9)
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
    expected = pixel_events(np.log(movie[:, 0, 0] + 1e-9), times, threshold, threshold, refractory)
    # Events of one microsecond are ordered by polarity.
    assert sorted(events.p.tolist()) == sorted(polarity for _, polarity, _ in expected)
    np.testing.assert_allclose(events.t, [t for t, _, _ in expected], atol=1)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.6), st.floats(0.1, 0.6))
def test_the_sum_of_polarities_follows_the_log_intensity(seed, on, off):
    rng = np.random.default_rng(seed)
    log_intensity = np.cumsum(rng.normal(0, 0.5, (20, 6)), axis=0)
    times = np.arange(20) * 1000
    model = PixelModel(on, 0, 0, 0, 1e-9, threshold_off=off)
    events = simulate_events(movie_of(log_intensity), times, model)
    for frame, now in enumerate(times):
        past = events.select(events.t < now)
        followed = np.bincount(past.x, weights=np.where(past.p, on, -off), minlength=6)
        behind = log_intensity[frame] - log_intensity[0] - followed
        assert (behind <= on + 1e-6).all() and (behind >= -off - 1e-6).all()


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


def test_events_of_one_microsecond_come_by_row_column_and_polarity():
    steps = np.tile(np.array([0.0, 0.7, -0.7, 0.7])[:, None, None], (1, 8, 8))
    events = simulate_events(np.exp(steps), [0, 1, 2, 3], PixelModel(0.2, 0, 0, 0, 1e-9))
    order = np.lexsort((events.p, events.x, events.y, events.t))
    assert len(events) > 500 and len(set(events.t.tolist())) <= 4
    assert (order == np.arange(len(events))).all()


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
    model = PixelModel(threshold=0.5, threshold_std=0.05, refractory_us=0, log_offset=1e-12)
    first = simulate_events(movie, [0, 10**6], model)
    thresholds = np.array([first.t[first.x == x][0] / 1e6 for x in range(400)])
    assert abs(thresholds.mean() - 0.5) < 0.01
    assert 0.04 < thresholds.std() < 0.06


def test_on_and_off_thresholds_are_drawn_apart_and_never_below_a_tenth_of_the_mean():
    model = PixelModel(0.2, 0.3, threshold_off=0.4, threshold_off_std=0.02)
    on, off = Camera.drawn(model, 0, 40, 40).pixels[:2]
    assert on.min() == pytest.approx(0.02) and 0.2 < (on == on.min()).mean() < 0.35
    assert off.mean() == pytest.approx(0.4, abs=0.003) and off.std() == pytest.approx(0.02, rel=0.1)
    assert abs(np.corrcoef(on.ravel(), off.ravel())[0, 1]) < 0.1
    same = Camera.drawn(PixelModel(0.2, 0.05), 0, 40, 40).pixels
    assert (same[0] == same[1]).all()


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


def test_more_frames_of_a_smooth_movie_converge():
    """Halving the interval quarters the error of the times: straight lines follow a curve to second order."""

    def times_of(frames):
        at = np.linspace(0, 1, frames)
        light = np.exp(1.1 * np.sin(2 * np.pi * at))[:, None, None]
        events = simulate_events(light, np.rint(at * 10**7).astype(int), PixelModel(0.15, 0, 0, 0, 1e-9))
        return events.t.astype(float)

    exact = times_of(6401)
    errors = []
    for frames in (51, 101, 201, 401):
        made = times_of(frames)
        assert len(made) == len(exact)
        errors.append(float(np.mean(abs(made - exact))))
    assert all(coarse > 2 * fine for coarse, fine in pairwise(errors)), errors
    assert errors[0] > 40 * errors[-1], errors


def test_more_events_than_the_first_buffer_holds():
    swing = np.tile([[0.0], [9.2]], (30, 64))
    swing[0] = 0.1  # so that no level is met exactly: each swing crosses thirty
    events = simulate_events(movie_of(swing), np.arange(60) * 10_000, IDEAL)
    assert len(events) == 64 * 30 * 59


def test_a_single_frame_or_a_still_movie_is_an_empty_recording():
    assert len(simulate_events(np.ones((1, 4, 4)), [0])) == 0
    assert len(simulate_events(np.ones((9, 4, 4)), np.arange(9))) == 0
