"""Rolls, turns, shears and cutouts of events, and the policy NDA that draws from them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.mixing import moved
from oracles.streams import DTYPES, stream

from spikesim.datasets import Events
from spikesim.datasets import transforms as T
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.geometry import turned
from spikesim.datasets.transforms.stream import Stream
from spikesim.errors import ConfigError, EventError

SIZE = (24, 16, 2)
ALL = [
    T.RandomRoll(SIZE, 3),
    T.RandomRotate(SIZE, 90),
    T.RandomShear(SIZE, 60),
    T.RandomCutout(SIZE, 9),
    T.NDA(SIZE, 3),
]


def rows(data):
    return [(int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])) for e in data]


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("n", [0, 1, 400])
def test_form_account_and_input_hold(transform, dtype, n):
    data = stream(n, dtype, first=50)
    before = data.copy()
    for sample in range(8):
        with T.sample_at(0, sample):
            counted = transform.counted(data, seed=0)
            again = transform.counted(Events(data, SIZE), seed=0).result
        assert counted.result.dtype == dtype and np.array_equal(data, before)
        assert counted.events == n == counted.kept + sum(counted.dropped.values())
        assert counted.kept == len(counted.result) and counted.added == 0
        assert rows(again.data) == rows(counted.result) and again.sensor_size == SIZE
        assert (np.diff(counted.result["t"].astype(np.int64)) >= 0).all()


@given(st.integers(0, 50), st.floats(-180, 180), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_turns_are_the_loop(n, degrees, width, height, seed):
    data, size = stream(n, size=(width, height), seed=seed), (width, height, 2)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    found = turned(Stream(data, size, True), (c, -s, s, c), "turn")
    assert rows(found.result) == moved(data, size, ((c, -s), (s, c)))
    assert found.dropped[0] == n - len(found.result)


@pytest.mark.parametrize("side", [9, 10])
def test_a_quarter_turn_moves_every_event_to_a_pixel_of_its_own(side):
    data = stream(300, size=(side, side))
    found = turned(Stream(data, (side, side, 2), True), (math.cos(math.pi / 2), -1.0, 1.0, 0.0), "turn").result
    assert np.array_equal(found["x"], side - 1 - data["y"]) and np.array_equal(found["y"], data["x"])


def test_a_roll_loses_nothing_and_reaches_all_shifts():
    data = stream(1)
    data["x"], data["y"] = 0, 15
    transform, places = T.RandomRoll(SIZE, 1, seed=0), set()
    for _ in range(100):
        found = transform(data)
        places.add((int(found["x"][0]), int(found["y"][0])))
    assert places == {(x, y) for x in (23, 0, 1) for y in (14, 15, 0)}


def test_angles_are_even_over_their_range():
    data = stream(1, size=(1, 1))
    data["x"], data["y"] = 100, 50
    angles = [
        math.degrees(math.atan2(int(e["y"][0]) - 50, int(e["x"][0]) - 50))
        for e in (T.RandomRotate((101, 101, 2), 20, seed=k)(data) for k in range(400))
        if len(e)
    ]
    assert -20.6 < min(angles) < -18 and 18 < max(angles) < 20.6 and abs(np.mean(angles)) < 2


def test_a_shear_moves_rows_and_nothing_else():
    data = stream(500, size=(101, 101))
    shear = T.RandomShear((101, 101, 2), 45, seed=3)
    slope = math.tan(math.radians(Draw.for_call(3, 0, 0).number(-45, 45)))
    assert rows(shear(data)) == moved(data, (101, 101), ((1, slope), (0, 1)))


@pytest.mark.parametrize("side", [1, 4, 5])
def test_a_cutout_is_a_square_or_what_the_edge_leaves_of_it(side):
    grid = stream(24 * 16)
    grid["x"], grid["y"] = np.tile(np.arange(24), 16), np.repeat(np.arange(16), 24)
    lost = []
    for seed in range(200):
        kept = {(x, y) for x, y, _, _ in rows(T.RandomCutout(SIZE, side, seed=seed)(grid))}
        gone = [(x, y) for x in range(24) for y in range(16) if (x, y) not in kept]
        width, height = (max(g[k] for g in gone) - min(g[k] for g in gone) + 1 for k in (0, 1))
        assert len(gone) == width * height and max(width, height) <= side
        lost.append(len(gone))
    assert max(lost) == side * side and (side == 1 or min(lost) < side * side)


def test_nda_scales_with_the_sensor_and_with_its_strength():
    assert [T.NDA(strength=n).operation("roll", (48, 48, 2)).max_pixels for n in (1, 2, 3)] == [3, 5, 7]
    assert [T.NDA(strength=n).operation("rotate", (48, 48, 2)).degrees for n in (1, 2, 3)] == [15, 30, 45]
    assert [T.NDA(strength=n).operation("cutout", (48, 48, 2)).side for n in (1, 2, 3)] == [8, 16, 24]
    assert T.NDA(strength=1).operation("shear", (9, 9, 2)).degrees == 15
    assert T.NDA(strength=2).operation("cutout", (128, 144, 2)).side == 43
    assert T.NDA(strength=2, side=None).operation("cutout", (128, 128, 2)).side == 16


def test_nda_draws_every_operation_and_can_do_nothing():
    data, reasons, flips = stream(500), set(), 0
    for seed in range(60):
        dropped = T.NDA(SIZE, seed=seed).counted(data).dropped
        reasons |= {name for name, count in dropped.items() if count}
        flips += np.array_equal(T.NDA(SIZE, count=0, seed=seed)(data)["x"], 23 - data["x"])
    assert reasons == {"outside", "cutout"} and 15 < flips < 45
    assert np.array_equal(T.NDA(SIZE, count=0, flip=0)(data), data)


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_events_outside_are_named(transform):
    data = stream(9)
    data["y"][4] = 16
    with pytest.raises(EventError, match="event 4 has y = 16"):
        for _ in range(20):  # NDA may draw nothing that looks
            transform(data)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: T.RandomRoll(SIZE, -1), "max_pixels is -1"),
        (lambda: T.RandomRotate(SIZE, 200), "degrees is 200"),
        (lambda: T.RandomShear(SIZE, 90), "degrees is 90"),
        (lambda: T.RandomCutout(SIZE, 0), "side is 0"),
        (lambda: T.NDA(count=-1), "count is -1"),
        (lambda: T.NDA(strength=6), "strength is 6"),
        (lambda: T.NDA(flip=2), "flip is 2"),
        (lambda: T.NDA(operations=("zoom",)), "operations is"),
        (lambda: T.NDA(side=0), "side is 0"),
    ],
)
def test_settings_that_make_no_sense(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
