"""Give recorded values the names that the author of a step gave them.

A record made by torch.fx knows operations, not variables. While a step is recorded, a profile hook
reads the local variables of every function of the author's as it returns, so that the printed record
and the emitted kernels speak of ``u`` and ``s``.
"""

from __future__ import annotations

import sys
from types import FrameType, TracebackType
from typing import Any

from torch import fx


class AuthorNames:
    """Collects ``{node: name}`` while it is entered; outer functions have the last word."""

    def __init__(self) -> None:
        self.names: dict[fx.Node, str] = {}
        self._previous: Any = None

    def __enter__(self) -> AuthorNames:
        self._previous = sys.getprofile()
        sys.setprofile(self._hook)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if hasattr(self._previous, "enable"):  # cProfile's is no function: before Python 3.12 it shows here as it is
            sys.setprofile(None)
            self._previous.enable()
        else:
            sys.setprofile(self._previous)

    def _hook(self, frame: FrameType, event: str, result: Any) -> None:
        if event != "return" or not is_authors(frame):
            return
        for name, value in frame.f_locals.items():
            if isinstance(value, fx.Proxy):
                # A later return is an outer function, whose names come first when two want the same.
                self.names.pop(value.node, None)
                self.names[value.node] = name


def is_authors(frame: FrameType) -> bool:
    """Whether a frame runs code outside this package's machinery and torch."""
    return not frame.f_globals.get("__name__", "").startswith(("torch.", "spikesim.dynamics"))


def unique(wanted: str, taken: set[str]) -> str:
    """``wanted``, or the same with the first number that makes it new; remembers what it gives.

    >>> taken = {"u"}
    >>> unique("u", taken), unique("u", taken), unique("s", taken)
    ('u_1', 'u_2', 's')
    """
    name, k = wanted, 0
    while name in taken:
        k += 1
        name = f"{wanted}_{k}"
    taken.add(name)
    return name
