"""What the numbers of a movie mean, and bad ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesim.datasets import EventSimulator, PixelModel, simulate_events, simulate_stream
from spikesim.datasets.simulator import rotate
from spikesim.datasets.simulator.light import linear_picture, resized
from spikesim.datasets.simulator.model import PRESETS
from spikesim.errors import ConfigError, EventError

IDEAL = PixelModel.preset("ideal")
TIMES = [0, 1000, 2000]


def srgb(code):
    """The standard's own words: a straight line up to 0.04045, then a power of 2.4."""
    signal = code / 255
    return signal / 12.92 if signal <= 0.04045 else ((signal + 0.055) / 1.055) ** 2.4


def test_bytes_are_srgb_and_floats_are_light():
    codes = np.array([[[10, 100]], [[200, 100]], [[30, 250]]], np.uint8)
    light = np.vectorize(srgb)(codes.astype(float))
    made = simulate_events(codes, TIMES, IDEAL)
    assert made == simulate_events(light, TIMES, IDEAL) and len(made) > 10
    assert made == simulate_events(codes, TIMES, IDEAL, encoding="srgb")
    assert made == simulate_events(codes / 255, TIMES, IDEAL, encoding="srgb")
    sixteen = simulate_events(codes.astype(np.uint16) * 257, TIMES, IDEAL)
    assert len(sixteen) == len(made) and abs(sixteen.t - made.t).max() <= 1
    straight = simulate_events(codes, TIMES, IDEAL, encoding="linear")
    assert straight == simulate_events(codes / 255, TIMES, IDEAL) and len(straight) < len(made)


def test_colours_become_the_light_they_give():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (3, 2, 4, 3)).astype(np.uint8)
    light = np.vectorize(srgb)(codes.astype(float)) @ [0.2126, 0.7152, 0.0722]
    made, expected = simulate_events(codes, TIMES, IDEAL), simulate_events(light, TIMES, IDEAL)
    assert len(made) == len(expected) > 0 and abs(made.t - expected.t).max() <= 1
    grey = np.repeat(codes[..., :1], 3, axis=-1)
    assert abs(linear_picture(grey[0]) - linear_picture(codes[0, ..., 0])).max() < 1e-15


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint32, np.float16, np.float32])
def test_other_numbers_are_light_as_they_are(dtype):
    frames = np.array([0, 1, 0], dtype)[:, None, None]
    assert simulate_events(frames, TIMES) == simulate_events(frames.astype(float), TIMES)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_resizing_takes_the_mean_of_each_area(height, width, rows, columns, seed):
    light = np.random.default_rng(seed).random((height, width))
    fine = np.kron(light, np.ones((rows, columns)))  # every pixel as rows x columns of its own
    expected = fine.reshape(rows, height, columns, width).mean(axis=(1, 3))
    np.testing.assert_allclose(resized(light, columns, rows), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("frames", "times", "message"),
    [
        (np.ones((4, 4)), [0], r"frames have shape \(4, 4\); expected \[F, H, W\]"),
        (np.ones((2, 4, 4, 2)), [0, 1], "in colour"),
        (np.ones((0, 4, 4)), [], "at least one frame"),
        ([], [], "expected"),
        (np.ones((1, 0, 4)), [0], "sensor_size"),
        (np.ones((1, 1, 2**15)), [0], "sensor_size is .32768, 1, 2."),
        (np.ones((2, 4, 4)), [0], r"times_us has shape \(1,\)"),
        (np.ones((2, 4, 4)), [0.0, 1.0], "dtype float64"),
        (np.ones((3, 4, 4)), [0, 5, 5], "frame 2 is 5, after 5"),
        (np.ones((3, 4, 4)), [0, 5, 4], "frame 2 is 4, after 5"),
        (np.ones((2, 4, 4)), [-1, 5], "from -1 to 5"),
        (np.ones((2, 4, 4)), [0, 2**31], r"frame 1 comes 2147483648 us after .* put frames in between"),
        (np.ones((2, 4, 4)), [2**52 - 1, 2**52], r"below 2\*\*52"),
        (np.ones((2, 4, 4)), np.array([0, 2**64 - 1], np.uint64), r"below 2\*\*52"),
        (np.full((2, 4, 4), -1.0), [0, 1], "frame 0 has intensity -1.0 at x = 0, y = 0"),
        (np.full((2, 4, 4), np.nan), [0, 1], "intensity nan"),
        (np.full((2, 4, 4), np.inf), [0, 1], "intensity inf"),
        (np.full((2, 4, 4), -1), [0, 1], "intensity -1 "),
        (np.ones((2, 4, 4), complex), [0, 1], "dtype complex128"),
        (np.full((2, 4, 4), "a"), [0, 1], "dtype <U1"),
        ([np.ones((4, 4)), np.ones((4, 5))], [0, 1], "frames of one size"),
    ],
)
def test_bad_movies_are_refused(frames, times, message):
    with pytest.raises(EventError, match=message):
        simulate_events(frames, times)


