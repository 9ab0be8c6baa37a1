"""Parallel spiking neurons: the membrane's recursion replaced by weights over time, so that all steps run at once.

Source: Fang et al., "Parallel Spiking Neurons with High Efficiency and Ability to Learn Long-term Dependencies",
NeurIPS 2023. None of them resets. Their spikes come from a :class:`spikesim.neurons.Threshold` neuron inside, which
recordings, firing rates and the energy ledger see.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from spikesim.dynamics import Stateful, Surrogate
from spikesim.errors import TimestepsError
from spikesim.neurons import Threshold
from spikesim.nn.counted import counted_as
from spikesim.nn.encoders import check_timesteps
from spikesim.nn.real_steps import RealSteps, with_history
from spikesim.nn.scheduled import Scheduled


def _fired(layer: Stateful, neuron: nn.Module, h: Tensor) -> Tensor:
    """Spikes of potentials ``[T, N, ...]``, alone or inside a Network."""
    if layer.timesteps is None:
        alone: Tensor = neuron(h)
        return alone
    spikes: Tensor = neuron(h.flatten(0, 1)).reshape(h.shape)
    return spikes


def _weights(*shape: int) -> nn.Parameter:
    weight = torch.empty(*shape)
    nn.init.kaiming_uniform_(weight, a=5**0.5)
    return nn.Parameter(weight)


class PSN(Stateful):
    """Parallel spiking neuron: every step looks at all steps, later ones too.

    .. code-block:: text

        h = W x + b,   W [T, T], b [T],   s(t) = [h(t) >= 0]

    (the threshold is -b, 1 to begin with). It is for whole recordings of one length; a stream needs
    :class:`MaskedPSN` or :class:`SlidingPSN`.

    Args:
        timesteps: T that it is trained with.
        surrogate: surrogate gradient of the spike; ``ATan()`` if None.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``; rows inside a Network.

    Raises:
        TimestepsError: another T, or a piece of a recording.

    Example:
        >>> PSN(timesteps=4)(torch.rand(4, 2, 3)).shape
        torch.Size([4, 2, 3])
    """

    def __init__(self, timesteps: int, surrogate: Surrogate | None = None) -> None:
        super().__init__()
        self.length = check_timesteps("PSN", timesteps)
        self.weight = _weights(self.length, self.length)
        self.bias = nn.Parameter(torch.full((self.length,), -1.0))
        self.neuron = Threshold(0.0, surrogate=surrogate)

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weigh all steps, fire."""
        if state is not None or x.shape[0] != self.length:
            what = "continues a recording" if state is not None else f"received {x.shape[0]}"
            raise TimestepsError(
                f"{self._label()} sees all T = {self.length} time steps at once, but {what}; give whole recordings of "
                f"T = {self.length}, build and train it with another timesteps, or stream with MaskedPSN or SlidingPSN"
            )
        h = counted_as(partial(self._by_steps, x), partial(self._at_once, x, mask))
        return _fired(self, self.neuron, h), {}

    def _at_once(self, x: Tensor, mask: Tensor | None) -> Tensor:
        real = None if mask is None else RealSteps(mask)
        steps = x if real is None else real.gather(x)
        h = torch.tensordot(self.weight.to(x.dtype), steps, 1) + self._wide(self.bias.to(x.dtype), x)
        return h if real is None else real.scatter(h)

    def _by_steps(self, x: Tensor) -> Tensor:
        """What is charged: for every value a product with each of the T weights, and their sum with the bias."""
        twice, t = torch.cat([x, x]), torch.arange(self.length, device=x.device)
        h = torch.zeros_like(x) + self._wide(self.bias.to(x.dtype), x)
        for k in range(self.length):
            h = h + self._wide(self.weight[t, (t + k) % self.length].to(x.dtype), x) * twice[k : k + self.length]
        return h

    def _wide(self, values: Tensor, like: Tensor) -> Tensor:
        return values.reshape(-1, *[1] * (like.dim() - 1))

    def extra_repr(self) -> str:
        """T in the module's printed form."""
        return f"timesteps={self.length}"


