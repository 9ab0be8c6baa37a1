"""A linear layer whose synapses have delays that are learnt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikesim.dynamics import Stateful
from spikesim.dynamics.prepare import bounded
from spikesim.errors import ConfigError, LedgerError, ShapeError
from spikesim.nn.counted import being_counted, counted_as, uncounted
from spikesim.nn.encoders import check_timesteps
from spikesim.nn.real_steps import RealSteps, with_history

Shape = Literal["linear", "gauss"]


class DelayedLinear(Stateful):
    """A dense layer in which every synapse has a weight and a delay of its own, both learnt.

    .. code-block:: text

        y_o(t) = b_o + sum_i w_oi sum_k K(k - d_oi) x_i(t - k),   k = 0 ... max_delay
        K(z)   = max(0, 1 - |z|)                                  (shape="linear")
        K(z)   = exp(-z^2 / (2 sigma^2)), with sum_k K = 1        (shape="gauss")

    A whole delay under "linear" is that shift exactly. "gauss" sees more of the past while ``sigma`` is large: let it
    shrink over training (``layer.sigma *= 0.95``), and end with :meth:`rounded`. Source: Hammouamri et al., "Learning
    Delays in Spiking Neural Networks using Dilated Convolutions with Learnable Spacings", ICLR 2024.
    What a stream carries is the last ``max_delay`` steps of the input.

    Args:
        inputs: features of the input.
        outputs: features of the output.
        max_delay: largest delay in time steps.
        shape: of the kernel between whole steps.
        sigma: initial width under "gauss", in time steps; half of max_delay if None.
        bias: learn an offset.

    Shape:
        ``[T, N, inputs] -> [T, N, outputs]``; rows inside a Network.

    Raises:
        ConfigError: a size is out of range.
        ShapeError: the input has other features.
        LedgerError: its operations are counted, but delays lie between whole steps.

    Example:
        >>> layer = DelayedLinear(1, 1, max_delay=3)
        >>> with torch.no_grad():
        ...     _ = layer.weight.fill_(1.0), layer.delay.fill_(2.0)
        >>> layer(torch.tensor([1.0, 0.0, 0.0, 5.0]).reshape(4, 1, 1)).detach().flatten()
        tensor([0., 0., 1., 0.])
    """

    sigma: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        max_delay: int,
        *,
        shape: Shape = "linear",
        sigma: float | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        for name, size in (("inputs", inputs), ("outputs", outputs)):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ConfigError(f"DelayedLinear: {name} is {size!r}, but it must be a whole number of at least 1")
        if shape not in get_args(Shape):
            raise ConfigError(f"DelayedLinear: shape is {shape!r}, but it must be one of {', '.join(get_args(Shape))}")
        if sigma is not None and not sigma > 0:
            raise ConfigError(f"DelayedLinear: sigma is {sigma!r}, but it must be a positive number of time steps")
        self.max_delay = check_timesteps("DelayedLinear: max_delay", max_delay)
        self.shape = shape
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.delay = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.register_buffer("sigma", torch.tensor(float(max_delay / 2 if sigma is None else sigma)))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        nn.init.uniform_(self.delay, 0.0, float(max_delay))

    def state_names(self) -> tuple[str, ...]:
        """The last steps of the input."""
        return ("history",)

    def kernel(self) -> Tensor:
        """Weights by delay, ``[outputs, inputs, max_delay + 1]``."""
        delay = bounded(self.delay, 0.0, float(self.max_delay)).unsqueeze(-1)
        z = torch.arange(self.max_delay + 1, device=delay.device, dtype=delay.dtype) - delay
        if self.shape == "linear":
            spread = (1.0 - z.abs()).clamp(min=0.0)
        else:
            spread = (-0.5 * (z / self.sigma.clamp(min=1e-3)) ** 2).softmax(-1)
        return self.weight.unsqueeze(-1) * spread

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Convolve with the past."""
        if x.dim() != 3 or x.shape[2] != self.weight.shape[1]:
            raise ShapeError(
                f"{self._label()} takes [T, N, {self.weight.shape[1]}], but received {tuple(x.shape)} (with time apart)"
            )
        like = x.new_empty(x.shape[1], self.max_delay, x.shape[2])
        history = self.carried(state, "history", like).transpose(0, 1)
        with uncounted() if being_counted() else nullcontext():
            past, history, real = with_history(history, x, mask)
        y = counted_as(partial(self._arriving, x), partial(self._convolved, past, real))
        return y, {"history": history.transpose(0, 1).contiguous()}

    def _convolved(self, past: Tensor, real: RealSteps | None) -> Tensor:
        # A convolution looks forward: the kernel is turned round.
        kernel = self.kernel().flip(-1).to(past.dtype)
        y = functional.conv1d(past.permute(1, 2, 0), kernel, self.bias).permute(2, 0, 1)
        return y if real is None else real.scatter(y)

    def _arriving(self, x: Tensor) -> Tensor:
        """What is charged: every synapse by the events that arrive at it, in the step in which they do."""
        with uncounted():
            whole = self.shape == "linear" and bool((self.delay == self.delay.round()).all())
        if not whole:
            raise LedgerError(
                f"{self._label()} has delays between whole steps, for which one event crosses a synapse in several "
                "parts; round them in a copy of the network before operations are counted: layer.rounded()"
            )
        return functional.linear(x.flatten(0, 1), self.weight, self.bias).reshape(*x.shape[:2], -1)

    @torch.no_grad()
    def rounded(self) -> None:
        """Round every delay to whole steps and make the kernel exact, as for inference on event-driven hardware."""
        self.delay.clamp_(0.0, float(self.max_delay)).round_()
        self.shape = "linear"

    def extra_repr(self) -> str:
        """Sizes in the module's printed form."""
        outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}, max_delay={self.max_delay}, shape={self.shape!r}"
