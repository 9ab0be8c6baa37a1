"""Eight processes on one cold cache, two of them killed: run as a script, says what it saw as JSON.

It forks from one process that has imported everything, so that all eight start within milliseconds. In every round one
victim is the process that is filling the entry at that moment, the other is any. Meanwhile this process opens the
entry again and again.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import torch

from spikesim.datasets import CachedFrames, FrameDataset, Frames
from spikesim.datasets.cache import cache_entries, locks, verify_cache
from spikesim.datasets.cache.folder import open_entry
from spikesim.datasets.cache.manifest import DamagedEntryError
from spikesim.datasets.events import Events

PROCESSES, SAMPLES, PAUSE_S = 8, 40, 0.004


class Slow:
    """Recordings of 4 ms each, that tell which process reads them."""

    classes = ("a", "b")

    def __init__(self, filling):
        self.filling = filling

    def __len__(self):
        return SAMPLES

    def __getitem__(self, index):
        time.sleep(PAUSE_S)
        self.filling[0] = os.getpid()
        self.filling[1] += 1
        generator = np.random.default_rng(index)
        events = 200 + 10 * index
        x, y, p = (generator.integers(0, size, events) for size in (20, 20, 2))
        return Events.from_columns(x, y, np.sort(generator.integers(0, 10_000, events)), p, (20, 20, 2)), index % 2


def same(found, right):
    return all(np.array_equal(getattr(found, name), getattr(right, name)) for name in ("steps", "lengths", "labels"))


def survivor(dataset, root, right):
    """One of the eight: exits with 0 where all went well."""
    try:
        found = CachedFrames(dataset, Frames(3), root=root, key="slow")
        ok = same(found, right) and found.path is not None
    except BaseException:
        traceback.print_exc()
        ok = False
    os._exit(0 if ok else 1)


def one_round(root, right, draw):
    filling = torch.zeros(2, dtype=torch.int64).share_memory_().numpy()
    dataset = Slow(filling)
    living = set()
    for _ in range(PROCESSES):
        child = os.fork()
        if child == 0:
            survivor(dataset, root, right)
        living.add(child)
    begin, codes, killed, partial, opened = time.monotonic(), {}, [], 0, 0
    kills = sorted(draw.uniform(0, SAMPLES * PAUSE_S) for _ in range(2))
    while living:
        if kills and time.monotonic() - begin > kills[0]:
            kills.pop(0)
            builder = int(filling[0])
            victim = builder if not killed and builder in living else draw.choice(sorted(living))
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)
        for entry in cache_entries(root):
            try:
                served = open_entry(root, entry.folder.name)
            except DamagedEntryError as error:
                print(error, file=sys.stderr)
                partial += 1
                continue
            if served is not None:
                opened += 1
                partial += not same(served, right)
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            living.discard(child)
            codes[child] = os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    # A victim may have finished before its signal came.
    errors = [code for child, code in codes.items() if code != 0 and not (child in killed and code == -signal.SIGKILL)]
    done = sum(code == 0 for code in codes.values())
    return {"errors": len(errors), "partial": partial, "opened": opened, "done": done, "read": int(filling[1])}


def main(folder, rounds, with_locks):
    if not with_locks:
        locks.fcntl = None
    seed = time.time_ns()
    print(f"seed {seed}", file=sys.stderr)
    draw, right, seen = random.Random(seed), FrameDataset(Slow([0, 0]), Frames(3)), []
    for number in range(rounds):
        root = Path(folder) / f"{with_locks}-{number}"
        seen.append(one_round(root, right, draw))
        CachedFrames(Slow([0, 0]), Frames(2), root=root, key="slow")  # who fills next sweeps
        entries = verify_cache(root)
        seen[-1] |= {"entries": len(entries), "damage": [one.damage for one in entries if one.damage]}
        seen[-1]["left"] = len(list(root.glob("*.part")))
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "locks")
