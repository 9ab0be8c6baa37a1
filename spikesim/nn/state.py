"""Explicit state: what a network carries from one call to the next."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikesim.errors import StateError
from spikesim.nn import state_file

STATE_VERSION = 1
CLOCK = "clock"  # seed and step of a neuron that draws random numbers: whole numbers, where all else is floating


class NetworkState(dict[str, dict[str, Tensor]]):
    """State tensors by qualified module name, then by state name.

    A state of the neurons is ``[N, ...]``; the random clock of a stochastic neuron is int64 and belongs to the whole
    layer. ``version`` tags the layout, so that a state saved by an older release is refused by name, never misread.

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

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a safetensors file, whole or not at all; values and dtypes come back bit for bit.

        Gradients are not saved.

        Raises:
            StateError: it holds something that is no tensor, or a tensor without values.
            ConfigError: the folder cannot be written to.

        >>> import tempfile
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> net = Network(torch.nn.Sequential(IF()))
        >>> state = net.run(torch.full((3, 1, 2), 0.25)).state
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     NetworkState.load(state.save(folder + "/state.safetensors"))
        {'0': {'v': tensor([[0.7500, 0.7500]])}}
        """
        return state_file.write(path, self, self.version)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | torch.device = "cpu") -> NetworkState:
        """Read what :meth:`save` wrote; no code in the file is ever run.

        Args:
            path: the file.
            device: where the tensors are wanted.

        Raises:
            StateError: the file is missing, truncated, no saved state, or of another version; there is no such device.
        """
        return cls(state_file.read(path, STATE_VERSION, device))

    def detach(self) -> NetworkState:
        """The same values, cut from the graph that made them."""
        return NetworkState({k: {n: t.detach() for n, t in v.items()} for k, v in self.items()}, self.version)

    def to(self, device: str | torch.device) -> NetworkState:
        """The same state on another device.

        >>> NetworkState({"1": {"v": torch.zeros(2)}}).to("meta")["1"]["v"].device.type
        'meta'
        """
        return NetworkState({k: {n: t.to(device) for n, t in v.items()} for k, v in self.items()}, self.version)


class Run(NamedTuple):
    """What :meth:`Network.run` returns: the output, and the state after the last step."""

    output: Tensor
    state: NetworkState


def check_version(state: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raise ``StateError`` if the state is of another layout than this release reads."""
    version = getattr(state, "version", STATE_VERSION)
    if version != STATE_VERSION:
        raise StateError(f"state has version {version}, but this release reads version {STATE_VERSION}; start afresh")


def check_state(
    state: Mapping[str, Mapping[str, Tensor]], neurons: Mapping[str, Iterable[str]], device: torch.device
) -> None:
    """Raise ``StateError`` unless ``state`` has exactly the states of ``neurons`` (name -> state names), to run on."""
    parts = [state, *state.values()] if isinstance(state, Mapping) else [state]
    if wrong := [part for part in parts if not isinstance(part, Mapping)]:
        raise StateError(
            f"a state maps layers to states and these to tensors, but a {type(wrong[0]).__name__} was given; pass what "
            "Network.run(...).state or NetworkState.load gave"
        )
    check_version(state)
    expected = {(n, s) for n, names in neurons.items() for s in names}
    given = {(n, s) for n, names in state.items() for s in names}
    if expected != given:
        missing = ", ".join(f"{n}.{s}" for n, s in sorted(expected - given)) or "none"
        unknown = ", ".join(f"{n}.{s}" for n, s in sorted(given - expected)) or "none"
        raise StateError(
            f"state does not fit this network: missing {missing}; unknown {unknown}; pass state=None to start afresh"
        )
    for module, states in state.items():
        for name, value in states.items():
            _check_value(f"state '{name}' of '{module}'", value, name, device)


def _check_value(what: str, value: Any, name: str, device: torch.device) -> None:
    if not isinstance(value, Tensor):
        return  # the neuron, which knows its own label, refuses it
    if name != CLOCK and not value.is_floating_point():
        raise StateError(f"{what} is {value.dtype}, but it must be a floating dtype; pass what a run gave")
    if value.device.type == "meta" != device.type:
        raise StateError(
            f"{what} is on the meta device and holds no values, but the input is on {device}; run it there"
        )
