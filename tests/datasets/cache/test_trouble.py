"""Damage, full disks, folders that cannot be written, leftovers, limits, and entries in use."""

import errno
import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spikesim.datasets import CachedFrames, FrameDataset, Frames, load
from spikesim.datasets.cache import cache_entries, clear_cache, failures, folder, locks, upkeep, verify_cache
from spikesim.datasets.cache import entry as entry_files
from spikesim.errors import CacheError, ConfigError, DatasetError

FRAMES = Frames(2)


@pytest.fixture(autouse=True)
def _warn_anew():
    failures.warn_once.cache_clear()


def expected(train):
    return FrameDataset(train, FRAMES).steps


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def other_schema(path):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "schema": 99}))


def other_samples(path):
    content = json.loads(path.read_text())
    content["entry"]["samples"] += 1
    path.write_text(json.dumps(content))


def no_array(path):
    path.write_bytes(b"x" * path.stat().st_size)


DAMAGE = [
    ("frames.raw", cut, "bytes, not"),
    ("frames.raw", os.unlink, "is missing"),
    ("labels.npy", cut, "bytes, not"),
    ("lengths.npy", no_array, "cannot be opened"),
    ("manifest.json", cut, "cannot be read"),
    ("manifest.json", os.unlink, "is missing"),
    ("manifest.json", other_schema, "schema 99, not 1"),
    ("manifest.json", other_samples, "differs from its checksum"),
]


@pytest.mark.parametrize(("name", "damage", "message"), DAMAGE)
def test_damage_is_seen_at_opening_and_mended_with_one_warning(train, root, caplog, name, damage, message):
    path = CachedFrames(train, FRAMES, root=root).path
    damage(path / name)
    assert [bool(one.damage) for one in verify_cache(root)] == [True]
    mended = CachedFrames(train, FRAMES, root=root)
    assert np.array_equal(mended.steps, expected(train)) and mended.path == path
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1 and message in warnings[0] and "made anew" in warnings[0]
    assert [one.damage for one in verify_cache(root)] == [""] and not list(root.glob("*.part"))


def test_an_entry_under_another_name_is_not_taken(train, root, caplog):
    path = CachedFrames(train, FRAMES, root=root).path
    path.rename(root / ("0" * 32))
    assert cache_entries(root)[0].damage.startswith("it is the entry")
    other = CachedFrames(train, Frames(3), root=root).path
    other.rename(path)
    assert np.array_equal(CachedFrames(train, FRAMES, root=root).steps, expected(train))
    assert "is damaged (it is the entry" in caplog.text


def test_a_flipped_bit_is_found_by_verify(train, root):
    path = CachedFrames(train, FRAMES, root=root).path
    content = bytearray((path / "frames.raw").read_bytes())
    content[1000] ^= 1
    (path / "frames.raw").write_bytes(content)
    assert cache_entries(root)[0].damage == ""  # of the right size
    seen = []
    assert [one.damage for one in verify_cache(root, seen.append)] == ["frames.raw differs from its checksum"]
    assert sum(seen) == cache_entries(root)[0].bytes > len(content)


@pytest.mark.parametrize("name", ["frames.raw", "lengths.npy", "manifest.json"])
def test_a_full_disk_is_told_and_leaves_nothing(train, root, monkeypatch, name):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")

    def on_a_full_disk(path, *rest, **more):
        return open("/dev/full" if os.path.basename(path) == name else path, *rest, **more)

    monkeypatch.setattr(entry_files, "open", on_a_full_disk, raising=False)
    with pytest.raises(CacheError, match=r"the disk is full \(No space left on device\); free some space") as raised:
        CachedFrames(train, FRAMES, root=root)
    assert isinstance(raised.value, OSError)
    assert cache_entries(root) == [] and not list(root.glob("*.part"))
    monkeypatch.undo()
    assert np.array_equal(CachedFrames(train, FRAMES, root=root).steps, expected(train))