class MaskedPSN(Scheduled):
    """Parallel spiking neuron whose steps look at the last ``order`` steps only, so that it can be streamed.

    .. code-block:: text

        h(t) = sum_j W[t, t - j] x(t - j) + b(t),   j = 0 ... order - 1,   s(t) = [h(t) >= 0]

    It is the masked PSN at the end of its progressive masking (lambda = 1).

    Args:
        timesteps: T that it is trained with.
        order: how many steps it sees, at most T.
        surrogate: surrogate gradient of the spike; ``ATan()`` if None.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``; rows inside a Network.

    Raises:
        TimestepsError: another T, or ``order`` beyond it.

    Example:
        >>> MaskedPSN(timesteps=4, order=2)(torch.rand(4, 2, 3)).shape
        torch.Size([4, 2, 3])
    """

    def __init__(self, timesteps: int, order: int, surrogate: Surrogate | None = None) -> None:
        super().__init__(timesteps)
        self.order = check_timesteps("MaskedPSN: order", order)
        if self.order > self.length:
            raise TimestepsError(f"MaskedPSN: order is {order}, but it must be at most timesteps = {timesteps}")
        self.weight = _weights(self.length, self.length)
        self.bias = nn.Parameter(torch.full((self.length,), -1.0))
        self.neuron = Threshold(0.0, surrogate=surrogate)

    def state_names(self) -> tuple[str, ...]:
        """The last steps of the input, and how many lie behind."""
        return ("step", "history")

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weigh the last steps, fire."""
        place, final = self.places(x, state, mask)
        past, history, real = _past(self, x, self.order - 1, state, mask)
        if real is not None:
            # Of real steps moved to the front; what lies behind them is not read.
            steps = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
            place = (final["step"] - real.count + steps).long().clamp(max=self.length - 1)
        weight, wide = self.weight.to(x.dtype), [1] * (x.dim() - 2)
        h = self.bias.to(x.dtype)[place].reshape(*place.shape, *wide)
        for j in range(self.order):
            factor = torch.where(place >= j, weight[place, (place - j).clamp(min=0)], 0.0)
            start = self.order - 1 - j
            h = h + factor.reshape(*place.shape, *wide) * past[start : start + x.shape[0]]
        h = h if real is None else real.scatter(h)
        return _fired(self, self.neuron, h), {**final, "history": history}

    def extra_repr(self) -> str:
        """T and order in the module's printed form."""
        return f"timesteps={self.length}, order={self.order}"


class SlidingPSN(Stateful):
    """Parallel spiking neuron with the same weights at every step: for any T, and for streams.

    .. code-block:: text

        h(t) = sum_j w[order - 1 - j] x(t - j) + b,   j = 0 ... order - 1,   s(t) = [h(t) >= 0]

    Args:
        order: how many steps it sees.
        exponential: begin with the weights ..., 1/4, 1/2, 1 instead of random ones.
        surrogate: surrogate gradient of the spike; ``ATan()`` if None.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``; rows inside a Network.

    Raises:
        TimestepsError: ``order`` is less than 1.

    Example:
        >>> SlidingPSN(order=2)(torch.tensor([[0.8], [0.8], [0.2]])).flatten()  # 0.8, then 1.2, then 0.6
        tensor([0., 1., 0.], grad_fn=<ViewBackward0>)
    """

    def __init__(self, order: int, exponential: bool = True, surrogate: Surrogate | None = None) -> None:
        super().__init__()
        self.order = check_timesteps("SlidingPSN: order", order)
        falling = 0.5 ** torch.arange(self.order - 1, -1, -1, dtype=torch.float32)
        self.weight = nn.Parameter(falling) if exponential else nn.Parameter(_weights(1, self.order).data[0])
        self.bias = nn.Parameter(torch.tensor(-1.0))
        self.neuron = Threshold(0.0, surrogate=surrogate)

    def state_names(self) -> tuple[str, ...]:
        """The last steps of the input."""
        return ("history",)

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weigh the last steps, fire."""
        past, history, real = _past(self, x, self.order - 1, state, mask)
        parts = [w * past[k : k + x.shape[0]] for k, w in enumerate(self.weight.to(x.dtype).unbind(0))]
        h = torch.stack(parts).sum(0) + self.bias.to(x.dtype)
        return _fired(self, self.neuron, h if real is None else real.scatter(h)), {"history": history}

    def extra_repr(self) -> str:
        """The order in the module's printed form."""
        return f"order={self.order}"


def _past(
    layer: Stateful, x: Tensor, length: int, state: Mapping[str, Any] | None, mask: Tensor | None
) -> tuple[Tensor, Tensor, RealSteps | None]:
    like = x.new_empty(x.shape[1], length, *x.shape[2:])
    past, history, real = with_history(layer.carried(state, "history", like).transpose(0, 1), x, mask)
    return past, history.transpose(0, 1).contiguous(), real
