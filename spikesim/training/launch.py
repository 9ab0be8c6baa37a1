"""Start the processes of a run on this machine, and end them together."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from spikesim import errors
from spikesim.errors import ConfigError, SpikesimError
from spikesim.training.config import TrainConfig

_PATIENCE = 10.0  # seconds that processes get to say what ailed them, or to stop


def run_ranks(config: TrainConfig, *, continued: bool, progress: bool) -> None:
    """Train with ``config.devices`` processes on this machine, and return when all of them are done.

    Each runs this module with the settings in a file, never the caller's own script, so that no ``if __name__ ==
    "__main__"`` is needed. They end with this process, however it ends.

    Args:
        config: the settings.
        continued: go on from the last checkpoint.
        progress: rank 0 shows a line per epoch.

    Raises:
        SpikesimError: what the first process that failed raised.
        RuntimeError: a process failed without a typed error, or was killed.
        KeyboardInterrupt: Ctrl-C; all processes have ended.
    """
    with tempfile.TemporaryDirectory(prefix="spikesim-ranks-") as folder:
        order = {"config": json.loads(config.to_json()), "continued": continued, "progress": progress}
        (Path(folder) / "order.json").write_text(json.dumps(order))
        processes = [_start(rank, config.devices, port, folder) for port in [_port()] for rank in range(config.devices)]
        try:
            _wait(processes, Path(folder))
        finally:
            _end(processes)


def _start(rank: int, ranks: int, port: int, folder: str) -> subprocess.Popen[bytes]:
    names = {
        "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "GROUP_RANK": 0,
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "spikesim",
    }  # fmt: skip
    # Networks are found by the names that this process finds them by.
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    environment = {**os.environ, **{name: str(value) for name, value in names.items()}, "PYTHONPATH": paths}
    # Its own session: Ctrl-C comes to this process alone. The pipe closes when this process is gone.
    return subprocess.Popen(
        [sys.executable, "-m", "spikesim.training.launch", folder],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def _wait(processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    deadline: float | None = None
    while True:
        codes = [process.poll() for process in processes]
        told = sorted(folder.glob("error-*.json"), key=lambda path: path.stat().st_mtime_ns)
        found = [json.loads(path.read_text()) for path in told]
        for error in found:
            kind = getattr(errors, error["kind"], None)
            if isinstance(kind, type) and issubclass(kind, SpikesimError):
                raise kind(error["text"])
        if all(code == 0 for code in codes):
            return
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed and deadline is None:  # the others fail, too, when a peer is gone; the cause may still come
            deadline = time.monotonic() + _PATIENCE
        if deadline is not None and (time.monotonic() > deadline or None not in codes):
            said = "; ".join(f"rank {error['rank']}: {error['kind']}: {error['text']}" for error in found)
            raise RuntimeError(
                f"of {len(processes)} processes, rank {', '.join(map(str, failed))} ended with exit code "
                f"{', '.join(str(codes[rank]) for rank in failed)}. {said}".rstrip()
            )
        time.sleep(0.05)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    # Files are written whole or not at all, so nothing is lost by ending a process anywhere.
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _end_with_parent() -> None:
    import threading

    def watch() -> None:
        os.read(0, 1)  # returns when the other end of the pipe closes
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _as_rank(folder: Path) -> None:
    """What a started process does."""
    from spikesim.training.ranks import place
    from spikesim.training.run import run_here

    _end_with_parent()
    order: dict[str, Any] = json.loads((folder / "order.json").read_text())
    try:
        run_here(TrainConfig(**order["config"]), continued=order["continued"], progress=order["progress"])
    except Exception as error:
        text = json.dumps({"rank": place().rank, "kind": type(error).__name__, "text": str(error)})
        partial = folder / f"rank-{place().rank}.partial"
        partial.write_text(text)
        partial.rename(folder / f"error-{place().rank}.json")
        if not isinstance(error, SpikesimError):
            raise
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise ConfigError("this module starts the processes of a run; use `spikesim train --devices 2 --strategy ddp`")
    _as_rank(Path(sys.argv[1]))
