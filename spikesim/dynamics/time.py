"""What must see time: the attribute by which a Network tells its modules how many steps are folded."""

from __future__ import annotations

import torch
from torch import nn

from spikesim.errors import TimestepsError


class TimeAware(nn.Module):
    """A module that needs to know how many time steps are folded into the batch.

    Inside a :class:`spikesim.nn.Network` a tensor is ``[T*N, ...]`` and ``timesteps`` is T for the length of the
    call; outside it is None and a tensor is ``[T, N, ...]``. It is a plain attribute, not a context
    variable, because only an attribute survives ``torch.compile(fullgraph=True)`` and strict export.

    >>> from spikesim.neurons import IF
    >>> IF().timesteps is None
    True
    """

    timesteps: int | None = None

    def unfold(self, x: torch.Tensor) -> torch.Tensor:
        """View a folded ``[T*N, ...]`` tensor as ``[T, N, ...]``; a ``[T, N, ...]`` one passes unchanged."""
        if self.timesteps is None:
            return x
        if x.shape[0] % self.timesteps:
            raise TimestepsError(
                f"{type(self).__name__} received {x.shape[0]} rows, which {self.timesteps} time steps do not "
                "divide; inside a Network every activation must keep T*N rows"
            )
        return x.reshape(self.timesteps, x.shape[0] // self.timesteps, *x.shape[1:])
