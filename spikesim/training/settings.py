"""Process-wide settings of a training run, put back when it ends."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def reproducible(seed: int, threads: int | None = None) -> Iterator[None]:
    """Seed every generator, ask torch for deterministic algorithms, and restore all of it at the end.

    The same seed gives the same curve on the same machine with the same number of threads; another
    number of threads may round sums inside convolutions differently.

    Args:
        seed: for torch, NumPy, Python and the workers of data loaders.
        threads: CPU threads; ``None`` leaves torch's choice.
    """
    import lightning.pytorch as lightning
    from lightning.pytorch.utilities.seed import isolate_rng

    memory: Any = torch.utils.deterministic  # a module whose attribute its class declares
    saved = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        memory.fill_uninitialized_memory,
        torch.backends.cudnn.benchmark,
    )
    with isolate_rng():
        try:
            if threads is not None:
                torch.set_num_threads(threads)
            # Some CUDA backward passes have no deterministic form: there, torch is asked to do its best.
            torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
            memory.fill_uninitialized_memory = False  # costs a pass over every buffer
            torch.backends.cudnn.benchmark = False
            lightning.seed_everything(seed, workers=True, verbose=False)
            yield
        finally:
            torch.set_num_threads(saved[0])
            torch.use_deterministic_algorithms(saved[1], warn_only=saved[2])
            memory.fill_uninitialized_memory = saved[3]
            torch.backends.cudnn.benchmark = saved[4]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's banner, its advice on worker counts and one deprecation, and nothing else."""
    names = ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.distributed")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            # Lightning calls a form of torch's that torch deprecates.
            warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def interrupt_signal_kept() -> Iterator[None]:
    """Put the handler of Ctrl-C back: Lightning leaves it ignored after an interrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
