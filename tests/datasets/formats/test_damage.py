"""Truncated and altered files: a typed error that names a byte, and everything before it if asked for."""

from contextlib import suppress
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.event_files import ENDINGS, LIMITS, recording

from spikesim.datasets import Events, format_of, iter_events, read_events, salvage_events, write_events
from spikesim.datasets.formats.base import DamageError
from spikesim.errors import EventError, EventFileError

SENSOR = (128, 128, 2)
NAMES = list(LIMITS)
RECORD = {"bin40": 5, "dat": 8, "aedat2": 8, "aedat3": 8, "npy": 13}
ROWS = [(1, 2, 3, 1), (33, 33, 250, 0), (0, 0, 250, 1), (7, 32, 9000, 0), (8, 9, 70_000, 1), (10, 11, 2**23 - 1, 1)]


@pytest.fixture(params=NAMES)
def file(request, tmp_path):
    """A small file, its format and the recording in it."""
    name = request.param
    path = tmp_path / f"r.{ENDINGS.get(name, name)}"
    # An event stream takes a byte for every 127 us.
    events = recording(ROWS if name != "es" else [(x, y, t % 1000, p) for x, y, t, p in ROWS[:3]], SENSOR)
    write_events(path, events, format=name)
    return path, name, events


def read(path, **options):
    """Events, or the error."""
    try:
        return read_events(path, SENSOR, **options)
    except EventError as error:
        return error


def test_truncated_at_every_byte(file):
    path, name, events = file
    content = path.read_bytes()
    header = len(content) - len(events) * RECORD.get(name, 0)
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        got = read(path)
        if isinstance(got, Events):
            # Formats without a length cannot tell a cut between two records.
            assert name not in ("npy", "npz") and got == events.select(slice(len(got))), cut
        else:
            assert isinstance(got, EventFileError) and str(path) in str(got), cut
            if isinstance(got, DamageError):
                assert f"at byte {got.offset}" in str(got) and 0 <= got.offset <= cut
        try:
            kept, loss = salvage_events(path, SENSOR, format=name)
        except EventFileError:
            # Nothing can be said without the lines that name the camera or the columns.
            assert cut < header or name == "csv"
            continue
        assert kept == events.select(slice(len(kept))), cut
        sound = isinstance(read(path, format=name), Events)
        # What an archive lacks may be the directory behind all its members.
        assert (loss is None) == (sound if name == "npz" else len(kept) == len(events) or sound), cut
        if name in RECORD and cut >= header:
            assert len(kept) == (cut - header) // RECORD[name]
        if loss:
            assert loss.offset + loss.bytes_lost == cut and str(loss.offset) in str(loss)


def damaged(data, content):
    """Bytes with a few changes: some flipped, put in, taken out, doubled, or cut off at the end."""
    made = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        how = data.draw(st.sampled_from(["set", "flip", "insert", "remove", "double", "cut"]))
        at = data.draw(st.integers(0, max(len(made) - 1, 0)))
        if not made:
            break
        if how == "set":
            made[at] = data.draw(st.integers(0, 255))
        elif how == "flip":
            made[at] ^= 1 << data.draw(st.integers(0, 7))
        elif how == "insert":
            made[at:at] = data.draw(st.binary(min_size=1, max_size=20))
        elif how == "remove":
            del made[at : at + data.draw(st.integers(1, 20))]
        elif how == "double":
            made[at:at] = made[at : at + data.draw(st.integers(1, 40))]
        else:
            del made[at:]
    return bytes(made)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_whatever_is_damaged_is_told_and_never_more(tmp_path_factory, name, data):
    path = tmp_path_factory.mktemp("damaged") / f"r.{ENDINGS.get(name, name)}"
    rows = ROWS if name != "es" else [(x, y, t % 1000, p) for x, y, t, p in ROWS[:3]]
    write_events(path, recording(rows, SENSOR), format=name)
    path.write_bytes(damaged(data, path.read_bytes()))
    with suppress(EventFileError):
        format_of(path)
    whole = read(path, format=name)
    for row in getattr(whole, "data", ()):
        assert 0 <= row["x"] < 2**15 and 0 <= row["y"] < 2**15 and row["t"] >= 0 and row["p"] in (0, 1)
    try:
        kept, loss = salvage_events(path, SENSOR, format=name)
    except EventError as error:  # nothing can be said without the lines that name the camera or the columns
        assert not isinstance(whole, Events) and str(path) in str(error)
        return
    assert isinstance(whole, Events) == (loss is None)
    if loss is None:
        assert kept == whole
    else:
        assert 0 <= loss.offset <= path.stat().st_size and loss.offset + loss.bytes_lost <= path.stat().st_size
    for options in ({"count": 2}, {"window": 200}):
        try:
            parts = list(islice(iter_events(path, errors="salvage", sensor_size=SENSOR, format=name, **options), 9000))
        except EventError:
            assert not kept.sorted or "window" in options
            continue
        if len(parts) < 9000 and parts:
            assert np.array_equal(np.concatenate([part.data for part in parts]), kept.data)


