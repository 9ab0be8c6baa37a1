"""Columns of any kind become one form without loss, or an error names the field and the first bad event."""

import numpy as np
import pytest
import tonic
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikesim.datasets import EVENT_DTYPE, Events
from spikesim.datasets.columns import microseconds
from spikesim.datasets.convert import field_of
from spikesim.errors import EventError

SENSOR = (128, 100, 2)
WIDTHS = ["i1", "u1", ">i2", "u2", "i4", "u8", "f4", "f8", "f2"]
rows = st.lists(st.tuples(*(st.integers(0, top) for top in (99, 99, 120, 1))), max_size=20)


def made(rows, **options):
    return Events.from_columns(*(list(zip(*rows, strict=True)) or [[]] * 4), SENSOR, **options)


@given(
    rows=rows,
    order=st.permutations(["x", "y", "t", "p"]),
    widths=st.tuples(*(st.sampled_from(WIDTHS) for _ in range(3)), st.sampled_from([*WIDTHS, "?"])),
    titled=st.booleans(),
    flat=st.booleans(),
)
def test_structured_arrays_both_ways(rows, order, widths, titled, flat):
    kinds = dict(zip("xytp", widths, strict=True))
    dtype = np.dtype([((name, f"field_{name}") if titled else name, kinds[name]) for name in order])
    events = made(rows)
    array = events.to_structured(dtype)
    assert array.dtype == dtype
    assert Events(array if flat else array.reshape(-1, 1), SENSOR) == events


@given(rows=rows)
def test_columns_and_tensors_both_ways(rows):
    events = made(rows)
    columns, tensors = events.to_columns(), events.to_torch()
    assert all(column.flags.writeable and column.flags.c_contiguous for column in columns)
    assert Events.from_columns(*columns, SENSOR) == events == Events.from_columns(*tensors, SENSOR)
    assert [tensor.dtype for tensor in tensors] == [torch.int16, torch.int16, torch.int64, torch.uint8]
    tensors.x.fill_(7)  # a copy
    assert Events.from_columns(*columns, SENSOR) == events
    assert Events.from_columns(*(column[:, None] for column in columns), SENSOR) == events


def test_tensors_with_gradients_and_booleans():
    events = Events.from_columns(
        torch.tensor([1.0], requires_grad=True), torch.tensor([2]), torch.tensor([3.0]), torch.tensor([True]), SENSOR
    )
    assert events.data.tolist() == [(1, 2, 3, 1)]


@pytest.mark.parametrize(
    "dtype",
    [
        tonic.io.events_struct,
        tonic.datasets.NMNIST.dtype,
        tonic.datasets.DVSGesture.dtype,
        [("timestamp", "u8"), ("x", "u2"), ("y", "u2"), ("on", "?")],
        [(("timestamp", "t"), "u8"), (("x_", "x"), "u2"), (("y_", "y"), "u2"), (("on", "p"), "?")],
    ],
    ids=["tonic.io", "nmnist", "dvsgesture", "aedat4", "aedat4-titles"],
)
def test_what_tonic_yields(dtype):
    array = np.zeros(2, dtype)
    for name, values in zip(array.dtype.names, np.array([[3, 9], [5, 6], [7, 8], [1, 0]]), strict=True):
        array[name] = values if array.dtype[name].kind != "b" else [True, False]
    events = Events(array, (200, 200, 2))
    assert events.to_structured(array.dtype).tolist() == array.tolist()


def test_tonics_transforms_take_the_data_and_give_events():
    events = made([(1, 2, 10, 1), (4, 5, 20, 0)])
    assert Events(tonic.transforms.RandomFlipLR(SENSOR, p=1)(events.data.copy()), SENSOR).x.tolist() == [126, 123]
    assert tonic.transforms.ToFrame(SENSOR, n_event_bins=1)(events.data).sum() == 2