def test_a_folder_that_cannot_be_written_costs_time_only(train, root, monkeypatch, caplog):
    kept = CachedFrames(train, FRAMES, root=root)

    def refused(path, *rest, **more):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("pathlib.Path.mkdir", refused)
    monkeypatch.setattr("os.utime", refused)
    assert CachedFrames(train, FRAMES, root=root).path == kept.path  # what is there is used
    assert caplog.text == ""
    for _ in range(2):
        memory = CachedFrames(train, Frames(3), root=root)
        assert memory.path is None and "in memory" in repr(memory)
        assert np.array_equal(memory.steps, FrameDataset(train, Frames(3)).steps)
        copy = pickle.loads(pickle.dumps(memory))
        assert np.array_equal(copy.steps, memory.steps) and copy.account == memory.account
    assert caplog.text.count("frames are kept in memory only") == 1 and "Read-only file system" in caplog.text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission_costs_time_only(train, root):
    root.mkdir(mode=0o500)
    assert CachedFrames(train, FRAMES, root=root).path is None


def test_a_folder_that_is_none_is_told(train, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CacheError, match=r"file cannot hold a cache .*expected a folder that can be written"):
        CachedFrames(train, FRAMES, root=tmp_path / "file")
    with pytest.raises(CacheError, match="cannot hold a cache"):
        CachedFrames(train, FRAMES, root=tmp_path / "file" / "below")


@pytest.mark.parametrize("limit", ["much", "10 XB", -1, True, "1e3", ""])
def test_bad_limits(train, root, limit):
    with pytest.raises(ConfigError, match=r'a size is .*; expected bytes, or a text such as "10 GB"'):
        CachedFrames(train, FRAMES, root=root, limit=limit)


def test_what_was_used_longest_ago_makes_room(train, root):
    paths = []
    for timesteps in (2, 3, 4):
        paths.append(CachedFrames(train, Frames(timesteps), root=root).path)
        os.utime(paths[-1] / "manifest.json", (timesteps, timesteps))
    CachedFrames(train, Frames(2), root=root)  # used again
    sizes = {one.folder: one.bytes for one in cache_entries(root)}
    assert [one.folder for one in cache_entries(root)] == [paths[1], paths[2], paths[0]]
    room = sizes[paths[0]] + sizes[paths[2]]
    newest = CachedFrames(train, Frames(1), root=root, limit=room)
    assert {one.folder for one in cache_entries(root)} == {paths[0], newest.path}
    CachedFrames(train, Frames(1), root=root, limit=None)
    assert len(cache_entries(root)) == 2


