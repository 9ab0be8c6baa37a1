"""How long does an epoch over 1000 recordings take? Decoded, denoised, framed (T = 10), augmented and batched.

The recordings are real ones of N-MNIST (--root, or nmnist1k.zip in $SPIKESIM_SHARED_DATA), otherwise N-Digits, which
are generated. Everyone reads the same files, denoises with 10 ms, makes ten frames, shifts each sample by up to two
pixels along each axis and makes shuffled batches of 64. Tonic's loader is built as its documentation has it: a
``DiskCachedDataset`` with the augmentation behind the cache, and torch's loader with ``PadTensors``.

- first pass: nothing is cached yet. Tonic frames and writes its cache; ours once without any cache ("uncached") and
  once filling it ("filling").
- second pass: everything is cached.

    python benchmarks/loader.py [--workers 0 2 4]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from harness import Results, child, interleave, machine, show

from spikesim.datasets import CachedFrames, RandomShift, event_loader, generate_ndigits, load
from spikesim.datasets.transforms import Denoise, Pipeline, ToFrame

RECORDINGS, BATCH, REACH = 1000, 64, 2
TONIC = "tonic DiskCachedDataset"


def recordings(root: Path | None, scratch: Path) -> tuple[Path, str]:
    """A folder that holds ``NMNIST/``, and what is in it."""
    if root is not None:
        return root, "N-MNIST"
    archive = Path(os.environ.get("SPIKESIM_SHARED_DATA", "nowhere")) / "nmnist1k.zip"
    if archive.is_file():
        with zipfile.ZipFile(archive) as file:
            file.extractall(scratch)
        return scratch, "N-MNIST"
    generate_ndigits(scratch / "NMNIST", samples=RECORDINGS)
    return scratch, "N-Digits"


def ours(root: Path, workers: int, scratch: Path) -> dict[str, Callable[[], object]]:
    transform = Pipeline([Denoise(10_000), ToFrame(n_time_bins=10)])
    plain, framed = load("nmnist", root, "all"), load("nmnist", root, "all", transform=transform)
    assert len(plain) == RECORDINGS
    options: dict[str, Any] = {"shuffle": True, "seed": 0, "augment": RandomShift(REACH), "num_workers": workers}
    cached = event_loader(CachedFrames(plain, transform, root=scratch / "ours"), BATCH, **options)
    uncached = event_loader(framed, BATCH, **options)

    def filling() -> None:
        with tempfile.TemporaryDirectory(dir=scratch) as cold:
            epoch(event_loader(CachedFrames(plain, transform, root=cold, workers=workers), BATCH, **options))

    return {
        "first/spikesim, uncached": lambda: epoch(uncached),
        "first/spikesim, filling": filling,
        "second/spikesim": lambda: epoch(cached),
    }


def tonics(root: Path, workers: int, scratch: Path) -> dict[str, Callable[[], object]]:
    import tonic
    from tonic.collation import PadTensors

    size = tonic.datasets.NMNIST.sensor_size
    transform = tonic.transforms.Compose(
        [tonic.transforms.Denoise(10_000), tonic.transforms.ToFrame(size, n_time_bins=10)]
    )
    # Its check wants all 70,000 recordings.
    with patch.object(tonic.datasets.NMNIST, "_check_exists", return_value=True):
        parts = [tonic.datasets.NMNIST(str(root), train=train, transform=transform) for train in (True, False)]
    dataset = torch.utils.data.ConcatDataset(parts)  # type: ignore[arg-type]
    assert len(dataset) == RECORDINGS
    augment = tonic.transforms.Compose([torch.from_numpy, shifted])

    def loader(folder: Path) -> Any:
        return torch.utils.data.DataLoader(
            tonic.DiskCachedDataset(dataset, str(folder), transform=augment), BATCH, shuffle=True,
            collate_fn=PadTensors(batch_first=False), num_workers=workers, persistent_workers=workers > 0,
        )  # fmt: skip

    number = itertools.count()

    def first() -> None:
        folder = scratch / f"tonic{next(number)}"
        epoch(loader(folder))
        shutil.rmtree(folder)

    warm = loader(scratch / "tonic")
    epoch(warm)
    return {f"first/{TONIC}": first, f"second/{TONIC}": lambda: epoch(warm)}


def shifted(frames: torch.Tensor) -> torch.Tensor:
    """Move one sample ``[T, C, H, W]`` by up to two pixels along each axis."""
    down, right = torch.randint(-REACH, REACH + 1, (2,)).tolist()
    moved = torch.zeros_like(frames)
    height, width = frames.shape[-2:]
    moved[..., max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = frames[
        ..., max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return moved


def epoch(loader: Any) -> None:
    samples = 0
    for batch in loader:
        samples += batch.x.shape[1] if hasattr(batch, "x") else batch[0].shape[1]
    assert samples == RECORDINGS


def measure(arguments: argparse.Namespace) -> None:
    (workers,) = arguments.workers
    # With one thread the harness takes processor time, which leaves out what workers do.
    torch.set_num_threads(1 if workers == 0 else 2)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        root, what = recordings(arguments.root, scratch)
        calls = ours(root, workers, scratch) | tonics(root, workers, scratch)
        for which, least in (("second", 7), ("first", 3)):
            group = {name.partition("/")[2]: call for name, call in calls.items() if name.startswith(which)}
            times = interleave(group, least, seconds=arguments.seconds, batch=False)
            against = next(name for name in group if name.startswith("spikesim"))
            rows[which] = show(f"{which} pass, {RECORDINGS} of {what}, {workers} workers", times, against=against)
            for name, sample in times.items():
                rows[which][name]["times_as_fast_as_tonic"] = times[TONIC].median / sample.median
    print(json.dumps({"rows": rows, "what": what, "machine": machine()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2, 4])
    parser.add_argument("--root", type=Path, help="folder that holds NMNIST/Train and NMNIST/Test, 1000 recordings")
    parser.add_argument("--seconds", type=float, default=90.0, help="budget of a group")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments)
        return
    results = Results("loader", again=True)
    for workers in arguments.workers:
        root = ["--root", str(arguments.root)] if arguments.root else []
        row = child(["--child", "--workers", str(workers), "--seconds", str(arguments.seconds), *root])
        results.add(f"{workers} workers", row)


if __name__ == "__main__":
    main()
