"""Scenes: what is drawn, and whether it moves as the flow says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from spikesim.datasets import PixelModel, simulate_events
from spikesim.datasets.simulator import (
    move_picture,
    moving_bar,
    moving_dots,
    moving_grating,
    rotate,
    saccade,
    translate,
)
from spikesim.datasets.simulator.light import linear_picture
from spikesim.datasets.simulator.warp import draw
from spikesim.errors import ConfigError, EventError

PICTURE = np.kron(np.random.default_rng(0).random((6, 7)), np.ones((4, 4)))  # 24 x 28
directions = st.floats(0, 2 * math.pi).map(lambda a: (100 * math.cos(a), 100 * math.sin(a)))


def supersampled(inside, size, n=32):
    """Share of each pixel in which a function of (x, y) is true, by n x n samples."""
    at = (np.arange(n) + 0.5) / n
    x = (np.arange(size[0])[:, None] + at).ravel()
    y = (np.arange(size[1])[:, None] + at).ravel()
    hits = inside(x[None, :], y[:, None])
    return hits.reshape(size[1], n, size[0], n).mean(axis=(1, 3))


@settings(deadline=None, max_examples=30)
@given(directions, st.floats(0.3, 9))
def test_a_bar_covers_what_it_covers(velocity, width):
    scene = moving_bar(velocity, sensor_size=(16, 12), width=width, background=0.0, duration_us=100_000, fps=100).scene
    normal = np.array(velocity) / 100
    for frame in (2, 5, 8):
        past = 100 * (scene.times_us[frame] - 50_000) * 1e-6

        def inside(x, y, past=past):
            return abs(normal[0] * (x - 8) + normal[1] * (y - 6) - past) <= width / 2

        drawn = scene.draw(frame, frame + 1)[0]
        np.testing.assert_allclose(drawn, supersampled(inside, (16, 12)), atol=0.04)
        assert drawn.mean() == pytest.approx(supersampled(inside, (16, 12), 128).mean(), abs=1e-3)


@settings(deadline=None, max_examples=20)
@given(directions, st.floats(2, 30))
def test_a_grating_is_the_mean_of_a_sine_over_each_pixel(velocity, wavelength):
    motion = moving_grating(velocity, sensor_size=(9, 7), wavelength=wavelength, duration_us=20_000, fps=100)
    normal = np.array(velocity) / 100
    at = (np.arange(64) + 0.5) / 64
    x, y = ((np.arange(n)[:, None] + at).ravel() - n / 2 for n in (9, 7))
    passed = 100 * motion.scene.times_us[1] * 1e-6
    wave = np.sin(2 * np.pi / wavelength * (normal[0] * x[None, :] + normal[1] * y[:, None] - passed))
    expected = 0.5 * (1 + 0.8 * wave.reshape(7, 64, 9, 64).mean(axis=(1, 3)))
    np.testing.assert_allclose(motion.scene.draw(1, 2)[0], expected, atol=1e-3)
    np.testing.assert_allclose(motion.flow()[0, :, 3, 4], velocity, rtol=1e-6, atol=1e-30)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(1, 6))
def test_dots_are_as_large_as_they_should_be_and_come_back(seed, radius):
    speed, size = (3000.0, -2000.0), (30, 20)
    motion = moving_dots(
        speed, count=1, radius=radius, sensor_size=size, background=0.0, duration_us=800_000, fps=500, seed=seed
    )
    frames = motion.scene.draw(0, 401)
    whole = frames.sum(axis=(1, 2)).max()
    # An edge that is one pixel wide and linear adds a twelfth of a square pixel to the square of the radius.
    assert whole == pytest.approx(math.pi * (radius**2 + 1 / 12), rel=0.08)  # the grid of pixels does the rest
    assert frames.max() <= 1.0
    # It leaves on one side before it comes back on the other: no frame shows it at both.
    for one, other in ((frames[:, :, 0], frames[:, :, -1]), (frames[:, 0], frames[:, -1])):
        assert one.any() and other.any()
        assert not (one.any(axis=1) & other.any(axis=1)).any()


def test_dots_of_several_velocities_carry_their_own():
    velocities = [[0, 80], [-60, 0], [0, 0]]
    motion = moving_dots(velocities, count=3, sensor_size=(60, 50), seed=3)
    found = {tuple(row) for row in motion.event_flow().tolist()}
    assert found <= {(0.0, 80.0), (-60.0, 0.0), (0.0, 0.0)} and len(found) >= 2


def carried(motion, first, last, sign):
    """How far a frame, moved by the flow, is from a later one, as a share of how far it is unmoved."""
    before, after = (motion.scene.draw(k, k + 1)[0] for k in (first, last))
    seconds = (motion.scene.times_us[last] - motion.scene.times_us[first]) * 1e-6
    flow = motion.flow((first + last) // 2, (first + last) // 2 + 1)[0] * seconds * sign
    y, x = np.indices(before.shape)
    moved = map_coordinates(before, [y - flow[1], x - flow[0]], order=3, mode="nearest")
    inner = (slice(4, -4), slice(4, -4))
    return np.abs(moved - after)[inner].mean() / np.abs(before - after)[inner].mean()


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda: moving_grating((40.0, 25.0), sensor_size=(40, 30), wavelength=12), 0.1),
        (lambda: translate(np.sin(np.indices((50, 60)).sum(0) / 3) + 1, (60.0, -45.0)), 0.1),
        (lambda: rotate(np.sin(np.indices((50, 60))[0] / 3) + 1, 1.5), 0.1),
        # The ground before a bar stands still, so that what the flow of one moment carries is torn at its edges.
        (lambda: moving_bar((50.0, 20.0), sensor_size=(40, 30), width=14), 0.3),
        (lambda: saccade(np.sin(np.indices((50, 60))[1] / 3) + 1, border="edge"), 0.1),
    ],
    ids=["grating", "translate", "rotate", "bar", "saccade"],
)
def test_brightness_is_carried_along_the_flow(make, most):
    motion = make()
    for first in (10, 60, 140):
        assert carried(motion, first, first + 30, 1) < most < 1.2 < carried(motion, first, first + 30, -1)


def test_events_have_the_flow_of_their_pixel_and_time():
    motion = rotate(PICTURE, 3.0, fps=500, duration_us=100_000)
    flow, events = motion.event_flow(), motion.events
    assert flow.shape == (len(events), 2) and len(events) > 500
    whole = motion.flow()
    for k in range(0, len(events), 97):
        interval = np.flatnonzero(motion.scene.times_us <= events.t[k])[-1]
        assert (flow[k] == whole[min(interval, 49), :, events.y[k], events.x[k]]).all()
    distance = np.hypot(events.x + 0.5 - 14, events.y + 0.5 - 12)
    np.testing.assert_allclose(np.hypot(*flow.T), 3.0 * distance, rtol=1e-5)
    bar = moving_bar((90.0, 40.0), model=PixelModel.preset("ideal"))
    assert (bar.event_flow() == np.float32([90.0, 40.0])).all() and len(bar.events) > 1000


def scalar_draw(picture, zoom, origin, shift, turn, size, pad):
    """Bilinear interpolation by the four neighbours of each pixel; ``pad`` gives the picture at any place."""
    frame = np.zeros((size[1], size[0]))
    for y in range(size[1]):
        for x in range(size[0]):
            u, v = x + 0.5 - origin[0] - shift[0], y + 0.5 - origin[1] - shift[1]
            a = (turn[0] * u + turn[1] * v) / zoom - 0.5
            b = (turn[0] * v - turn[1] * u) / zoom - 0.5
            for row in (math.floor(b), math.floor(b) + 1):
                for column in (math.floor(a), math.floor(a) + 1):
                    frame[y, x] += (1 - abs(a - column)) * (1 - abs(b - row)) * pad(picture, row, column)
    return frame


def fold(k, n):
    k %= 2 * n
    return k if k < n else 2 * n - 1 - k


BORDERS = {
    "black": lambda p, r, c: p[r, c] if 0 <= r < p.shape[0] and 0 <= c < p.shape[1] else 0.0,
    "edge": lambda p, r, c: p[min(max(r, 0), p.shape[0] - 1), min(max(c, 0), p.shape[1] - 1)],
    "reflect": lambda p, r, c: p[fold(r, p.shape[0]), fold(c, p.shape[1])],
    "wrap": lambda p, r, c: p[r % p.shape[0], c % p.shape[1]],
}


@pytest.mark.parametrize("border", BORDERS)
@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_picture_is_drawn_as_its_four_neighbours_say(border, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    picture = rng.random((data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))))
    far = data.draw(st.sampled_from([1, 10, 10**6]))
    shift, angle = rng.normal(0, far, 2), data.draw(st.sampled_from([0.0, 1.0])) * rng.normal(0, 3)
    zoom, origin, size = rng.uniform(0.3, 4), rng.normal(0, 5, 2), (6, 4)
    turn = np.array([math.cos(angle), math.sin(angle)])
    made = draw(picture, zoom, tuple(origin), shift[None], turn[None], size, border)[0]
    np.testing.assert_allclose(
        made, scalar_draw(picture, zoom, origin, shift, turn, size, BORDERS[border]), atol=1e-9 * far / zoom + 1e-12
    )


def test_a_path_of_our_own_and_its_corner():
    motion = move_picture(PICTURE, [0, 100, 300], [[0, 0], [0, 1], [2, 1]], [0, 0, 0.1], sensor_size=(40, 30))
    flow = motion.flow()
    assert flow[0, :, 9, 9].tolist() == [0.0, 10_000.0]
    np.testing.assert_allclose(flow[1, :, 15, 21], [10_000 - 500 * -0.5, 500 * 0.5], rtol=1e-5)


def test_saccades_are_n_mnists():
    motion = saccade(PICTURE, sensor_size=(34, 34), model=PixelModel.preset("ideal"))
    assert motion.scene.times_us[[0, -1]].tolist() == [0, 300_000]
    flow = motion.flow()[:, :, 17, 17]
    for first, velocity in ((0, (35, 70)), (100, (35, -70)), (200, (-70, 0))):
        np.testing.assert_allclose(flow[first : first + 100], [velocity] * 100, rtol=1e-5)
    counts = np.histogram(motion.events.t, 3, (0, 300_000))[0]
    assert (counts > 300).all()
    large = saccade(np.kron(PICTURE, np.ones((20, 20))), sensor_size=(240, 180))
    lit = np.argwhere(large.scene.draw(0, 1)[0] > 0.01)
    assert large.events.sensor_size == (240, 180, 2) and np.ptp(lit, axis=0).min() > 170


def test_the_scene_is_the_movie_that_the_camera_sees():
    motion = translate((PICTURE * 255).astype(np.uint8), (30.0, 10.0), fps=250, seed=5)
    light = linear_picture((PICTURE * 255).astype(np.uint8))
    np.testing.assert_allclose(motion.scene.draw(0, 1)[0], light, atol=1e-12)
    whole = motion.scene.draw(0, len(motion.scene.times_us))
    expected = simulate_events(whole, motion.scene.times_us, PixelModel.preset("clean"), seed=5)
    assert motion.events == expected and len(expected) > 100


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: moving_bar((0, 0)), "velocity is .0, 0."),
        (lambda: moving_bar((math.nan, 0)), "finite"),
        (lambda: moving_bar(3), "velocity is 3"),
        (lambda: moving_bar((1, 0), width=0), "width is 0"),
        (lambda: moving_bar((1, 0), light=-1), "light is -1"),
        (lambda: moving_bar((1, 0), background=math.inf), "background is inf"),
        (lambda: moving_bar((1, 0), fps=0), "fps is 0"),
        (lambda: moving_bar((1, 0), fps=2e6), "fps is 2000000"),
        (lambda: moving_bar((1, 0), duration_us=0), "duration_us is 0"),
        (lambda: moving_bar((1, 0), duration_us=2**52), "duration_us is"),
        (lambda: moving_bar((1, 0), duration_us=1000, fps=10), "hold one frame"),
        (lambda: moving_grating((1, 0), wavelength=-2), "wavelength is -2"),
        (lambda: moving_grating((1, 0), contrast=2), "contrast is 2"),
        (lambda: moving_dots((1, 0), count=0), "count is 0"),
        (lambda: moving_dots((1, 0), radius=0.1), "radius is 0.1"),
        (lambda: moving_dots([[1, 0]] * 3, count=2), "or 2 of them"),
        (lambda: moving_dots((math.inf, 0)), "not finite"),
        (lambda: rotate(PICTURE, math.nan), "rate is nan"),
        (lambda: translate(PICTURE, (1, 0), zoom=0), "zoom is 0"),
        (lambda: translate(PICTURE, (1, 0), border="mirror"), "border is 'mirror'"),
        (lambda: translate(PICTURE, (1, 0), model=PixelModel(noise=0.1)), "use shot_noise_hz"),
        (lambda: saccade(PICTURE, frames_per_saccade=0), "frames_per_saccade is 0"),
        (lambda: move_picture(PICTURE, [0, 1], [[0, 0], [0, math.inf]]), "not finite"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: moving_bar((1, 0), sensor_size=(0, 5)), "sensor_size"),
        (lambda: moving_bar((1, 0), sensor_size=7), "sensor_size is 7"),
        (lambda: translate(np.ones(3), (1, 0)), "the picture has shape"),
        (lambda: translate(np.ones((0, 3)), (1, 0)), "the picture has shape"),
        (lambda: translate(np.full((2, 2), np.nan), (1, 0)), "intensity nan"),
        (lambda: move_picture(PICTURE, [0], [[0, 0]]), "two or more"),
        (lambda: move_picture(PICTURE, [0, 5], [[0, 0]]), "expected .F, 2."),
        (lambda: move_picture(PICTURE, [5, 5], [[0, 0]] * 2), "expected a later time"),
    ],
)
def test_bad_pictures(make, message):
    with pytest.raises(EventError, match=message):
        make()
