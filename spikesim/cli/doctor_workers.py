"""Run tasks in several processes, each result as soon as it is there; a process that dies is a result too."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection, get_context
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Died:
    """Stands in for the result of an item whose process died on it.

    Args:
        code: exit code; minus the signal's number if it was one.
    """

    def __init__(self, code: int | None) -> None:
        self.code = code

    def __str__(self) -> str:
        if self.code is not None and self.code < 0:
            return f"the process died of {signal.Signals(-self.code).name}"
        return f"the process ended with code {self.code}"


class _Worker(Generic[Item, Result]):
    """One process, and what it has been given and not yet answered."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        context = get_context("spawn")  # a fork inherits torch's thread pools without their threads
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(work, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends with the process
        self.left: deque[Item] = deque()

    def give(self, task: Sequence[Item]) -> None:
        self.left = deque(task)
        self.pipe.send(list(task))

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()


def _serve(work: Callable[[Any], Any], pipe: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        for item in task:
            pipe.send(work(item))


def spread(
    work: Callable[[Item], Result], tasks: Sequence[Sequence[Item]], jobs: int
) -> Iterator[tuple[Item, Result | Died]]:
    """Work on all items of all tasks; the items of one task stay in one process, in order.

    Args:
        work: a function of a module, which a new process imports.
        tasks: items that profit from what those before them left behind.
        jobs: number of processes; with 1 everything runs in this one.

    Yields:
        Every item with its result, as they come.
    """
    if jobs == 1:
        for task in tasks:
            for item in task:
                yield item, work(item)
        return
    pending = deque(list(task) for task in tasks)
    workers: dict[Any, _Worker[Item, Result]] = {}
    try:
        for _ in range(min(jobs, len(pending))):
            worker = _Worker(work)
            workers[worker.pipe] = worker
            worker.give(pending.popleft())
        while workers:
            for pipe in connection.wait(list(workers)):
                yield from _answer(work, workers, workers[pipe], pending)
    finally:
        for worker in workers.values():
            worker.stop()


def _answer(
    work: Callable[[Item], Result],
    workers: dict[Any, _Worker[Item, Result]],
    worker: _Worker[Item, Result],
    pending: deque[list[Item]],
) -> Iterator[tuple[Item, Result | Died]]:
    try:
        result = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        del workers[worker.pipe]
        worker.process.join()
        if worker.left:
            yield worker.left.popleft(), Died(worker.process.exitcode)
        if worker.left:
            pending.appendleft(list(worker.left))
        if pending:
            worker = _Worker(work)
            workers[worker.pipe] = worker
            worker.give(pending.popleft())
        return
    yield worker.left.popleft(), result
    while not worker.left and pending:
        worker.give(pending.popleft())
    if not worker.left:
        del workers[worker.pipe]
        worker.stop()
