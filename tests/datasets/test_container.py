"""Whatever a file, Tonic or torch yields becomes the canonical form without loss, or an error names field and event."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikesim.datasets import EVENT_DTYPE, Events
from spikesim.errors import EventError

SENSOR = (34, 30, 2)
LIMITS = {"x": 34, "y": 30, "t": 2**63, "p": 2}
KINDS = ["?", "i1", "u1", "i2", ">i2", "u2", ">u4", "i4", "i8", "u8", ">i8", "f2", "f4", ">f4", "f8"]


def strided(column):
    wide = np.zeros(3 * len(column), column.dtype)
    wide[1::3] = column
    return wide[1::3]


def unaligned(column):
    raw = np.zeros(column.nbytes + 1, np.uint8)
    view = raw[1:].view(column.dtype)
    view[:] = column
    return view


def frozen(column):
    copy = column.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS = {
    "plain": lambda c: c,
    "strided": strided,
    "backward": lambda c: c[::-1].copy()[::-1],
    "read-only": frozen,
    "unaligned": unaligned,
    "column": lambda c: c[:, None],
    "fortran": lambda c: np.asfortranarray(np.stack([c, c], 1))[:, 0],
    "list": lambda c: c.tolist(),
    "tensor": lambda c: (
        torch.tensor(c.astype(c.dtype.newbyteorder("=")).tolist(), dtype=torch.float64)
        if c.dtype.kind == "f"
        else torch.tensor(c.astype(np.int64))
    ),
}


def first_bad(name, values):
    """Index of the first value that no event may hold, or None."""
    for i, value in enumerate(values):
        if not (np.isfinite(value) and value == int(value) and 0 <= value < LIMITS[name]):
            return i
    return None


@given(data=st.data(), n=st.integers(0, 6))
def test_any_columns(data, n):
    columns, kept = {}, {}
    for name in "xytp":
        kind = np.dtype(data.draw(st.sampled_from(KINDS)))
        values = data.draw(
            st.lists(st.sampled_from([0, 1, 1, 7, 29, 33, 100, -3, 0.5, np.nan]), min_size=n, max_size=n)
        )
        with np.errstate(all="ignore"):
            column = np.array(values, float)
            column = np.where(np.isnan(column) & (kind.kind != "f"), 1, column).astype(kind)
        kept[name] = column.astype(float).tolist()
        columns[name] = LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))](column)
    bad = {name: first_bad(name, values) for name, values in kept.items()}
    wrong = [name for name in "xytp" if bad[name] is not None]
    if not wrong:
        events = Events.from_columns(**columns, sensor_size=SENSOR)
        assert events.data.dtype == EVENT_DTYPE and events.data.flags.c_contiguous
        assert {name: events.data[name].tolist() for name in "xytp"} == kept
        return
    with pytest.raises(EventError) as caught:
        Events.from_columns(**columns, sensor_size=SENSOR)
    assert any(f"event {bad[name]} has {name} = " in str(caught.value) for name in wrong)


@given(
    order=st.permutations(["x", "y", "t", "p"]),
    kinds=st.tuples(*(st.sampled_from([k for k in KINDS if k != "?"]) for _ in range(4))),
    layout=st.sampled_from(["plain", "strided", "backward", "read-only", "column", "recarray", "aligned"]),
)
def test_any_structured_array(order, kinds, layout):
    dtype = np.dtype(list(zip(order, kinds, strict=True)), align=layout == "aligned")
    array = np.zeros(5, dtype)
    array["x"], array["y"], array["t"], array["p"] = (
        [0, 1, 33, 2, 5],
        [29, 0, 1, 2, 3],
        [0, 5, 5, 9, 100],
        [0, 1, 1, 0, 1],
    )
    given_ = array.view(np.recarray) if layout == "recarray" else LAYOUTS.get(layout, LAYOUTS["plain"])(array)
    before = array.copy()
    events = Events(given_, SENSOR)
    assert [events.data[name].tolist() for name in "xytp"] == [array[name].tolist() for name in "xytp"]
    assert np.array_equal(events.to_structured(dtype), array) and np.array_equal(array, before)
    assert not np.shares_memory(events.data, array)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int64, np.float32, torch.int8])
def test_signed_polarities_in_every_width(kind):
    p = torch.tensor([1, -1, 1], dtype=kind) if isinstance(kind, torch.dtype) else np.array([1, -1, 1], kind)
    assert Events.from_columns([1] * 3, [1] * 3, [1, 2, 3], p, SENSOR).p.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"t": [0, 2**64, 1]}, r"event 1 has t = 18446744073709551616"),
        ({"t": [0, -(2**70), 1]}, r"event 1 has t = -1180591620717411303424"),
        ({"t": np.array([0, 2**63], np.uint64), "x": [1, 1], "y": [1, 1], "p": [1, 1]}, r"event 1 has t = 92233720368"),
        ({"t": np.array([0, 1, 2], "m8[us]")}, r"t is of dtype timedelta64\[us\]; expected integers"),
        ({"x": [None, 1, 2]}, r"event 0 has x = None; expected a number"),
        ({"x": [1, "2", 3]}, "x is of dtype <U"),
        ({"x": [1 + 2j, 1, 1]}, "x is of dtype complex128"),
        ({"x": [[1, 2], [3, 4], [5, 6]]}, r"x has shape \(3, 2\); expected one value per event"),
        ({"x": [[1], [2, 3], [4]]}, "x is no array of numbers"),
        ({"x": 3}, r"x has shape \(\)"),
        ({"x": torch.tensor([1.0, 2, 3], dtype=torch.bfloat16)}, "x is no array of numbers"),
        ({"p": [0.0, np.nan, 1.0]}, "event 1 has p = nan"),
        ({"p": [0, 1, 255]}, "event 2 has p = 255"),
        ({"x": np.ma.masked_array([1, 2, 3], [False, True, False])}, "event 1 has x = masked"),
    ],
)
def test_what_is_no_column_of_events(changed, message):
    columns = {"x": [1, 2, 3], "y": [1, 2, 3], "t": [1, 2, 3], "p": [0, 1, 1]} | changed
    with pytest.raises(EventError, match=message):
        Events.from_columns(**columns, sensor_size=SENSOR)


def test_exchanged_names_of_x_and_y_are_found_where_the_sensor_tells():
    array = np.zeros(2, [("y", "i2"), ("x", "i2"), ("t", "i8"), ("p", "?")])
    array["y"], array["x"] = [3, 33], [1, 2]  # a column of 33 in a sensor of 30 rows
    with pytest.raises(EventError, match=r"event 1 has y = 33; expected 0 <= y < 30 \(sensor 34 x 30\)"):
        Events(array, SENSOR)
    renamed = np.zeros(2, [("row", "i2"), ("col", "i2"), ("ts", "i8"), ("pol", "?")])
    renamed["row"], renamed["col"] = [1, 2], [3, 33]
    assert Events(renamed, SENSOR).x.tolist() == [3, 33]


def test_a_missing_polarity_is_named():
    with pytest.raises(EventError, match=r"events have the fields t, x, y; expected x, y, t and p, of which p missing"):
        Events(np.zeros(1, [("t", "i8"), ("x", "i2"), ("y", "i2")]), SENSOR)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_and_one_event_both_ways(count):
    events = Events.from_columns([3] * count, [4] * count, [2**62] * count, [1] * count, SENSOR)
    assert Events(events.to_structured([("t", "u8"), ("p", "?"), ("y", "u1"), ("x", ">u4")]), SENSOR) == events
    assert (
        Events.from_columns(*events.to_torch(), SENSOR) == Events.from_columns(*events.to_columns(), SENSOR) == events
    )


def test_selections_are_those_of_numpy():
    events = Events.from_columns(range(9), [0] * 9, range(9), [1] * 9, SENSOR)
    for index in (slice(2, 8, 3), slice(None, None, -1), np.arange(9) % 2 == 0, np.array([5, -1, 5]), [2, 1], []):
        got = events.select(index)
        assert got.data.tolist() == events.data[index].tolist() and got.sorted == bool((np.diff(got.t) >= 0).all())
        assert not got.data.flags.writeable
    with pytest.raises(IndexError):
        events.select(np.array([9]))


@pytest.mark.parametrize(
    "size", [(34.5, 34, 2), ("34", "34", "2"), (float("inf"), 34, 2), (34, 34), None, 34, (34, 34, 0)]
)
def test_a_sensor_of_no_whole_size_is_refused(size):
    with pytest.raises(EventError, match="sensor_size is"):
        Events.empty(size)
    assert Events.empty(np.array([34, 34, 2])).sensor_size == (34, 34, 2)
