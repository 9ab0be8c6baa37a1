"""NumPy's files in the layouts that other projects use, and what is refused."""

import io
import zipfile

import numpy as np
import pytest
from oracles.event_files import recording

from spikesim.datasets import iter_events, read_boxes, read_events, salvage_events, write_events
from spikesim.errors import EventError, EventFileError

SENSOR = (128, 128, 2)
ROWS = [(1, 2, 3, 1), (33, 99, 250, 0), (127, 127, 250, 1)]
EVENTS = recording(ROWS, SENSOR)
X, Y, T, P = (np.array(column) for column in zip(*ROWS, strict=True))


@pytest.mark.parametrize(
    "dtype",
    [
        [("x", "i2"), ("y", "i2"), ("p", "?"), ("t", "i8")],
        [("t", "u8"), ("x", "u2"), ("y", "u2"), ("on", "?")],
        [("timestamp", ">u4"), ("col", ">i2"), ("row", "i1"), ("polarity", "i1"), ("cluster", "u1")],
        [(("time in us", "t"), "f8"), (("column", "a"), "u1"), (("row", "b"), "u1"), ("pol", "u1")],
        [("x", "i8", (1,)), ("y", "i8", (1,)), ("t", "i8", (1,)), ("p", "i8", (1,))],
    ],
    ids=["gesture", "cifar10dvs", "big-endian", "titles", "columns-of-one"],
)
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_structured_arrays(dtype, shape, tmp_path):
    array = np.zeros(3, dtype)
    fields = {field: next(n for n in array.dtype.names if n[0] in starts) for field, starts in (
        ("x", "xca"), ("y", "yrb"), ("t", "t"), ("p", "po"))}  # fmt: skip
    for field, values in zip("xytp", (X, Y, T, P), strict=True):
        array[fields[field]] = values.reshape(array[fields[field]].shape)
    np.save(tmp_path / "r.npy", array.reshape(shape))
    assert read_events(tmp_path / "r.npy", SENSOR) == EVENTS


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "i4", "u2", ">f4"])
def test_plain_tables_with_named_columns(order, dtype, tmp_path):
    path = tmp_path / "0.npy"
    np.save(path, np.asarray(np.stack([T, X, Y, P, P * 0], 1).astype(dtype), order=order))
    assert read_events(path, SENSOR, columns="t,x,y,p,-") == EVENTS
    assert read_events(path, SENSOR, columns="txyp-") == EVENTS
    with pytest.raises(EventFileError, match=r'does not say which column is which; pass columns=.*"txyp"'):
        read_events(path, SENSOR)
    for wrong in ("txyp", "txyx-", "abcde"):
        with pytest.raises(EventError, match="columns is"):
            read_events(path, SENSOR, columns=wrong)


def test_the_time_unit_of_dvs_gesture(tmp_path):
    np.save(tmp_path / "0.npy", np.stack([X, Y, P, T / 1000], 1).astype(np.float32))
    got = read_events(tmp_path / "0.npy", SENSOR, columns="xypt", time_unit="ms")
    assert got == EVENTS
    with pytest.raises(EventError, match=r"event 0 has t = 0\.003.*a whole microsecond.*pass the time_unit"):
        read_events(tmp_path / "0.npy", SENSOR, columns="xypt")
    rounded = read_events(tmp_path / "0.npy", SENSOR, columns="xypt", rounding="nearest")
    assert rounded.t.tolist() == [0, 0, 0]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_columns_as_spikingjelly_writes_them(save, tmp_path):
    save(tmp_path / "r.npz", t=T, x=X, y=Y, p=P.astype(bool))
    assert read_events(tmp_path / "r.npz", SENSOR) == EVENTS
    assert [len(part) for part in iter_events(tmp_path / "r.npz", count=2)] == [2, 1]
    save(tmp_path / "n.npz", timestamps=T[:, None], x=X[:, None], y=Y[:, None], pol=P[:, None])
    assert read_events(tmp_path / "n.npz", SENSOR) == EVENTS
    save(tmp_path / "t.npz", data=np.stack([X, Y, P, T], 1))
    assert read_events(tmp_path / "t.npz", SENSOR, columns="xypt") == EVENTS
    save(tmp_path / "s.npz", events=EVENTS.data)
    assert read_events(tmp_path / "s.npz", SENSOR) == EVENTS


def test_polarities_of_minus_one_and_their_mixtures(tmp_path):
    np.savez(tmp_path / "r.npz", t=T, x=X, y=Y, p=P * 2 - 1)
    assert read_events(tmp_path / "r.npz", SENSOR) == EVENTS
    np.savez(tmp_path / "r.npz", t=T, x=X, y=Y, p=[1, 0, -1])
    with pytest.raises(EventError, match=r"event 2 has p = -1.*mixes 0 and -1"):
        read_events(tmp_path / "r.npz", SENSOR)


