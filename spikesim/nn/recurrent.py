"""Neurons whose spikes come back to them one step later, through a layer of any kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_hooks
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import _disable_current_modes

from spikesim.dynamics import Neuron, Stateful, TimeAware
from spikesim.errors import ConfigError, ShapeError


class Recurrent(Stateful):
    """Feed a neuron's spikes back to it through lateral weights.

    .. code-block:: text

        s(t) = neuron(x(t) + lateral(s(t-1))),   s(-1) = 0

    The lateral layer may be any that keeps the shape of a step: :meth:`dense` and :meth:`convolutional` build the usual
    ones. Steps follow each other, so it costs T small calls where feed-forward layers cost one large one. What a
    stream carries is the last spikes, beside the state of the neuron. Source: Bellec et al., "Long short-term memory
    and Learning-to-learn in networks of spiking neurons", NeurIPS 2018; Cramer et al., IEEE TNNLS 2022.

    Args:
        neuron: whose output comes back.
        lateral: maps ``[N, ...]`` to the same shape; no neuron, batch-norm or other layer that sees time.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``; rows inside a Network.

    Raises:
        ConfigError: one of the two is of another kind.
        ShapeError: the lateral layer changes the shape.

    Example:
        >>> from spikesim.neurons import LIF
        >>> from spikesim.nn import Mean, Network
        >>> layers = nn.Sequential(nn.Linear(5, 8), Recurrent.dense(8, LIF()), nn.Linear(8, 3))
        >>> Network(layers, readout=Mean())(torch.rand(10, 4, 5)).shape
        torch.Size([4, 3])
    """

    def __init__(self, neuron: Neuron, lateral: nn.Module) -> None:
        super().__init__()
        if not isinstance(neuron, Neuron):
            raise ConfigError(f"Recurrent takes a neuron, not a {type(neuron).__name__}")
        if not isinstance(lateral, nn.Module):
            raise ConfigError(f"Recurrent: lateral is a {type(lateral).__name__}, but it must be a torch.nn.Module")
        for m in lateral.modules():
            if isinstance(m, (TimeAware, _BatchNorm)):
                raise ConfigError(
                    f"Recurrent: lateral holds a {type(m).__name__}, which would run once per time step without "
                    "knowing it; put it before or behind the recurrent layer"
                )
        self.neuron = neuron
        self.lateral = lateral

    @classmethod
    def dense(cls, features: int, neuron: Neuron, bias: bool = False) -> Recurrent:
        """All to all, ``[features, features]`` orthogonal to begin with.

        Example:
            >>> from spikesim.neurons import LIF
            >>> Recurrent.dense(3, LIF()).lateral
            Linear(in_features=3, out_features=3, bias=False)
        """
        lateral = nn.Linear(features, features, bias=bias)
        nn.init.orthogonal_(lateral.weight)
        return cls(neuron, lateral)

    @classmethod
    def convolutional(cls, channels: int, neuron: Neuron, kernel_size: int = 3, bias: bool = False) -> Recurrent:
        """From a neighbourhood of ``kernel_size`` in all channels, which must be odd.

        Example:
            >>> from spikesim.neurons import LIF
            >>> Recurrent.convolutional(2, LIF())(torch.rand(4, 1, 2, 6, 6)).shape
            torch.Size([4, 1, 2, 6, 6])
        """
        if not isinstance(kernel_size, int) or kernel_size % 2 != 1:
            raise ConfigError(f"Recurrent: kernel_size is {kernel_size!r}, but it must be an odd number")
        return cls(neuron, nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, bias=bias))

    def state_names(self) -> tuple[str, ...]:
        """The last spikes; the neuron inside carries its own."""
        return ("spikes",)

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Step through time."""
        call = self.neuron.call if self.neuron.timesteps is not None else None
        inner = None if call is None else self.neuron.enter(call, x.flatten(0, 1)).state
        first = self.carried(state, "spikes", x[0])
        counted = torch._C._len_torch_dispatch_stack() > 0 and not torch.compiler.is_compiling()
        with _disable_current_modes() if counted else _as_it_is():
            currents, spikes, final = self._loop(x, first, inner, mask)
        if call is not None:
            self.neuron.leave(call, final)
        last = spikes[-1]
        if mask is not None:
            last = _last_real(spikes, first, mask)
        if counted or _watched(self.neuron):
            spikes = self._show(currents, spikes, first, counted)
        return spikes, {"spikes": last}

    def _loop(
        self, x: Tensor, before: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        currents, emitted, final = [], [], dict(state or {})
        for t, row in enumerate(x.unbind(0)):
            back = self.lateral(before)
            if back.shape != row.shape:
                raise ShapeError(
                    f"{self._label()}: lateral gives {tuple(back.shape)}, but a step of the input is "
                    f"{tuple(row.shape)}; give it a layer that keeps the shape"
                )
            real = None if mask is None else mask[t]
            current = row + back
            out, final = self.neuron.run_rows(current, 1, state=state, mask=None if real is None else real.unsqueeze(0))
            # A masked step leaves the last spikes as they were.
            before = out if real is None else torch.where(real.reshape(-1, *[1] * (out.dim() - 1)), out, before)
            state = final
            currents.append(current)
            emitted.append(out)
        return torch.stack(currents), torch.stack(emitted), final

    def _show(self, currents: Tensor, spikes: Tensor, first: Tensor, counted: bool) -> Tensor:
        """Let whoever watches the neuron, or counts operations, see all steps as one call."""
        folded = self.timesteps is not None
        with _answering(self.neuron, spikes.flatten(0, 1) if folded else spikes):
            shown: Tensor = self.neuron(currents.flatten(0, 1) if folded else currents)
        if counted:
            # The lateral layer saw the spikes of the step before: here at once, for the count alone.
            rows = shown if folded else shown.flatten(0, 1)
            self.lateral(torch.cat([first, rows[: rows.shape[0] - first.shape[0]]]))
        return shown.reshape(spikes.shape)


def _last_real(spikes: Tensor, first: Tensor, mask: Tensor) -> Tensor:
    """Spikes of the last real step of every sample; what came before where there is none."""
    steps = torch.arange(1, mask.shape[0] + 1, device=mask.device).unsqueeze(1)
    place = (mask * steps).amax(0).reshape(1, -1, *[1] * (spikes.dim() - 2))
    return torch.take_along_dim(torch.cat([first.unsqueeze(0), spikes]), place, 0)[0]


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or global_hooks._global_forward_hooks)


@contextmanager
def _answering(module: nn.Module, out: Tensor) -> Iterator[None]:
    """Within it a call of the module runs its hooks and gives ``out``."""
    module.__dict__["forward"] = lambda x: out
    try:
        yield
    finally:
        del module.__dict__["forward"]
