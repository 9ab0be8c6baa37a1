"""Layers that hold something of their own for every time step, and so are made for one T."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from spikesim.dynamics import Stateful
from spikesim.errors import TimestepsError
from spikesim.nn.encoders import check_timesteps


class Scheduled(Stateful):
    """Base of layers with values per time step; what it carries is how many steps of each sample lie behind.

    Args:
        timesteps: T that it is made for.

    Raises:
        TimestepsError: a call has another T. ``run`` and ``stream`` may come to it in pieces, and stop early.

    Example:
        >>> class Gain(Scheduled):
        ...     def run_steps(self, x, state, mask):
        ...         place, final = self.places(x, state, mask)
        ...         return x * (1.0 + place.unsqueeze(-1)), final
        >>> Gain(3)(torch.ones(3, 1, 1)).flatten()
        tensor([1., 2., 3.])
    """

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.length = check_timesteps(type(self).__name__, timesteps)

    def state_names(self) -> tuple[str, ...]:
        """The number of steps that lie behind."""
        return ("step",)

    def places(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Which of its steps each step of ``x [T, N, ...]`` is, int64 ``[T, N]``, and the state afterwards.

        Masked steps are not counted; theirs is a place within bounds that means nothing.
        """
        steps, samples = x.shape[:2]
        before = self.carried(state, "step", x.new_zeros(samples), torch.float32)
        pieces = state is not None or (self.timesteps is not None and self.call is not None and self.call.keep)
        if not pieces and steps != self.length:
            raise TimestepsError(
                f"{self._label()} is made for T = {self.length} time steps, but received {steps}; cut or bin the "
                f"recordings to T = {self.length}, or build and train it with timesteps={steps}"
            )
        if mask is None:
            place = before + torch.arange(steps, device=x.device).unsqueeze(1)
            after = before + steps
        else:
            counted = mask.cumsum(0)
            place, after = (before + counted - 1).clamp(min=0), before + counted[-1]
        if pieces and samples and float(after.max()) > self.length:
            raise TimestepsError(
                f"{self._label()} is made for T = {self.length} time steps, but a recording has come to "
                f"{int(after.max())}; start a new stream for each recording, or train it with a larger timesteps"
            )
        return place.long(), {"step": after}

    def extra_repr(self) -> str:
        """T in the module's printed form."""
        return f"timesteps={self.length}"
