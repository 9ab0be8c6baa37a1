"""Whether a dataset is whole: checksums of its archives, and what reading every recording shows."""

import hashlib

import pytest
import tonic.datasets

from spikesim.datasets import Events, load, write_bin
from spikesim.datasets.catalog import CATALOG, archives, examine, verify
from spikesim.errors import DatasetError


def _write(path, times, sensor=(34, 34, 2)):
    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(times)
    write_bin(path, Events.from_columns(range(n), [0] * n, times, [1] * n, sensor))


def test_the_archives_are_tonics():
    assert [a.name for a in archives(CATALOG["nmnist"])] == ["train.zip", "test.zip"]
    assert [a.md5 for a in archives(CATALOG["dvsgesture"])] == [
        tonic.datasets.DVSGesture.train_md5, tonic.datasets.DVSGesture.test_md5,
    ]  # fmt: skip
    assert len(archives(CATALOG["ssc"])) == 3 and archives(CATALOG["ssc"])[1].url.endswith("/ssc_valid.h5.zip")
    assert archives(CATALOG["ncars"]) == []
    counts = {name: len(archives(CATALOG[name])) for name in ("smnist", "dsec", "davisdata", "mvsec", "vpr", "tumvie")}
    assert counts == {"smnist": 4, "dsec": 53, "davisdata": 25, "mvsec": 20, "vpr": 12, "tumvie": 63}
    assert archives(CATALOG["smnist"])[0].size == 9912422 and archives(CATALOG["nmnist"])[0].size is None
    for entry in CATALOG.values():
        assert all(
            len(a.md5) == (0 if entry.name in ("dsec", "tumvie", "nerdd") else 32)
            and a.name
            and (a.url.startswith("http") or entry.name == "pokerdvs")
            for a in archives(entry)
        )


def test_archives_are_compared_by_their_content(tmp_path, monkeypatch):
    (tmp_path / "NMNIST").mkdir()
    (tmp_path / "NMNIST" / "train.zip").write_bytes(b"whole")
    (tmp_path / "test.zip").write_bytes(b"cut")
    monkeypatch.setattr(tonic.datasets.NMNIST, "train_md5", hashlib.md5(b"whole").hexdigest())
    read = []
    found = verify(CATALOG["nmnist"], tmp_path, read.append)
    assert [v.status for v in found] == ["ok", "differs"] and sum(read) == 8
    assert [v.status for v in verify(CATALOG["nmnist"], tmp_path / "nowhere")] == ["missing", "missing"]
    with pytest.raises(DatasetError, match="no checksum of ncars"):
        verify(CATALOG["ncars"], tmp_path)


def test_a_dead_host_gives_the_files_and_their_checksums(tmp_path, monkeypatch):
    def dead(self, *args, **kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr(tonic.datasets.NMNIST, "download", dead)
    with pytest.raises(DatasetError) as caught:
        load("nmnist", tmp_path, download=True)
    message = str(caught.value)
    assert "Name or service not known" in message and tonic.datasets.NMNIST.test_md5 in message
    assert f"{tmp_path}/NMNIST" in message and "NMNIST/{Train,Test}/<digit>/*.bin" in message
    assert "train.zip   size not published   md5 20959b8e" in message and "All of it: 1.1 GB compressed" in message
    with pytest.raises(DatasetError, match="cannot be downloaded here"):
        load("ncars", tmp_path, download=True)


def test_every_dead_host_names_what_was_wanted(tmp_path, monkeypatch):
    def dead(*args, **kwargs):
        raise OSError("no route to host")

    import tonic.download_utils as wires

    names = ("dsec", "davisdataset", "mvsec", "s_mnist", "tum_vie", "visual_place_recognition")
    for module in (wires, tonic.dataset, *(getattr(tonic.datasets, name) for name in names)):
        for kind in ("download_url", "download_and_extract_archive"):
            monkeypatch.setattr(module, kind, dead, raising=False)
    monkeypatch.setattr(tonic.datasets.ntidigits18.requests, "get", dead)
    for entry in CATALOG.values():
        if entry.tonic is None:
            continue
        with pytest.raises(DatasetError) as caught:
            load(entry.name, tmp_path / entry.name, download=True)
        message = str(caught.value)
        first = archives(entry)[0]
        assert first.name in message and (first.md5 in message if first.md5 else "md5 not published" in message)
        assert ("size not published" in message or f"{first.size} bytes" in message) and entry.layouts[
            0
        ].expected in message
        assert str(entry.home(tmp_path / entry.name)) in message


def test_a_file_without_a_published_checksum_is_there_but_unchecked(tmp_path):
    with pytest.raises(DatasetError, match="no checksum of dsec"):
        verify(CATALOG["dsec"], tmp_path)
    for archive in archives(CATALOG["vpr"])[:1]:
        (tmp_path / "VPR").mkdir()
        (tmp_path / "VPR" / archive.name).write_bytes(b"other")
    assert [v.status for v in verify(CATALOG["vpr"], tmp_path)][:2] == ["differs", "missing"]


def test_what_is_odd_is_said(tmp_path):
    _write(tmp_path / "Train" / "0" / "1.bin", [1, 5, 9])
    _write(tmp_path / "Train" / "0" / "2.bin", [])
    _write(tmp_path / "Train" / "1" / "3.bin", [9, 5])
    _write(tmp_path / "Test" / "1" / "4.bin", [1, 5, 9])
    cut = tmp_path / "Test" / "1" / "5.bin"
    _write(cut, [4, 5])
    cut.write_bytes(cut.read_bytes()[:-1])
    found = examine(load("nmnist", tmp_path, "all"))
    text = "\n".join(found.findings)
    assert "1 recordings hold no event: 2.bin" in text
    assert "not in order of time: 3.bin" in text
    assert "2 recordings hold the same events, on both sides of the official split (test, train): 1.bin, 4.bin" in text
    assert "3 recordings of the train part, but 60000 were published" in text
    assert "no recording of 2, 3, 4, 5, 6 ..." in text
    assert list(found.unreadable) == ["5.bin"] and not found.sound
    assert found.recordings == {"train": 3, "test": 2} and found.events == (0, 2.5, 3)


def test_a_sound_dataset_has_no_findings(tmp_path, monkeypatch):
    for digit in range(10):
        _write(tmp_path / "Train" / str(digit) / "1.bin", [1, 5 + digit])
        _write(tmp_path / "Test" / str(digit) / "2.bin", [2, 50 + digit])
    dataset = load("nmnist", tmp_path, "all")
    object.__setattr__(dataset.layout, "counts", {"train": 10, "test": 10})
    try:
        found = examine(dataset)
    finally:
        object.__setattr__(dataset.layout, "counts", {"train": 60000, "test": 10000})
    assert found.sound and found.on_share == 1.0 and found.per_class["7"] == 2