def test_pickled_objects_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    np.save(tmp_path / "r.npy", np.array([Trap()]), allow_pickle=True)
    np.savez(tmp_path / "r.npz", x=np.array([Trap()]), y=Y, t=T, p=P)
    for name in ("r.npy", "r.npz"):
        with pytest.raises(EventFileError, match="pickled objects, which are never loaded"):
            read_events(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": Y, "t": T}, "holds x, y, t; expected arrays x, y, t and p, or a single one"),
        ({"x": X[:2], "y": Y, "t": T, "p": P}, "expected numbers, one for each event"),
        ({"x": X.astype(str), "y": Y, "t": T, "p": P}, "expected numbers"),
        ({"a": np.zeros((3, 4, 5))}, "an array of shape|expected a structured one or numbers"),
        ({"x": np.float64(3), "y": Y, "t": T, "p": P}, r"an array of shape \(\)"),
        ({"x": X, "y": Y, "t": T, "p": P, "sensor_size": [1, 2]}, "a sensor_size that is not three integers"),
        ({"x": X + 0.5, "y": Y, "t": T, "p": P}, r"event 0 has x = 1\.5; expected a whole number"),
        ({"x": X, "y": Y, "t": [3, np.nan, 5], "p": P}, "event 1 has t = nan"),
    ],
)
def test_archives_of_other_things_are_refused(arrays, message, tmp_path):
    np.savez(tmp_path / "r.npz", **arrays)
    with pytest.raises(EventError, match=message):
        read_events(tmp_path / "r.npz", SENSOR)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4), complex), "expected a structured one or numbers"),
        (np.zeros((3, 4, 1)), "expected a structured one or numbers"),
        (np.zeros(3, [("x", int), ("y", int)]), "has the fields x, y; t, p missing"),
        (np.zeros(3, [("x", int), ("y", int), ("t", "U5"), ("p", int)]), "expected one number in each field"),
        (np.zeros((2, 2), EVENTS.data.dtype), "expected one number in each field"),
    ],
)
def test_arrays_of_other_things_are_refused(array, message, tmp_path):
    np.save(tmp_path / "r.npy", array)
    with pytest.raises(EventFileError, match=message):
        read_events(tmp_path / "r.npy")


def test_a_damaged_member_of_an_archive_is_not_believed(tmp_path):
    path = tmp_path / "r.npz"
    write_events(path, EVENTS)
    content = bytearray(path.read_bytes())
    at = content.index(T.astype("<i8").tobytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(EventFileError, match=r"a broken member .*CRC"):
        read_events(path)
    with pytest.raises(EventFileError, match=r"a broken member .*CRC"):
        list(iter_events(path, count=2))
    events, loss = salvage_events(path)
    assert len(events) == 0 and "CRC" in loss.reason and loss.offset == content.index(b"PK", at - 200)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.npy", b"no array")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(EventFileError, match="no header of a NumPy array"):
        read_events(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_an_archive_still_gives_is_salvaged(save, tmp_path):
    rng = np.random.default_rng(0)
    n = 4000
    columns = {"t": np.sort(rng.integers(0, 10**6, n)), "x": rng.integers(0, 128, n), "y": rng.integers(0, 128, n)}
    path = tmp_path / "r.npz"
    save(path, **columns, p=rng.integers(0, 2, n), note=np.arange(3))
    whole, content = read_events(path, SENSOR), path.read_bytes()
    note = content.index(b"note.npy") - 30
    last = content.index(b"p.npy", content.index(b"y.npy")) - 30

    def salvaged(changed, **options):
        path.write_bytes(changed)
        with pytest.raises(EventFileError):
            read_events(path, SENSOR, **options)
        return salvage_events(path, SENSOR, **options)

    events, loss = salvaged(content[: note + 150])  # inside a member that is not needed, and no directory
    assert events == whole and note <= loss.offset <= note + 150
    events, loss = salvaged(content[: content.rindex(b"PK\x01\x02")])  # the directory
    assert events == whole and loss.bytes_lost > 0
    events, loss = salvaged(content[: (last + note) // 2])  # inside the last column
    assert 0.3 * n < len(events) < 0.7 * n and events == whole.select(slice(len(events)))
    assert last <= loss.offset and loss.offset + loss.bytes_lost == (last + note) // 2
    events, loss = salvaged(content[: last - 5])  # before it
    assert len(events) == 0 and loss.offset < last
    broken = bytearray(content)
    broken[note + 70] ^= 255
    events, loss = salvaged(bytes(broken))
    assert events == whole and loss.offset == note
    path.write_bytes(bytes(broken))
    assert sum(map(len, iter_events(path, count=900, sensor_size=SENSOR, errors="salvage"))) == n


BOXES = [("ts", "u8"), *((name, "f4") for name in "xywh"), ("class_id", "u1"), ("confidence", "f4"), ("track_id", "u4")]


@pytest.mark.parametrize("names", [{}, {"ts": "t", "confidence": "class_confidence"}], ids=["gen1", "1mpx"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_boxes_in_both_spellings(names, count, tmp_path):
    rows = [(k * 1000, 1.5, 2, 30, 40, k % 2, 1, 2**32 - 1) for k in range(count)]
    np.save(tmp_path / "a_bbox.npy", np.array(rows, [(names.get(name, name), kind) for name, kind in BOXES]))
    boxes = read_boxes(tmp_path / "a_bbox.npy")
    assert boxes.tolist() == rows
    assert boxes.dtype.names == ("t", "x", "y", "w", "h", "class_id", "confidence", "track_id")


def test_boxes_that_are_none(tmp_path):
    path = tmp_path / "a_bbox.npy"
    good = np.array([(0, 1, 2, 3, 4, 0, 1, 1), (9, np.nan, 2, 3, 4, 0, 1, 1)], BOXES)
    np.save(path, good)
    with pytest.raises(EventFileError, match="event 1 has x = nan"):
        read_boxes(path)
    np.save(path, EVENTS.data)
    with pytest.raises(EventFileError, match="without w, h, class_id, confidence, track_id"):
        read_boxes(path)
    np.save(path, good[:1])
    for cut in range(path.stat().st_size):
        path.write_bytes(path.read_bytes()[:cut]) if cut else path.write_bytes(b"")
        with pytest.raises(EventFileError):
            read_boxes(path)
        np.save(path, good[:1])
