"""Explicit state: what a network carries from one call to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from spikesim.errors import StateError

STATE_VERSION = 1


class NetworkState(dict[str, dict[str, Tensor]]):
    """State tensors by qualified module name, then by state name; each ``[N, ...]``.

    ``version`` tags the layout, so that a state saved by an older release is refused by name rather
    than misread.

    >>> NetworkState({"1": {}}).version
    1
    """

    def __init__(self, states: Mapping[str, dict[str, Tensor]] | None = None, version: int = STATE_VERSION) -> None:
        super().__init__(states or {})
        self.version = version

    def to_dict(self) -> dict[str, object]:
        """A plain dict of tensors, strings and numbers: ``torch.load(weights_only=True)`` reads it back."""
        return {"version": self.version, "neurons": {k: dict(v) for k, v in self.items()}}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> NetworkState:
        """The state that :meth:`to_dict` gave.

        Raises:
            StateError: it is not such a dict, or of another version.

        >>> NetworkState.from_dict(NetworkState({"1": {}}).to_dict())
        {'1': {}}
        """
        if not isinstance(saved.get("neurons"), Mapping) or "version" not in saved:
            raise StateError("not a saved state: expected what NetworkState.to_dict() gives")
        state = cls(saved["neurons"], saved["version"])
        check_version(state)
        return state

    def detach(self) -> NetworkState:
        """The same values, cut from the graph that made them."""
        return NetworkState({k: {n: t.detach() for n, t in v.items()} for k, v in self.items()}, self.version)


class Run(NamedTuple):
    """What :meth:`Network.run` returns: the output, and the state after the last step."""

    output: Tensor
    state: NetworkState


def check_version(state: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raise ``StateError`` if the state is of another layout than this release reads."""
    version = getattr(state, "version", STATE_VERSION)
    if version != STATE_VERSION:
        raise StateError(f"state has version {version}, but this release reads version {STATE_VERSION}; start afresh")


def check_state(state: Mapping[str, Mapping[str, Tensor]], neurons: Mapping[str, Iterable[str]]) -> None:
    """Raise ``StateError`` unless ``state`` has exactly the states of ``neurons`` (name -> state names)."""
    check_version(state)
    expected = {(n, s) for n, names in neurons.items() for s in names}
    given = {(n, s) for n, names in state.items() for s in names}
    if expected != given:
        missing = ", ".join(f"{n}.{s}" for n, s in sorted(expected - given)) or "none"
        unknown = ", ".join(f"{n}.{s}" for n, s in sorted(given - expected)) or "none"
        raise StateError(
            f"state does not fit this network: missing {missing}; unknown {unknown}; pass state=None to start afresh"
        )
