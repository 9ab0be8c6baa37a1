"""A bar on standard error for what takes a while; nothing where that is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from spikesim.converters.inputs import Inputs

BATCH = 100


class Bars:
    """One bar after the other.

    Args:
        bar: A rich Progress.
    """

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def batches(self, x: Inputs, what: str, then: str) -> Iterator[Inputs]:
        """Samples in batches; the bar moves as they are asked for, and says ``then`` once all are used."""
        yield from self._shown(x, what, then)

    def pairs(self, x: Inputs, y: torch.Tensor, what: str) -> Iterator[tuple[Inputs, torch.Tensor]]:
        """The same with labels."""
        yield from self._shown((x, y), what, None)

    def steps(self, total: int, what: str) -> Callable[[str], None]:
        """A function that moves a bar by one and names what is done."""
        task = self._bar.add_task(what, total=total)
        return lambda done: self._bar.update(task, advance=1, description=f"{what}: {done}")

    def _shown(self, data: Any, what: str, then: str | None) -> Iterator[Any]:
        from spikesim.converters.inputs import count, pieces

        task = self._bar.add_task(what, total=count(data))
        for part in pieces(data, BATCH):
            yield part
            self._bar.update(task, advance=count(part))
        if then is not None:
            self._bar.add_task(then, total=None)


@contextmanager
def watching() -> Iterator[Bars]:
    """Open the bars; they leave no trace."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Bars(bar)
