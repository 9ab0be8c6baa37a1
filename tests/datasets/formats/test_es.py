"""Event streams against the library of their authors, where it is installed."""

import numpy as np
import pytest
from oracles.event_files import recording

from spikesim.datasets import Events, format_of, iter_events, read_events, salvage_events, write_events
from spikesim.datasets.formats import base
from spikesim.errors import EventError, EventFileError

ROWS = [(1, 0, 0, 0), (2, 0, 126, 1), (3, 5, 126 + 127, 0), (4, 9, 126 + 127, 1), (319, 239, 100_000, 0)]
EVENTS = recording(ROWS, (320, 240, 2))


def test_the_authors_library_reads_ours_and_we_theirs(tmp_path):
    library = pytest.importorskip("event_stream")
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 320, 5000), rng.integers(0, 240, 5000), np.sort(rng.integers(0, 10**7, 5000))
    for events in (EVENTS, Events.from_columns(*columns, rng.integers(0, 2, 5000), (320, 240, 2))):
        write_events(tmp_path / "a.es", events)
        decoder = library.Decoder(str(tmp_path / "a.es"))
        assert (decoder.type, decoder.width, decoder.height) == ("dvs", 320, 240)
        assert Events(np.concatenate(list(decoder)), (320, 240, 2)) == events
        with library.Encoder(str(tmp_path / "b.es"), "dvs", 320, 240) as encoder:
            encoder.write(events.to_structured(library.dvs_dtype))
        assert (tmp_path / "b.es").read_bytes() == (tmp_path / "a.es").read_bytes()
        assert read_events(tmp_path / "b.es") == events


def test_damage_and_other_types(tmp_path):
    path = tmp_path / "r.es"
    write_events(path, EVENTS)
    content = path.read_bytes()
    assert format_of(path).name == "es"
    path.write_bytes(content[:30] + b"\xfe" + content[30:])
    with pytest.raises(EventFileError, match="a byte of 254, which is no step at byte 30"):
        read_events(path)
    assert salvage_events(path).events == EVENTS.select(slice(2))
    path.write_bytes(content[:15] + b"\x02" + content[16:])
    with pytest.raises(EventFileError, match="version 2 and type ATIS; expected version 2 with DVS events"):
        read_events(path)
    path.write_bytes(content[:-3] + b"\x05" + content[-2:])
    with pytest.raises(EventError, match=rf"event 4 has x = 1343.*byte {len(content) - 5}\)"):
        read_events(path)


@pytest.mark.parametrize("missing", [5, 6, 100, 780])
def test_steps_that_lead_to_no_event_tell_that_the_end_is_missing(missing, tmp_path, monkeypatch):
    """The last event of EVENTS comes after 785 bytes of 255."""
    path = tmp_path / "cut.es"
    write_events(path, EVENTS)
    content = path.read_bytes()
    begin = content.index(b"\xff" * 700)
    for chunk in (64, 2**21):
        monkeypatch.setattr(base, "CHUNK_BYTES", chunk)
        path.write_bytes(content[:-missing])
        with pytest.raises(EventFileError, match=f"truncated at byte {begin}: the event that the last steps lead to"):
            list(iter_events(path, window=50))
        assert salvage_events(path).events == EVENTS.select(slice(4))