def test_what_is_in_use_stays(train, root):
    used = CachedFrames(train, Frames(2), root=root)
    before = used.steps.copy()
    other = CachedFrames(train, Frames(3), root=root, limit=used.steps.nbytes * 3 // 2 + 10_000)
    assert {one.folder for one in cache_entries(root)} == {used.path, other.path}  # beyond the limit, but in use
    gone, kept = clear_cache(root)
    assert gone == [] and {one.folder for one in kept} == {used.path, other.path}
    unused = used.path
    sent = pickle.dumps(used)
    del other
    assert len(clear_cache(root)[0]) == 1
    assert len(clear_cache(root, force=True)[0]) == 1 and not unused.exists()
    assert np.array_equal(used.steps, before)  # what is mapped stays
    with pytest.raises(CacheError, match="was deleted while it was in use; make the dataset anew"):
        pickle.loads(sent)


def test_a_forked_process_gives_nothing_away(train, root):
    used = CachedFrames(train, FRAMES, root=root)
    child = os.fork()
    if child == 0:
        del used
        os._exit(0)
    os.waitpid(child, 0)
    assert not upkeep.remove_entry(used.path)


def test_frames_beyond_the_limit_are_refused_and_leave_nothing(train, root):
    with pytest.raises(CacheError, match="take more than the limit of 100 kB; pass a higher limit"):
        CachedFrames(train, FRAMES, root=root, limit="100 kB")
    assert cache_entries(root) == [] and not list(root.glob("*.part"))


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_not(train, root):
    (root / "locks").mkdir(parents=True)
    dead, living = (root / f"{letter * 32}.01234567.part" for letter in "ab")
    for part in (dead, living):
        part.mkdir()
        (part / "frames.raw").write_bytes(b"half")
    hold = (
        "import sys, time; from pathlib import Path; from spikesim.datasets.cache.locks import lock\n"
        "held = lock(Path(sys.argv[1])); print('holding', flush=True); time.sleep(60)"
    )
    argument = str(root / "locks" / ("b" * 32))
    with subprocess.Popen([sys.executable, "-c", hold, argument], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "holding\n"
        CachedFrames(train, FRAMES, root=root)
        assert not dead.exists() and living.exists()
        holder.kill()
    CachedFrames(train, Frames(3), root=root)
    assert not living.exists() and not list((root / "locks").iterdir())


@pytest.mark.parametrize("how", ["no module", "not supported"])
def test_without_locks_it_works_too(train, root, monkeypatch, how):
    if how == "no module":
        monkeypatch.setattr(locks, "fcntl", None)
    else:

        def unsupported(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(locks.fcntl, "flock", unsupported)
    used = CachedFrames(train, FRAMES, root=root)
    assert np.array_equal(used.steps, expected(train)) and CachedFrames(train, FRAMES, root=root).path == used.path
    old, new = (root / f"{letter * 32}.01234567.part" for letter in "ab")
    for part in (old, new):
        part.mkdir()
    day = time.time() - 2 * 24 * 3600
    os.utime(old, (day, day))
    CachedFrames(train, Frames(3), root=root)
    assert not old.exists() and new.exists()  # nobody can tell whether it is in use
    before = used.steps.copy()
    assert len(clear_cache(root)[0]) == 2 and np.array_equal(used.steps, before)


def test_another_process_may_have_been_first(train, root, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    real, first = os.rename, []

    def late(source, target):
        if not first and str(source).endswith(".part"):
            first.append(True)
            first.append(CachedFrames(train, FRAMES, root=root))
        return real(source, target)

    monkeypatch.setattr(folder.os, "rename", late)
    second = CachedFrames(train, FRAMES, root=root)
    assert second.path == first[1].path and np.array_equal(second.steps, expected(train))
    assert not list(root.glob("*.part"))


def test_clearing_leaves_what_is_not_ours(train, root):
    root.mkdir()
    (root / "precious.txt").write_text("x")
    (root / "deadbeef").mkdir()
    (root / ("c" * 32)).write_text("a file")
    CachedFrames(train, FRAMES, root=root)
    gone, kept = clear_cache(root)
    assert len(gone) == 1 and kept == [] and cache_entries(root) == []
    assert {path.name for path in root.iterdir()} == {"precious.txt", "deadbeef", "c" * 32, "locks"}
    assert clear_cache(root / "nowhere") == ([], [])


def test_the_usual_folder_follows_the_variable(train, root, monkeypatch):
    monkeypatch.setenv("SPIKESIM_CACHE_DIR", str(root))
    assert CachedFrames(train, FRAMES).path.parent == root / "frames"
    assert len(cache_entries()) == 1


def test_recordings_that_change_while_they_are_framed_are_not_kept(recordings, root, tmp_path):
    shutil.copytree(recordings, tmp_path / "data")
    dataset = load("nmnist", tmp_path / "data")
    last, content = dataset.files[-1], dataset.files[-1].read_bytes()
    with pytest.raises(DatasetError, match="changed while they were framed; nothing was kept"):
        CachedFrames(dataset, Frames(2), root=root, advance=lambda done: last.write_bytes(content[:-5]))
    last.write_bytes(content)
    whole = CachedFrames(dataset, Frames(2), root=root)
    assert np.array_equal(whole.steps, FrameDataset(load("nmnist", recordings), Frames(2)).steps)


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "cache clear"), (errno.EFBIG, "ulimit -f"), (errno.ENOTDIR, "can be written")]
)
def test_each_error_of_the_system_has_its_remedy(number, remedy):
    error = failures.cache_error(Path("frames"), OSError(number, "reason"))
    assert isinstance(error, CacheError) and "reason" in str(error) and remedy in str(error)
