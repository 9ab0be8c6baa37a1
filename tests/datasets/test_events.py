import pickle

import numpy as np
import pytest

from spikesim.datasets import EVENT_DTYPE, Events
from spikesim.errors import EventError

SENSOR = (34, 30, 2)


def columns(**changed):
    return {"x": [1, 2, 3], "y": [4, 5, 6], "t": [0, 10, 10], "p": [0, 1, 1]} | changed


def test_columns_are_stored_once_in_the_declared_types():
    events = Events.from_columns(**columns(), sensor_size=SENSOR)
    assert events.data.dtype == EVENT_DTYPE
    assert (len(events), events.duration_us, events.sorted, events.first_unsorted) == (3, 10, True, None)
    assert events.x.tolist() == [1, 2, 3]
    assert events.p.tolist() == [0, 1, 1]


def test_data_cannot_be_changed_behind_the_checks():
    given = np.zeros(2, EVENT_DTYPE)
    events = Events(given, SENSOR)
    given["x"] = 33
    assert events.x.tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        events.data["x"] = 1


@pytest.mark.parametrize(
    "dtype",
    [
        [("x", int), ("y", int), ("t", int), ("p", int)],
        [("t", "u8"), ("x", "u2"), ("y", "u2"), ("p", "?")],
        [(("timestamp", "t"), "u8"), (("col", "x"), "u2"), (("row", "y"), "u2"), (("on", "p"), "?")],
        [("p", bool), ("y", np.int16), ("t", np.int64), ("x", np.int16)],
    ],
    ids=["tonic-nmnist", "unsigned", "titled", "bool-first"],
)
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_structured_arrays_of_any_field_order_and_width(dtype, shape):
    array = np.zeros(3, dtype)
    for name, values in columns().items():
        array[name] = values
    assert Events(array.reshape(shape), SENSOR) == Events.from_columns(**columns(), sensor_size=SENSOR)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": [1, 34, 99]}, r"event 1 has x = 34; expected 0 <= x < 34"),
        ({"x": [1, 2, -1]}, r"event 2 has x = -1"),
        ({"x": np.array([1, 70000, 2])}, r"event 1 has x = 70000"),
        ({"y": [30, 0, 0]}, r"event 0 has y = 30; expected 0 <= y < 30"),
        ({"t": [0, -5, 3]}, r"event 1 has t = -5"),
        ({"t": np.array([0, 2**63, 1], np.uint64)}, r"event 1 has t = 9223372036854775808"),
        ({"p": [0, 1, 2]}, r"event 2 has p = 2; expected a polarity of 0 or 1"),
        ({"p": [1, -1, 0]}, r"event 2 has p = 0; expected 0 and 1, or -1 and 1"),
        ({"p": [0, 1, -1]}, r"event 2 has p = -1; expected 0 and 1, or -1 and 1"),
        ({"p": [1, -2, 1]}, r"event 1 has p = -2"),
        ({"t": [0.5, 1.0, 2.0]}, r"event 0 has t = 0.5; expected a whole microsecond"),
        ({"t": [0.0, np.nan, 2.0]}, r"event 1 has t = nan"),
        ({"t": [0.0, 1.0, np.inf]}, r"event 2 has t = inf"),
        ({"t": [0.0, -1.0, 2.0]}, r"event 1 has t = -1.0"),
        ({"x": [0.0, 1.5, 2.0]}, r"event 1 has x = 1.5; expected a whole number"),
        ({"y": [np.nan, 1.5, 2.0]}, r"event 0 has y = nan"),
        ({"x": ["a", "b", "c"]}, r"x is of dtype <U1"),
        ({"x": [[1, 2, 3]]}, r"x has shape \(1, 3\)"),
        ({"y": [4, 5]}, r"differ in length"),
    ],
)
def test_bad_columns_name_the_field_and_the_first_bad_event(changed, message):
    with pytest.raises(EventError, match=message):
        Events.from_columns(**columns(**changed), sensor_size=SENSOR)


@pytest.mark.parametrize("size", [(34, 34), (0, 34, 2), (34, 34, 3), (40000, 4, 2), "abc", 34])
def test_bad_sensor_sizes_are_refused(size):
    with pytest.raises(EventError, match="sensor_size is"):
        Events.empty(size)


def test_other_arrays_are_refused():
    with pytest.raises(EventError, match="plain array"):
        Events(np.zeros((3, 4)), SENSOR)
    with pytest.raises(EventError, match="p missing"):
        Events(np.zeros(3, [("x", int), ("y", int), ("t", int)]), SENSOR)


def test_unsorted_events_are_kept_and_reported():
    events = Events.from_columns(**columns(t=[5, 9, 2]), sensor_size=SENSOR)
    assert (events.sorted, events.first_unsorted, events.duration_us) == (False, 2, 7)
    assert "not in order of time" in repr(events)
    ordered = events.in_time_order()
    assert ordered.sorted
    assert ordered.x.tolist() == [3, 1, 2]


@pytest.mark.parametrize("count", [0, 1])
def test_tiny_recordings_are_legal(count):
    events = Events.from_columns([3] * count, [4] * count, [7] * count, [1] * count, SENSOR)
    assert (len(events), events.duration_us, events.sorted, events.first_unsorted) == (count, 0, True, None)
    assert events.in_time_order() == events
    assert events.select(slice(None)) == events
    assert Events(events.data, SENSOR) == events
    assert str(count) in repr(events)


def test_select_and_equality():
    events = Events.from_columns(**columns(), sensor_size=SENSOR)
    assert events.select(events.p == 1).x.tolist() == [2, 3]
    assert not events.select(slice(None, None, -1)).sorted
    assert events != Events(events.data, (34, 31, 2))
    assert events != "events"
    assert pickle.loads(pickle.dumps(events)) == events