@given(
    times=st.lists(st.integers(0, 2**40), max_size=9),
    unit=st.sampled_from([("s", 10**6, 1), ("ms", 10**3, 1), ("us", 1, 1), ("ns", 1, 1000)]),
)
def test_float_times_with_their_unit_are_exact(times, unit):
    name, divide, multiply = unit
    floats = np.array(times, np.float64) / divide * multiply
    assert microseconds(floats, name).tolist() == times
    whole = np.array(times, np.int64) * multiply
    if name in ("us", "ns"):
        assert microseconds(whole, name).tolist() == times


@pytest.mark.parametrize(
    ("times", "unit", "message"),
    [
        (np.array([0, 1.5]), "us", r"event 1 has t = 1\.5; expected a whole microsecond"),
        (np.array([0.0, np.nan]), "s", "event 1 has t = nan"),
        (np.array([0.0, 1e19]), "us", r"event 1 has t = 1e\+19"),
        (np.array([1e13], np.float32), "s", "event 0 has t ="),
        (np.array([5, 2**62]), "s", "event 1 has t = 4611686018427387904"),
        (np.array([0, 999]), "ns", "event 1 has t = 999; expected a whole microsecond"),
        (np.array([-1]), "ms", "event 0 has t = -1"),
        (np.array([2**64 - 1], np.uint64), "us", "event 0 has t = 18446744073709551615"),
        (np.array([1]), "minutes", "time_unit is 'minutes'"),
    ],
)
def test_times_that_are_none(times, unit, message):
    with pytest.raises(EventError, match=message):
        none = [0] * len(times)
        Events.from_columns(none, none, times, none, SENSOR, time_unit=unit)


def test_rounding_is_said_and_to_the_nearest():
    got = Events.from_columns([0] * 3, [0] * 3, [0.4, 1.6, 2.5], [1] * 3, SENSOR, rounding="nearest")
    assert got.t.tolist() == [0, 2, 2]
    assert microseconds(np.array([499, 500, 1499]), "ns", "nearest").tolist() == [0, 1, 1]
    with pytest.raises(EventError, match="rounding 'up'"):
        Events.from_columns([0], [0], [0.5], [1], SENSOR, rounding="up")


@pytest.mark.parametrize("kind", ["i1", "i2", "i8", "f4", "f8"])
def test_polarities_of_minus_one(kind):
    p = np.array([1, -1, 1, -1], kind)
    assert Events.from_columns([0] * 4, [0] * 4, [0] * 4, p, SENSOR).p.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (
            [("x", "i1"), ("y", "i1"), ("t", "u1"), ("p", "?")],
            "event 1 has t = 256; expected a value that uint8 can hold",
        ),
        ([("x", "i1"), ("y", "i1"), ("t", "f2"), ("p", "?")], "event 2 has t = 2049"),
        ([("x", "i1"), ("y", "i1"), ("t", "i8")], "expected a structured one with the fields x, y, t and p"),
        ([("x", "i1"), ("y", "i1"), ("t", "i8"), ("p", "?"), ("z", "i1")], "expected a structured one"),
        ([("x", "U2"), ("y", "i1"), ("t", "i8"), ("p", "?")], "x is asked for as <U2"),
        ("f4", "expected a structured one"),
    ],
)
def test_dtypes_that_cannot_hold_the_events(dtype, message):
    events = made([(1, 2, 10, 1), (4, 5, 256, 0), (4, 5, 2049, 0)])
    with pytest.raises(EventError, match=message):
        events.to_structured(dtype)


def test_other_spellings_of_fields():
    array = np.zeros(1, [("ts", "i8"), ("col", "i2"), ("row", "i2"), ("pol", "?")])
    assert len(Events(array, SENSOR)) == 1
    assert [field_of(name) for name in (" TimeStamp ", "X", "polarity", "z")] == ["t", "x", "p", None]
    with pytest.raises(EventError, match="t missing"):
        Events(np.zeros(1, [("ts", "i8"), ("time", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?")]), SENSOR)


def test_the_canonical_form():
    events = Events(np.zeros(3, EVENT_DTYPE), SENSOR)
    assert events.data.dtype == EVENT_DTYPE and events.data.dtype.itemsize == 13
    assert not events.data.flags.writeable