def test_the_bad_pixel_is_named_in_colour_too():
    frames = np.ones((2, 4, 5, 3))
    frames[1, 2, 3, 1] = np.nan
    with pytest.raises(EventError, match="frame 1 has intensity nan at x = 3, y = 2"):
        simulate_events(frames, [0, 1])
    with pytest.raises(ConfigError, match="encoding is 'gamma'"):
        simulate_events(frames, [0, 1], encoding="gamma")


def test_noise_as_a_share_wants_a_short_movie():
    with pytest.raises(EventError, match="use shot_noise_hz"):
        simulate_events(np.ones((3, 2, 2)), np.arange(3) * 2**30, PixelModel(noise=0.1))


@pytest.mark.parametrize(
    "option",
    [
        {"threshold": 0},
        {"threshold": float("nan")},
        {"threshold": "0.2"},
        {"threshold_std": -1},
        {"threshold_off": 0},
        {"threshold_off": -0.1},
        {"threshold_off_std": -1, "threshold_off": 0.1},
        {"threshold_off_std": 0.1},
        {"refractory_us": -1},
        {"refractory_us": 0.5},
        {"refractory_us": True},
        {"noise": -0.1},
        {"log_offset": 0},
        {"log_offset": float("inf")},
        {"linear_below": -1},
        {"cutoff_hz": -1},
        {"cutoff_hz": float("inf")},
        {"cutoff_dark": 0},
        {"leak_hz": 1e9},
        {"shot_noise_hz": float("nan")},
        {"shot_noise_bright": 1.5},
        {"hot_fraction": 2},
        {"hot_hz": -1},
    ],
    ids=str,
)
def test_bad_parameters_are_refused(option):
    with pytest.raises(ConfigError, match=f"PixelModel {next(iter(option))} is"):
        PixelModel(**option)


def test_presets_are_as_published_and_can_be_changed():
    assert set(PRESETS) == {"ideal", "clean", "noisy"}
    noisy = PixelModel.preset("noisy")
    published = (0.2, 0.2, 0.05, 30, 0.1, 5.0, 0, 0.25)
    assert published == (
        noisy.threshold, noisy.threshold_off, noisy.threshold_std, noisy.cutoff_hz, noisy.leak_hz, noisy.shot_noise_hz,
        noisy.refractory_us, noisy.shot_noise_bright,
    )  # fmt: skip
    assert PixelModel.preset("noisy", leak_hz=0.0).leak_hz == 0
    assert len(simulate_events(np.ones((2, 3, 3)), [0, 10**6], PixelModel.preset("ideal"))) == 0
    with pytest.raises(ConfigError, match="expected one of ideal, clean, noisy"):
        PixelModel.preset("loud")
    with pytest.raises(ConfigError, match="loudness"):
        PixelModel.preset("noisy", loudness=3)


@pytest.mark.parametrize("model", ["clean", 3, PixelModel], ids=str)
def test_what_is_no_model_is_named(model):
    frames = np.ones((2, 3, 3))
    for simulate in (
        lambda: simulate_events(frames, [0, 9], model),
        lambda: EventSimulator(model),
        lambda: next(iter(simulate_stream([(frames, [0, 9])], model))),
    ):
        with pytest.raises(ConfigError, match=r"expected a PixelModel, such as PixelModel.preset"):
            simulate()


def test_a_rate_is_a_number():
    with pytest.raises(ConfigError, match="rate is 'fast'"):
        rotate(np.ones((4, 4)), "fast")
