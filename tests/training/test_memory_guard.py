import logging

import pytest

from spikesim import allocator
from spikesim.training import memory_guard
from spikesim.training.memory_guard import MemoryGuard, memory_kept


@pytest.fixture
def calls(monkeypatch):
    """What would be done to the process, without doing it."""
    done = []
    tuning = allocator.Tuning(True, "kept")
    monkeypatch.setattr(memory_guard, "tune_allocator", lambda: done.append("tune") or tuning)
    monkeypatch.setattr(memory_guard, "restore_allocator", lambda: done.append("restore") or True)
    monkeypatch.setattr(memory_guard, "release_memory", lambda: done.append("release") or True)
    return done


def test_a_run_keeps_its_memory_and_hands_it_back_also_after_an_error(calls):
    with pytest.raises(KeyError), memory_kept():
        assert calls == ["tune"]
        raise KeyError
    assert calls == ["tune", "release"]


def test_the_guard_acts_once_when_memory_is_short(calls, monkeypatch, caplog):
    guard, left = MemoryGuard(), iter([0.9, 0.3, 0.2, 0.1])
    monkeypatch.setattr(memory_guard, "memory_left", lambda: next(left))
    with caplog.at_level(logging.WARNING):
        for expected in ([], [], ["restore"], ["restore"]):
            guard.on_train_batch_end(None, None, None, None, 0)
            assert calls == expected
    assert len(caplog.records) == 1 and "25 %" in caplog.text


@pytest.mark.parametrize(
    ("available", "limit", "resident", "left"),
    [(60, "max", 10, 0.6), (60, "200", 10, 0.6), (60, "20", 15, 0.25), (60, "20", 30, 0.0)],
)
def test_the_smaller_of_machine_and_container_counts(monkeypatch, tmp_path, available, limit, resident, left):
    page = memory_guard.os.sysconf("SC_PAGE_SIZE")
    files = {
        "/proc/meminfo": f"MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: {available} kB\nHugePages_Total: 0\n",
        "/proc/self/statm": f"999 {resident} 3",
        "/sys/fs/cgroup/memory.max": limit if limit == "max" else str(int(limit) * page),
    }
    for name, text in files.items():
        (tmp_path / name.replace("/", "_")).write_text(text)
    monkeypatch.setattr(memory_guard, "Path", lambda name: tmp_path / name.replace("/", "_"))
    assert memory_guard.memory_left() == pytest.approx(left)


def test_where_nothing_can_be_read_nothing_is_short(monkeypatch, tmp_path):
    monkeypatch.setattr(memory_guard, "Path", lambda name: tmp_path / "missing")
    assert memory_guard.memory_left() == 1.0