def test_a_gap_that_nobody_wants_to_step_through(tmp_path):
    write_events(tmp_path / "r.npy", recording([(1, 1, 5, 1), (1, 1, 2**62, 1)], SENSOR))
    windows = iter_events(tmp_path / "r.npy", window=100, sensor_size=SENSOR)
    assert len(next(windows)) == 1
    with pytest.raises(EventError, match=r"the next event after 105 us is at 4611686018427387904 us, .* empty windows"):
        next(windows)
    assert [len(w) for w in iter_events(tmp_path / "r.npy", window=2**60, sensor_size=SENSOR)] == [1, 0, 0, 1]


@pytest.mark.parametrize("noise", [0, 1, 2])
@pytest.mark.parametrize("name", [*NAMES, "shd"])
def test_noise_is_no_event_file(name, noise, tmp_path):
    path = tmp_path / "noise.dat"
    path.write_bytes(np.random.default_rng(noise).bytes(999))
    with pytest.raises(EventFileError, match=r"no format that is known here.*format="):
        read_events(path)
    if name != "bin40":  # whatever bytes there are, they are 40-bit records
        with pytest.raises(EventFileError, match=r"noise\.dat"):
            read_events(path, format=name)


def test_salvage_logs_the_loss(tmp_path, caplog):
    write_events(tmp_path / "r.dat", recording(ROWS, SENSOR))
    content = (tmp_path / "r.dat").read_bytes()
    (tmp_path / "r.dat").write_bytes(content[:-3])
    assert len(read_events(tmp_path / "r.dat", errors="salvage")) == 5
    assert f"truncated at byte {len(content) - 8}; 5 bytes lost; 5 events before it are kept" in caplog.text
    with pytest.raises(EventError, match="errors is 'ignore'"):
        read_events(tmp_path / "r.dat", errors="ignore")


def test_a_bad_event_ends_what_is_salvaged(tmp_path):
    rows = [(1, 1, 5, 1), (2, 2, 6, 0), (3, 3, 7, 1)]
    path = tmp_path / "r.dat"
    write_events(path, recording(rows, SENSOR))
    content = bytearray(path.read_bytes())
    content[-9] |= 0x70  # the polarity of the second event
    path.write_bytes(bytes(content))
    with pytest.raises(EventError, match=rf"event 1 has p = 7.*byte {len(content) - 16}"):
        read_events(path)
    events, loss = salvage_events(path)
    assert (len(events), loss.offset) == (1, len(content) - 16)
    assert "event 1 has p = 7" in loss.reason


def test_windows_before_the_damage_come_first(tmp_path):
    path = tmp_path / "r.dat"
    write_events(path, recording(ROWS, SENSOR))
    path.write_bytes(path.read_bytes()[:-1])
    windows = iter_events(path, window=1000)
    assert len(next(windows)) == 3
    with pytest.raises(EventFileError, match="truncated"):
        list(windows)
    assert sum(map(len, iter_events(path, window=1000, errors="salvage"))) == 5
