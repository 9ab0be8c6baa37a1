"""What a monitor has seen: plain tensors by layer, time first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spikesim.dynamics import SpikeType
from spikesim.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Trace:
    """What was recorded of one layer in one call.

    Args:
        steps: int64 ``[S]``, recorded time steps; 0 is the first after a fresh start.
        samples: N, or how many samples were chosen.
        spikes: emitted values ``[S, N, ...]``, or None if they were not asked for.
        states: state after each of the steps (after reset), ``[S, N, ...]`` by name.
        mask: bool ``[S, N]``, True where the step is real; None without a mask.
    """

    steps: Tensor
    samples: int
    spikes: Tensor | None = None
    states: dict[str, Tensor] = field(default_factory=dict)
    mask: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        parts = [self.steps, self.spikes, self.mask, *self.states.values()]
        return sum(t.numel() * t.element_size() for t in parts if t is not None)

    def newest(self, count: int) -> Trace:
        """The last ``count`` steps, in memory of their own."""

        def cut(t: Tensor | None) -> Tensor | None:
            return None if t is None else t[len(t) - count :].clone()

        states = {k: v[len(v) - count :].clone() for k, v in self.states.items()}
        steps = self.steps[len(self.steps) - count :].clone()
        return Trace(steps, self.samples, cut(self.spikes), states, cut(self.mask))


class LayerRecording:
    """Recorded spikes and states of one layer; ``recording["name"]`` gives it.

    Several calls in one block are joined along time; ``calls`` holds them apart.

    Args:
        name: qualified name of the neuron inside the network's module.
        neuron: its class, for messages.
        emits: its declared spike type.

    >>> from spikesim.neurons import IF
    >>> from spikesim.nn import Network
    >>> net = Network(torch.nn.Sequential(IF()))
    >>> with net.record("0", states="v") as recording:
    ...     _ = net(torch.full((4, 1, 1), 0.5))
    >>> recording["0"].spikes.flatten(), recording["0"].states["v"].flatten()
    (tensor([0., 1., 0., 1.]), tensor([0.5000, 0.0000, 0.5000, 0.0000]))
    >>> recording["0"].rates()
    tensor([[0.5000]])
    """

    def __init__(self, name: str, neuron: str, emits: SpikeType) -> None:
        self.name = name
        self.neuron = neuron
        self.emits = emits
        self.calls: list[Trace] = []
        self.dropped = 0

    @property
    def steps(self) -> Tensor:
        """Time step of every row, int64 ``[S]``; 0 is the first after a fresh start."""
        return self._joined("steps", lambda trace: trace.steps)

    @property
    def spikes(self) -> Tensor:
        """What the neuron emitted, ``[S, N, ...]`` (``[S, N, K]`` for chosen neurons); analog for a readout.

        Raises:
            ConfigError: nothing was recorded, or ``spikes=False``.
            ShapeError: the calls had different shapes.
        """
        return self._joined("spikes", lambda trace: trace.spikes, "record(..., spikes=True)")

    @property
    def states(self) -> dict[str, Tensor]:
        """State after each step, by name, ``[S, N, ...]``.

        Raises:
            ConfigError: nothing was recorded.
            ShapeError: the calls had different shapes.
        """
        names = list(self._first().states)
        return {name: self._joined(name, lambda trace, n=name: trace.states[n]) for name in names}  # type: ignore[misc]

    @property
    def mask(self) -> Tensor | None:
        """Bool ``[S, N]``, True where the step is real; None if no call had a mask."""
        if all(trace.mask is None for trace in self.calls):
            return None

        def full(trace: Trace) -> Tensor:
            if trace.mask is not None:
                return trace.mask
            return torch.ones(len(trace.steps), trace.samples, dtype=torch.bool, device=trace.steps.device)

        return self._joined("mask", full)

    def rates(self) -> Tensor:
        """Fraction of the recorded real steps in which each neuron fired, ``[N, ...]``.

        Raises:
            ConfigError: the neuron emits analog values, or spikes were not recorded.
        """
        if not self.emits.is_spike:
            raise ConfigError(f"'{self.name}' ({self.neuron}) emits analog values and never fires; read its .spikes")
        fired = (self.spikes != 0).float()
        mask = self.mask
        if mask is None:
            return fired.mean(0)
        real = mask.reshape(*mask.shape, *[1] * (fired.dim() - 2))
        return (fired * real).sum(0) / real.sum(0).clamp(min=1)

    def numpy(self) -> dict[str, NDArray[Any]]:
        """Plain arrays by name: "steps", "spikes", "mask" and every state.

        >>> from spikesim.neurons import LI
        >>> from spikesim.nn import Network
        >>> net = Network(torch.nn.Sequential(LI()))
        >>> with net.record() as recording:
        ...     _ = net(torch.ones(3, 1, 2))
        >>> {name: array.shape for name, array in recording["0"].numpy().items()}
        {'steps': (3,), 'spikes': (3, 1, 2)}
        """
        mask = self.mask
        parts = {"steps": self.steps}
        if self._first().spikes is not None:
            parts["spikes"] = self.spikes
        if mask is not None:
            parts["mask"] = mask
        return {name: _array(tensor) for name, tensor in {**parts, **self.states}.items()}

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(trace.nbytes for trace in self.calls)

    def keep(self, trace: Trace, last: int | None, dropped: int) -> None:
        """Add one call; with ``last``, forget all but the newest so many steps."""
        self.calls.append(trace)
        self.dropped += dropped
        surplus = 0 if last is None else sum(len(t.steps) for t in self.calls) - last
        while surplus > 0:
            oldest = self.calls[0]
            gone = min(surplus, len(oldest.steps))
            self.calls[:1] = [] if gone == len(oldest.steps) else [oldest.newest(len(oldest.steps) - gone)]
            self.dropped += gone
            surplus -= gone

    def __repr__(self) -> str:
        head = f"'{self.name}' {self.neuron}"
        if not self.calls:
            return f"{head}: nothing recorded"
        shown: list[str] = []
        for trace in self.calls[:3]:
            given = {"spikes": trace.spikes, **trace.states}
            shown.append(" ".join(f"{name} {list(t.shape)}" for name, t in given.items() if t is not None))
        if len(self.calls) > 3:
            shown.append(f"... {len(self.calls)} calls")
        dropped = f", {self.dropped} older steps dropped" if self.dropped else ""
        return f"{head}: {'; '.join(shown)}{dropped}"

    def _first(self) -> Trace:
        if not self.calls:
            raise ConfigError(
                f"nothing was recorded of '{self.name}' ({self.neuron}): no call inside the block reached it. Call the "
                "network inside the `with` block; if its module was compiled by torch.compile before, record from the "
                "module that was given to torch.compile"
            )
        return self.calls[0]

    def _joined(self, what: str, part: Callable[[Trace], Tensor | None], remedy: str = "") -> Tensor:
        self._first()
        parts = [part(trace) for trace in self.calls]
        tensors = [p for p in parts if p is not None]
        if not tensors:
            raise ConfigError(f"'{self.name}': {what} were not recorded; ask for them with {remedy}")
        if len(tensors) == 1:
            return tensors[0]
        shapes = {tuple(t.shape[1:]) for t in tensors}
        if len(shapes) > 1:
            raise ShapeError(
                f"'{self.name}': the {len(tensors)} recorded calls have samples of different shapes {sorted(shapes)}, "
                f"so {what} cannot be joined along time; read them from .calls[i], or record one call at a time"
            )
        return torch.cat(tensors)


class Recording:
    """Everything that one ``net.record(...)`` block has seen: ``recording["layer"]``.

    It stays readable after the block; its tensors are detached copies.

    >>> from spikesim.neurons import IF
    >>> from spikesim.nn import Network
    >>> net = Network(torch.nn.Sequential(torch.nn.Identity(), IF()))
    >>> with net.record() as recording:
    ...     _ = net(torch.ones(3, 2, 4))
    >>> recording
    Recording of 1 layer, 120 bytes
      '1' IF: spikes [3, 2, 4]
    """

    def __init__(self, layers: dict[str, LayerRecording]) -> None:
        self._layers = layers

    def __getitem__(self, layer: str) -> LayerRecording:
        if layer not in self._layers:
            raise ConfigError(
                f"'{layer}' was not recorded; recorded are {', '.join(map(repr, self._layers)) or 'none'}"
            )
        return self._layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __contains__(self, layer: object) -> bool:
        return layer in self._layers

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(layer.nbytes for layer in self._layers.values())

    def numpy(self) -> dict[str, NDArray[Any]]:
        """Plain arrays by "layer/name", as ``numpy.savez(path, **recording.numpy())`` takes them."""
        arrays = {name: layer.numpy() for name, layer in self._layers.items() if layer.calls}
        return {f"{name}/{what}": array for name, parts in arrays.items() for what, array in parts.items()}

    def __repr__(self) -> str:
        count = len(self._layers)
        head = f"Recording of {count} layer{'' if count == 1 else 's'}, {in_bytes(self.nbytes)}"
        return "\n".join([head, *(f"  {layer!r}" for layer in self._layers.values())])


def _array(tensor: Tensor) -> NDArray[Any]:
    # NumPy has no bfloat16.
    tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return tensor.cpu().numpy()


def in_bytes(count: float) -> str:
    """A number of bytes in the unit that people read.

    >>> in_bytes(120), in_bytes(3 << 20)
    ('120 bytes', '3.0 MiB')
    """
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
