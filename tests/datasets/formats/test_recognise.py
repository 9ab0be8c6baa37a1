"""Which format a file is: by its content, and a clear refusal where that does not tell."""

import pytest
from oracles.event_files import ENDINGS, LIMITS, recording

from spikesim.datasets import format_of, iter_events, read_boxes, read_events, salvage_events, write_events
from spikesim.errors import EventError, EventFileError

ROWS = [(1, 2, 3, 1), (30, 33, 250, 0)]
NAMES = list(LIMITS)
READERS = [read_events, salvage_events, format_of, read_boxes, lambda path: list(iter_events(path, window=5))]


def test_content_counts_more_than_the_ending(tmp_path):
    for name in ("dat", "aedat2", "aedat3", "npy", "npz"):
        for ending in (*ENDINGS.values(), "dat", "csv", "npz", "raw", ""):
            path = tmp_path / f"{name}.{ending}"
            write_events(path, recording(ROWS, (34, 34, 2)), format=name)
            assert format_of(path).name == name


@pytest.mark.parametrize("name", ["bin40", "csv"])
def test_where_content_does_not_prove_it_the_ending_must_agree(name, tmp_path):
    path = tmp_path / "r.data"
    write_events(path, recording(ROWS, (34, 34, 2)), format=name)
    with pytest.raises(EventFileError, match=rf"does not tell.*its ending is '\.data'.*format=\"{name}\""):
        read_events(path)
    assert len(read_events(path, (34, 34, 2), format=name)) == 2


def test_a_40_bit_file_that_begins_like_a_header(tmp_path):
    # "% " are x = 37 and y = 32
    rows = [(37, 32, t, t % 2) for t in range(0, 9000, 300)]
    write_events(tmp_path / "r.bin", recording(rows, (240, 180, 2)))
    assert (tmp_path / "r.bin").read_bytes().startswith(b"% ")
    assert format_of(tmp_path / "r.bin").name == "bin40"


@pytest.mark.parametrize("reader", READERS)
def test_files_that_are_none(reader, tmp_path):
    with pytest.raises(EventFileError, match=r"none\.dat: cannot be read .No such file"):
        reader(tmp_path / "none.dat")
    with pytest.raises(EventFileError, match=r"'a.x00b.csv': cannot be read .embedded null"):
        format_of("a\0b.csv")
    with pytest.raises(EventFileError, match=r"cannot be read .Is a directory"):
        reader(tmp_path)
    (tmp_path / "empty.dat").touch()
    with pytest.raises(EventFileError, match=r"empty\.dat: "):
        reader(tmp_path / "empty.dat")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_no_bytes(name, tmp_path):
    path = tmp_path / f"r.{ENDINGS.get(name, name)}"
    path.touch()
    if name == "bin40":
        assert len(read_events(path)) == 0  # how a recording without events is written
        return
    with pytest.raises(EventFileError, match=r"is empty \(0 bytes\)"):
        read_events(path)
    if name != "csv":
        with pytest.raises(EventFileError, match=r"r\."):
            read_events(path, format=name)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"#!AER-DAT3.0\r\n", "AEDAT 3.0"),
        (b"#!AER-DAT1.0\r\n", "AEDAT 1.0"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x1f\x8b\x08", "gzip: unpack"),
    ],
)
def test_known_formats_that_are_not_read_are_named(head, what, tmp_path):
    (tmp_path / "r.bin").write_bytes(head + bytes(64))
    with pytest.raises(EventFileError, match=f"looks like .*{what}"):
        read_events(tmp_path / "r.bin")


def test_wrong_names_and_needless_options_are_refused(tmp_path):
    path = tmp_path / "r.dat"
    write_events(path, recording(ROWS, (34, 34, 2)))
    with pytest.raises(EventError, match=r"format is 'dta'; expected one of bin40"):
        read_events(path, format="dta")
    with pytest.raises(EventError, match="camera, columns means nothing for Prophesee DAT"):
        read_events(path, camera="dvs128", columns="txyp")
    with pytest.raises(EventError, match=r"no format is written as '\.xyz'; expected one of \.aedat"):
        write_events(tmp_path / "r.xyz", recording(ROWS, (34, 34, 2)))
    with pytest.raises(EventError, match="is read but not written"):
        write_events(tmp_path / "r.h5", recording(ROWS, (34, 34, 2)), format="shd")
    with pytest.raises(EventFileError, match="no header of a NumPy array at byte 0"):
        read_events(path, format="npy")


def test_the_ending_decides_what_is_written(tmp_path):
    for ending, name in (("bin", "bin40"), ("aedat", "aedat3"), ("aedat2", "aedat2"), ("txt", "csv"), ("tsv", "csv")):
        write_events(tmp_path / f"r.{ending}", recording(ROWS, (34, 34, 2)))
        assert format_of(tmp_path / f"r.{ending}").name == name
        assert read_events(tmp_path / f"r.{ending}", (34, 34, 2)) == recording(ROWS, (34, 34, 2))
