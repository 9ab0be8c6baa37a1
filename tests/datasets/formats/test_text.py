"""Text in the ways that people write it, and lines that are no events."""

import numpy as np
import pytest
from oracles.event_files import recording

from spikesim.datasets import Events, read_events, salvage_events, write_events
from spikesim.errors import EventError, EventFileError

SENSOR = (128, 128, 2)
ROWS = [(1, 2, 3, 1), (33, 99, 250, 0), (127, 127, 2**60 + 1, 1)]
EVENTS = recording(ROWS, SENSOR)


@pytest.mark.parametrize(
    "content",
    [
        "t,x,y,p\n3,1,2,1\n250,33,99,0\n1152921504606846977,127,127,1\n",
        "# made by hand\nt,x,y,p\r\n3,1,2,1\r\n\r\n250,33,99,0\r\n# between\r\n1152921504606846977,127,127,1",
        "x;y;pol;time\n1;2;1;3\n33;99;-1;250\n127;127;1;1152921504606846977\n",
        '"timestamp"\t"col"\t"row"\t"cluster"\t"on"\n3\t1\t2\t9\t1\n250\t33\t99\t9\t0\n1152921504606846977\t127\t127\t9\t1',
        "\ufefft x y p\n3 1 2 1\n250   33 99 0\n1152921504606846977 127 127 1\n",
        "# t x y p\n3 1 2 1\n250 33 99 0\n1152921504606846977 127 127 1\n",
    ],
    ids=["plain", "crlf-and-comments", "semicolons", "tabs-and-quotes", "bom-and-spaces", "savetxt"],
)
def test_headers_delimiters_and_comments(content, tmp_path):
    (tmp_path / "r.csv").write_bytes(content.encode())
    assert read_events(tmp_path / "r.csv", SENSOR) == EVENTS


def test_columns_named_by_the_caller(tmp_path):
    path = tmp_path / "events.txt"
    path.write_text("0.000003 1 2 1\n0.000250 33 99 0\n")
    with pytest.raises(EventFileError, match=r"there is no header.*columns='txyp'"):
        read_events(path)
    got = read_events(path, SENSOR, columns="txyp", time_unit="s")
    assert got == EVENTS.select(slice(2))
    path.write_text("3|1|2|1\n")
    assert len(read_events(path, SENSOR, columns="txyp", delimiter="|", format="csv")) == 1
    path.write_text("a,b,c,d\n3,1,2,1\n")
    with pytest.raises(EventFileError, match="the header 'a,b,c,d' does not name"):
        read_events(path, format="csv")


def test_numpys_own_text(tmp_path):
    table = np.stack([EVENTS.data[name][:2].astype(np.int64) for name in "xytp"], 1)
    for options in ({}, {"delimiter": ","}, {"fmt": "%d"}):
        np.savetxt(tmp_path / "r.txt", table, header="x y t p", **options)
        assert read_events(tmp_path / "r.txt", SENSOR) == EVENTS.select(slice(2))


@pytest.mark.parametrize(
    "line",
    [
        "x,y,z,w",
        "3,1,2",
        "3,1,2,1e",
        "3,1,,1",
        "99999999999999999999999999,1,2,99999999999999999999999",
        "\x00\x01",
        "inf,1,2,1",
    ],
)
@pytest.mark.parametrize("before", [0, 1, 70])
def test_a_line_that_is_no_event(line, before, tmp_path):
    path = tmp_path / "r.csv"
    head = "t,x,y,p\n" + "".join(f"{k},1,2,1\n" for k in range(before))
    path.write_text(head + line + "\n900,1,2,1\n")
    with pytest.raises(EventError, match=rf"byte {len(head)}") as caught:
        read_events(path, SENSOR, format="csv")
    assert isinstance(caught.value, EventFileError) or "event" in str(caught.value)
    events, loss = salvage_events(path, SENSOR, format="csv")
    assert len(events) == before and loss.offset == len(head)
    assert loss.bytes_lost == path.stat().st_size - len(head)


def test_an_endless_line(tmp_path):
    (tmp_path / "r.csv").write_text("t,x,y,p\n" + "1" * 2_000_000)
    with pytest.raises(EventFileError, match="a line of more than 65536 bytes at byte 8"):
        read_events(tmp_path / "r.csv")


def test_what_is_written(tmp_path):
    events = recording(ROWS[:2], SENSOR)
    write_events(tmp_path / "r.csv", events)
    assert (tmp_path / "r.csv").read_text() == "# sensor_size: 128 128 2\nt,x,y,p\n3,1,2,1\n250,33,99,0\n"
    write_events(tmp_path / "r.txt", Events.empty((7, 5, 1)))
    assert (tmp_path / "r.txt").read_text() == "# sensor_size: 7 5 1\nt x y p\n"
    assert read_events(tmp_path / "r.txt") == Events.empty((7, 5, 1))
