"""Prophesee's raw files against slow encoders, expelliarmus and, where it is installed, evt3."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.checked_process import run_checked
from oracles.event_files import recording
from oracles.evt_files import evt2, evt3, evt21, header

from spikesim.datasets import Events, format_of, iter_events, read_events, salvage_events
from spikesim.errors import EventError, EventFileError

SIZE = (1280, 720, 2)
ENCODERS = {
    "evt2": ("2.0", evt2, {}, 34),
    "evt21": ("2.1", evt21, {"endianness": "little"}, 34),
    "evt21-legacy": ("2.1", lambda rows: evt21(rows, legacy=True), {"endianness": "legacy"}, 34),
    "evt21-unsaid": ("2.1", lambda rows: evt21(rows, legacy=True), {}, 34),
    "evt21-unsaid-little": ("2.1", evt21, {}, 34),
    "evt3": ("3.0", evt3, {}, 24),
    "evt3-plain": ("3.0", lambda rows: evt3(rows, vectors=False), {}, 24),
}
# Dense rows, so that vectors occur; gaps below half of what the high bits of EVT 3.0 count.
event = st.tuples(
    st.integers(0, 40) | st.just(1279), st.sampled_from([0, 7, 719]), st.integers(0, 90), st.integers(0, 1)
)
streams = st.lists(event, max_size=60).flatmap(
    lambda rows: st.tuples(st.just(rows), st.sampled_from([0, 2**12 - 40, 2**24 - 50, 2**20 + 7]))
)


def sorted_rows(rows, start):
    return sorted({(x, y, t + start, p) for x, y, t, p in rows}, key=lambda row: (row[2], row[1], row[3], row[0]))


@pytest.mark.parametrize("name", ENCODERS)
@given(stream=streams)
def test_every_event_comes_back(name, stream, tmp_path_factory):
    version, encode, extra, _ = ENCODERS[name]
    rows = sorted_rows(*stream)
    if name.startswith("evt3"):
        # 24 bits of time: a recording that begins later says nothing of the turns before it.
        rows = [(x, y, t, p) for x, y, t, p in rows if rows[0][2] // 2**24 == 0]
    path = tmp_path_factory.mktemp("evt") / "r.raw"
    path.write_bytes(header(version, **extra) + encode(rows))
    assert format_of(path).name == name.split("-")[0]
    assert read_events(path) == recording(rows, SIZE)
    assert [len(part) for part in iter_events(path, count=1000)] == ([len(rows)] if rows else [])


@pytest.mark.parametrize("name", ENCODERS)
def test_times_count_on_after_an_overflow(name, tmp_path):
    version, encode, extra, bits = ENCODERS[name]
    step = 2 ** (bits - 3)
    rows = [(5, 6, k * step + k, k % 2) for k in range(20)]
    (tmp_path / "r.raw").write_bytes(header(version, **extra) + encode(rows))
    assert read_events(tmp_path / "r.raw") == recording(rows, SIZE)


def many(n=30_000):
    rng = np.random.default_rng(0)
    x, y, t = rng.integers(0, 64, n), rng.integers(0, 720, n), np.sort(rng.integers(0, 2**23, n))
    return sorted(
        set(zip(x.tolist(), y.tolist(), t.tolist(), rng.integers(0, 2, n).tolist(), strict=True)), key=lambda r: r[2]
    )


def test_expelliarmus_reads_the_same(tmp_path):
    # Of EVT 2.0; of EVT 3.0 it counts the turns of the lower 12 bits twice where the upper ones come first.
    from expelliarmus import Wizard

    path = tmp_path / "r.raw"
    path.write_bytes(header("2.0") + evt2(many()))
    assert Events(Wizard(encoding="evt2").read(str(path)), SIZE) == read_events(path)


@pytest.mark.parametrize("name", ["evt3", "evt3-plain"])
def test_evt3_reads_the_same(name, tmp_path):
    evt3_library = pytest.importorskip("evt3")
    path = tmp_path / "r.raw"
    path.write_bytes(header("3.0") + ENCODERS[name][1](many()))
    theirs = evt3_library.decode_file(str(path))
    ours = read_events(path)
    assert np.array_equal(theirs.x, ours.x) and np.array_equal(theirs.y, ours.y)
    assert np.array_equal(theirs.timestamp, ours.t) and np.array_equal(theirs.polarity, ours.p)


def test_events_before_the_first_time_and_triggers_are_counted(tmp_path, caplog):
    caplog.set_level("INFO")
    early = evt2([(1, 2, 3, 1)], start=0)
    trigger = (10 << 28).to_bytes(4, "little")
    (tmp_path / "r.raw").write_bytes(header("2.0") + early + trigger + evt2([(3, 4, 70, 0)]))
    assert read_events(tmp_path / "r.raw").data.tolist() == [(3, 4, 70, 0)]
    assert "skipped 1 events before the first time, 1 external triggers" in caplog.text


@pytest.mark.parametrize("name", ["evt2", "evt21", "evt3"])
def test_truncated_at_every_byte(name, tmp_path):
    version, encode, extra, _ = ENCODERS[name]
    rows = [(5, 6, 10, 0), (6, 6, 10, 0), (9, 6, 10, 0), (300, 8, 5000, 1), (301, 8, 5000, 0)]
    content = header(version, **extra) + encode(rows)
    path = tmp_path / "r.raw"
    whole = recording(rows, SIZE)
    word = {"evt2": 4, "evt21": 8, "evt3": 2}[name]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        try:
            got, raised = read_events(path, SIZE), None
        except EventFileError as error:
            got, raised = None, error
        start = len(header(version, **extra))
        assert cut < start or (raised is None) == ((cut - start) % word == 0)
        try:
            kept, loss = salvage_events(path, SIZE, format=name)
        except EventError:
            assert cut < start
            continue
        assert kept == whole.select(slice(len(kept)))
        assert got is None or got == kept
        assert (loss is None) == (raised is None) or cut < start


def test_an_event_outside_the_sensor_names_its_word(tmp_path):
    content = header("2.0", (64, 64)) + evt2([(3, 4, 5, 0), (99, 4, 6, 1)])
    (tmp_path / "r.raw").write_bytes(content)
    with pytest.raises(EventError, match=rf"event 1 has x = 99.*sensor 64 x 64.*byte {len(content) - 4}\)"):
        read_events(tmp_path / "r.raw")
    with pytest.raises(EventError, match="camera means nothing for Prophesee raw, EVT 2"):
        read_events(tmp_path / "r.raw", camera="dvs128")


@given(content=st.binary(max_size=400), name=st.sampled_from(["evt2", "evt21", "evt3"]))
def test_any_words_at_all(content, name, tmp_path_factory):
    path = tmp_path_factory.mktemp("evt") / "r.raw"
    path.write_bytes(header({"evt2": "2.0", "evt21": "2.1", "evt3": "3.0"}[name], (2048, 2048)) + content)
    events = salvage_events(path, (2048, 2048, 2)).events
    assert len(events) <= 6 * len(content)


def test_kernels_stay_inside_their_arrays(tmp_path):
    code = (
        "import numpy as np; from spikesim.datasets.formats import es, evt_kernels as k\n"
        "r = np.random.default_rng(0)\n"
        "for room in (0, 3, 99999):\n"
        "    c = [np.empty(room, d) for d in ('u2', 'u2', 'i8', 'u1', 'i8')]\n"
        "    w = r.integers(0, 2**32, (999, 2), dtype=np.uint32)\n"
        "    k.decode2(w[:, 0], np.zeros(k.STATE, np.int64), *c)\n"
        "    k.decode21(w[:, 0], w[:, 1], np.zeros(k.STATE, np.int64), *c)\n"
        "    k.decode3(w[:, 0].astype(np.uint16), np.zeros(k.STATE, np.int64), *c)\n"
        "    for cut in range(9):\n"
        "        es._decode(r.integers(0, 254, 900 + cut, dtype=np.uint8), 0, *c)\n"
        "        es._decode(np.full(cut, 255, np.uint8), 0, *c)\n"
    )
    run_checked(code, tmp_path)
