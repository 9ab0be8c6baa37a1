"""Keep freed memory during a run, and let it go when the machine runs short of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning

from spikesim.allocator import release_memory, restore_allocator, tune_allocator

logger = logging.getLogger(__name__)

# Under a quarter of the machine's memory left, gaps between kept blocks could cost the run its life.
SHORT = 0.25


@contextmanager
def memory_kept() -> Iterator[None]:
    """Tune the allocator for a run; afterwards hand the run's memory back to the operating system."""
    tuned = tune_allocator().applied
    try:
        yield
    finally:
        if tuned:
            release_memory()


class MemoryGuard(lightning.Callback):
    """After each batch, undo the tuning if little memory is left; it costs about 0.1 ms."""

    def __init__(self) -> None:
        self.undone = False

    def on_train_batch_end(self, *_: Any) -> None:
        """Look once per batch."""
        if not self.undone and memory_left() < SHORT:
            self.undone = True
            if restore_allocator():
                logger.warning(
                    "less than %d %% of the memory is left: freed memory goes back to the operating system from "
                    "now on, which is slower; a smaller batch_size needs less",
                    SHORT * 100,
                )


def memory_left() -> float:
    """The share of the machine's memory, or of this container's, that is still to be had; 1 if unknown.

    >>> 0.0 <= memory_left() <= 1.0
    True
    """
    return min(_of_machine(), _of_container())


def _of_machine() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1.0
    amounts = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest}
    return amounts.get("MemAvailable", 1) / max(amounts.get("MemTotal", 1), 1)


def _of_container() -> float:
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 1.0
    return 1.0 if limit == "max" else max(0.0, 1.0 - resident / int(limit))
