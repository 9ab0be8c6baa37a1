"""What real pixels do besides: low-pass, leakage, shot noise, hot pixels; alone, and all against the oracle."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.simulator import camera_events, filtered

from spikesim.datasets import EventSimulator, PixelModel, simulate_events
from spikesim.datasets.simulator.camera import Camera
from spikesim.datasets.simulator.photoreceptor import Receptor, half_decays, low_pass, mapped

BARE = PixelModel(threshold=0.2, threshold_std=0, refractory_us=0, log_offset=1e-9)


def labelled(frames, times, model, seed=0):
    simulator = EventSimulator(model, seed=seed)
    first, last = simulator.push(frames, times), simulator.finish()
    return np.concatenate([first.events.data, last.events.data]), np.concatenate([first.noise, last.noise])


models = st.builds(
    PixelModel,
    threshold=st.floats(0.05, 0.8),
    threshold_std=st.floats(0, 0.2),
    threshold_off=st.none() | st.floats(0.05, 0.8),
    refractory_us=st.sampled_from([0, 1, 300, 4000, 30_000]),
    log_offset=st.sampled_from([1e-3, 0.1]),
    linear_below=st.sampled_from([0.0, 20 / 255, 0.5]),
    cutoff_hz=st.sampled_from([0.0, 5.0, 200.0, 1e5]),
    cutoff_dark=st.floats(0.01, 1),
    leak_hz=st.sampled_from([0.0, 0.3, 40.0]),
    shot_noise_hz=st.sampled_from([0.0, 3.0, 300.0]),
    shot_noise_bright=st.floats(0, 1),
    hot_fraction=st.sampled_from([0.0, 0.5]),
    hot_hz=st.sampled_from([0.0, 100.0]),
)


@settings(deadline=None, max_examples=150)
@given(models, st.integers(0, 2**32 - 1), st.integers(2, 9), st.sampled_from([3, 2000, 40_000]))
def test_a_camera_with_everything_on_equals_the_scalar_oracle(model, seed, count, interval):
    rng = np.random.default_rng(seed)
    lights = np.exp(np.cumsum(rng.normal(0, 0.8, (count, 2, 3)), 0)) / 3
    lights[:, 0, 1] = 0.0 if seed % 2 else 1.0  # one pixel sees nothing change
    times = 5 + np.cumsum(rng.integers(1, interval, count))
    data, noise = labelled(lights, times, model, seed)
    made = list(zip(*(data[name].tolist() for name in "tyxp"), noise.tolist(), strict=True))
    expected = camera_events(lights, times, model, seed)
    # The same events; rounding may move one across the border of a microsecond, and so change its place in the order.
    assert sorted(event[1:] for event in made) == sorted(event[1:] for event in expected)
    for pixel in {event[1:3] for event in expected}:
        both = [[e[0] for e in events if e[1:3] == pixel] for events in (made, expected)]
        np.testing.assert_allclose(*both, atol=1)


@pytest.mark.parametrize("refractory", [200, 5000])
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_no_two_events_within_the_dead_time_whatever_is_on(refractory, seed):
    rng = np.random.default_rng(seed)
    model = PixelModel(
        0.1, 0.02, refractory, leak_hz=100, shot_noise_hz=500, hot_fraction=0.5, hot_hz=1000, cutoff_hz=100
    )
    movie = np.exp(rng.normal(0, 1, (20, 4, 5)))
    events = simulate_events(movie, np.cumsum(rng.integers(1, 9000, 20)), model, seed=seed)
    assert events.sorted and len(events) > 20
    for place in range(20):
        own = events.t[(events.y * 5 + events.x) == place]
        assert (np.diff(own) >= refractory).all()


@given(st.floats(0, 5), st.floats(0.01, 2), st.sampled_from([0.0, 0.01]))
def test_the_mapping_is_a_logarithm_with_its_tangent_below(light, linear_below, offset):
    receptor = Receptor(offset, linear_below, 0, 1, 0, 1, 0)
    made, x = mapped(light, receptor), light + offset
    expected = math.log(x) if x > linear_below else math.log(linear_below) + (x - linear_below) / linear_below
    assert made == pytest.approx(expected, abs=1e-12)
    nearby = mapped(light + 1e-6, receptor) - made
    assert (
        0 <= nearby <= 1e-6 / max(x, linear_below) * (1 + 1e-3) + 1e-15
    )  # rises everywhere, nowhere faster than there


def test_the_low_pass_follows_its_differential_equation():
    """Against many small Euler steps, for a time constant that changes with the light."""
    model = PixelModel(cutoff_hz=20, cutoff_dark=0.1)
    rng = np.random.default_rng(0)
    lights = rng.random((12, 3))
    times = np.cumsum(rng.integers(1000, 20_000, 12))
    receptor = Camera.drawn(model, 0, 1, 3).receptor
    signal = np.log(lights + 0.1)
    made = [signal[0]]
    for f in range(1, 12):
        duration, halves, out = float(times[f] - times[f - 1]), np.empty((2, 3)), np.empty(3)
        for k in range(2):
            half_decays(lights[f - 1 + k], duration, receptor, halves[k])
        low_pass(signal[f - 1], signal[f], lights[f - 1], lights[f], *halves, made[-1], duration, receptor, out)
        made.append(out)
    for pixel in range(3):
        y, euler, steps = signal[0, pixel], [signal[0, pixel]], 20_000
        for f in range(1, 12):
            cutoff = 20 * (0.1 + 0.9 * (lights[f - 1, pixel] + lights[f, pixel]) / 2)
            share = (times[f] - times[f - 1]) * 1e-6 / steps * 2 * math.pi * cutoff
            for k in range(steps):
                x = signal[f - 1, pixel] + (signal[f, pixel] - signal[f - 1, pixel]) * (k + 0.5) / steps
                y += share * (x - y)
            euler.append(y)
        np.testing.assert_allclose([row[pixel] for row in made], euler, atol=1e-4)
        closed = filtered(signal[:, pixel], lights[:, pixel], times, model)
        np.testing.assert_allclose([row[pixel] for row in made], closed, rtol=1e-12)


@pytest.mark.parametrize("cutoff", [1e-9, 1e-4, 1.0, 1e3, 1e12])
def test_the_low_pass_keeps_its_digits_from_very_slow_to_very_fast(cutoff):
    receptor = Receptor(0.1, 0, math.pi * cutoff * 1e-6, 0.5, 0, 1, 0)
    halves, out, light = np.empty(1), np.empty(1), np.array([0.6])
    half_decays(light, 100.0, receptor, halves)
    low_pass(np.array([0.0]), np.array([1.0]), light, light, halves, halves, np.array([-1.0]), 100.0, receptor, out)
    z = 2 * math.pi * cutoff * (0.5 + 0.5 * 0.6) * 100e-6
    lag = -math.expm1(-z) / z
    assert out[0] == pytest.approx(1 - lag - math.exp(-z), abs=1e-11)


def test_a_step_of_light_is_followed_at_the_cutoff():
    model = PixelModel(0.01, 0, 0, 0, 1e-9, cutoff_hz=10, cutoff_dark=1.0)
    step = np.ones((4001, 1, 1))
    step[1:] = math.exp(0.5)
    events = simulate_events(step, np.arange(4001) * 100, model)
    tau = 1e6 / (2 * math.pi * 10)
    expected = [-tau * math.log(1 - 0.01 * k / 0.5) for k in range(1, 50)]
    np.testing.assert_allclose(events.t, expected, atol=120)  # the step itself takes 100 us


def test_darker_pixels_answer_later():
    rise = np.array([[0.02, 0.2, 1.0]]) * np.where(np.arange(200) < 1, 1.0, math.exp(0.3))[:, None, None]
    events = simulate_events(rise, np.arange(200) * 1000, PixelModel.preset("clean", cutoff_hz=30, threshold_std=0))
    firsts = [events.t[events.x == x].min() for x in (1, 2)]
    assert firsts[1] * 2 < firsts[0]
    assert not (events.x == 0).any() or events.t[events.x == 0].min() > firsts[0]


@pytest.mark.parametrize("rate", [0.1, 25.0])
@pytest.mark.parametrize("refractory", [0, 2000])
def test_leakage_gives_its_rate(rate, refractory):
    """Every pixel fires once in 1 / rate and a dead time, from a random phase on."""
    model = PixelModel(0.2, 0.05, refractory, leak_hz=rate)
    seconds = 40.0 / rate
    period = 1 / rate + refractory * 1e-6
    still = np.full((41, 10, 30), 0.5)
    events = simulate_events(still, np.rint(np.arange(41) * seconds / 40 * 1e6).astype(int), model)
    assert (events.p == 1).all()
    counts = np.bincount(events.y.astype(int) * 30 + events.x, minlength=300)
    assert set(counts.tolist()) <= {math.floor(seconds / period), math.ceil(seconds / period)}
    expected = 300 * seconds / period
    assert abs(len(events) - expected) < 5 * math.sqrt(300 / 12) + 300 * refractory * 1e-6 / period
    for place in range(0, 300, 37):
        own = events.t[events.y.astype(int) * 30 + events.x == place]
        np.testing.assert_allclose(np.diff(own), period * 1e6, atol=1.01)


def test_leakage_starts_anywhere_in_its_cycle():
    still = np.full((2, 20, 50), 0.5)
    events = simulate_events(still, [0, 10**7], PixelModel(0.2, 0, 0, leak_hz=0.1))
    assert len(events) == 1000
    halves = np.histogram(events.t, 10, (0, 10**7))[0]
    assert abs(halves - 100).max() < 5 * math.sqrt(90)


@pytest.mark.parametrize("light", [0.0, 0.3, 1.0, 4.0])
def test_shot_noise_is_poisson_at_the_rate_of_its_light(light):
    model = PixelModel(0.3, 0, 0, shot_noise_hz=8.0, shot_noise_bright=0.25)
    still, seconds = np.full((7, 40, 50), light), 5.0
    data, noise = labelled(still, np.rint(np.linspace(0, seconds, 7) * 1e6).astype(int), model, seed=3)
    assert noise.all()
    mean = 8.0 * (1 - 0.75 * min(light, 1)) * seconds
    assert abs(len(data) - 2000 * mean) < 5 * math.sqrt(2000 * mean)
    assert abs(data["p"].mean() - 0.5) < 5 * 0.5 / math.sqrt(len(data))
    counts = np.bincount(data["y"].astype(int) * 50 + data["x"], minlength=2000)
    # The variance of a Poisson count is its mean; that of a variance over n pixels (2 + 1 / mean) mean^2 / n.
    assert abs(counts.var() - mean) < 5 * mean * math.sqrt((2 + 1 / mean) / 2000)
    waits = np.diff(np.sort(data["t"]))
    assert waits.mean() == pytest.approx(waits.std(), rel=0.03)  # exponential


def test_shot_noise_follows_light_that_changes_between_two_frames():
    """Thinning sees the light of the moment: from dark to white the rate falls in a straight line."""
    ramp = np.stack([np.zeros((50, 60)), np.ones((50, 60))])
    model = PixelModel(1e6, 0, 0, shot_noise_hz=20.0, shot_noise_bright=0.0)
    data, _ = labelled(ramp, [0, 10**6], model)
    counts = np.histogram(data["t"], 10, (0, 10**6))[0]
    expected = 3000 * 20.0 * 0.1 * (1 - (np.arange(10) + 0.5) / 10)
    assert (abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_frames_do_not_change_the_noise():
    model = PixelModel(0.3, 0.02, 500, leak_hz=3.0, shot_noise_hz=30.0, hot_fraction=0.1, hot_hz=50.0)
    coarse, fine = np.full((2, 8, 9), 0.4), np.full((1001, 8, 9), 0.4)
    once = simulate_events(coarse, [0, 10**6], model, seed=1)
    often = simulate_events(fine, np.arange(1001) * 1000, model, seed=1)
    assert len(once) == len(often) > 1500
    assert abs(once.t - often.t).max() <= 1
    assert (np.bincount(once.x, once.p) == np.bincount(often.x, often.p)).all()


def test_hot_pixels_are_few_and_fire_whatever_the_light():
    model = PixelModel(0.3, 0, 0, hot_fraction=0.05, hot_hz=40.0)
    light = np.repeat(np.linspace(0, 1, 60)[None, None], 50, axis=1) * np.ones((3, 1, 1))
    data, noise = labelled(light, [0, 10**6, 2 * 10**6], model, seed=2)
    counts = np.bincount(data["y"].astype(int) * 60 + data["x"], minlength=3000)
    hot = counts > 0
    assert noise.all() and abs(hot.sum() - 150) < 5 * math.sqrt(3000 * 0.05 * 0.95)
    assert abs(counts.sum() - 80 * hot.sum()) < 5 * math.sqrt(80 * hot.sum())
    left = np.arange(3000) % 60 < 30
    assert counts[left & hot].mean() == pytest.approx(counts[~left & hot].mean(), rel=0.1)


def test_a_noise_event_resets_the_pixel():
    """After it the pixel waits for a whole threshold again, so noise delays what is signal."""
    rise = np.exp(np.linspace(0, 3, 2))[:, None, None] * np.ones((1, 30, 30))
    quiet, _ = labelled(rise, [0, 10**6], BARE)
    data, noise = labelled(rise, [0, 10**6], PixelModel(0.2, 0, 0, 0, 1e-9, shot_noise_hz=10, shot_noise_bright=1))
    assert noise.sum() > 0 and (~noise).sum() < len(quiet) - 0.3 * noise.sum()
    place = data["y"].astype(int) * 30 + data["x"]
    for k in np.flatnonzero(noise)[:200]:
        later = np.flatnonzero((place == place[k]) & (np.arange(len(data)) > k))
        if len(later) and not noise[later[0]]:
            assert data["t"][later[0]] - data["t"][k] == pytest.approx(0.2 / 3 * 1e6, abs=1.01)
