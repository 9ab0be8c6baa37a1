"""What carries state through time inside a Network: the one definition of how state comes and goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from spikesim.dynamics.call import Call
from spikesim.dynamics.checks import check_input
from spikesim.dynamics.time import TimeAware
from spikesim.errors import GradientError, ReuseError, StateError, TimestepsError


class Visit(NamedTuple):
    """What a layer is told when a call of a Network reaches it.

    Args:
        timesteps: T of the call, which is that of a chunk in a stream.
        constant: whether its rows ``[N, ...]`` are the input of every step.
        state: what it carried so far, or None at the start of a recording.
        mask: bool ``[T, N]``, or None.
    """

    timesteps: int
    constant: bool
    state: Mapping[str, Tensor] | None
    mask: Tensor | None


class Stateful(TimeAware):
    """A module that carries state through time. Neurons are; recurrent layers, delays, held dropout are others.

    A subclass names what it carries (:meth:`state_names`) and runs over all steps at once (:meth:`run_steps`). A
    :class:`spikesim.nn.Network` then folds and unfolds time for it, saves, restores and detaches its state, and hands
    it the mask of real steps. A masked step must leave the state as it was.

    Shape:
        alone ``[T, N, ...] -> [T, N, ...]``; inside a Network ``[T*N, ...] -> [T*N, ...]``.

    Raises:
        TimestepsError: T is 0, or the rows are not T*N.
        ReuseError: reached twice in one call of a Network.

    Example:
        >>> class Sum(Stateful):
        ...     def state_names(self):
        ...         return ("sum",)
        ...     def run_steps(self, x, state, mask):
        ...         if mask is not None:
        ...             x = x * mask.reshape(*mask.shape, *[1] * (x.dim() - 2))
        ...         before = self.carried(state, "sum", x[0])
        ...         sums = before + x.cumsum(0)
        ...         return sums, {"sum": sums[-1]}
        >>> Sum()(torch.ones(3, 1)).flatten()
        tensor([1., 2., 3.])
        >>> from spikesim.nn import Network
        >>> session = Network(Sum()).stream()
        >>> session(torch.ones(2, 1, 1)).flatten(), session(torch.ones(1, 1, 1)).flatten()
        (tensor([1., 2.]), tensor([3.]))
    """

    static: ClassVar[bool] = False  # whether a single step of it means what it means in an ANN without time
    call: Call | None = None
    path: str | None = None  # qualified name inside the Network that last ran it

    def state_names(self) -> tuple[str, ...]:
        """Names under which it carries its state, as it is now; none for a layer without."""
        return ()

    def run_steps(
        self, x: Tensor, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run over T steps.

        Args:
            x: ``[T, N, ...]``, T at least 1.
            state: what it returned after the steps before these, or None at the start.
            mask: bool ``[T, N]``, True where a step is real, or None.

        Returns:
            Output ``[T, N, ...]``, and the state after the last step by the names of :meth:`state_names`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define run_steps(self, x, state, mask)")

    def forward(self, x: Tensor) -> Tensor:
        """Run over all time steps, as the class says."""
        call = self.call if self.timesteps is not None else None
        check_input(self._label(), x, 1 if call is not None else 2, "[T, N, ...]")
        if call is None:
            self.check_alone(x)
            return self.run_steps(x, None, None)[0]
        visit = self.enter(call, x)
        sample = (call.samples, *x.shape[1:])
        steps = x.expand(visit.timesteps, *sample) if visit.constant else x.reshape(visit.timesteps, *sample)
        out, final = self.run_steps(steps, visit.state, visit.mask)
        self.leave(call, final)
        return out.flatten(0, 1)

    def enter(self, call: Call, x: Tensor) -> Visit:
        """Be reached by a call of a Network with the rows ``x``.

        Raises:
            ReuseError: the call was here before.
            TimestepsError: the rows are not T*N.
        """
        path, timesteps = self.path or "", self.timesteps or 0
        if path in call.visited:
            raise ReuseError(
                f"{self._label()} was reached twice in one call, so its state would be ambiguous; give each use a "
                "layer of its own (copy.deepcopy)"
            )
        call.visited.append(path)
        constant = call.constant and x.shape[0] == call.samples and timesteps != 1
        if not constant and x.shape[0] != timesteps * call.samples:
            raise TimestepsError(
                f"{self._label()} received {x.shape[0]} rows, but T*N is {timesteps}*{call.samples}; keep time "
                "folded into the batch"
            )
        return Visit(timesteps, constant, call.state.get(path) if call.state is not None else None, call.mask)

    def leave(self, call: Call, final: dict[str, Tensor]) -> None:
        """Hand over the state after the last step."""
        if call.keep:
            call.final[self.path or ""] = final

    def check_alone(self, x: Tensor) -> None:
        """Raise unless ``x [T, N, ...]`` can be run outside a Network."""
        if self.path is not None and not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1:
            raise GradientError(
                f"{self._label()} is recomputed in the backward, after its Network's call has ended; put "
                "torch.utils.checkpoint around the Network, not inside it, or use Network(..., checkpoint_time=K)"
            )
        if x.shape[0] == 0:
            raise TimestepsError(f"{self._label()} received T = 0 time steps; give it at least one")

    def carried(
        self, state: Mapping[str, Tensor] | None, name: str, like: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """A state that was carried so far; zeros like ``like`` at the start.

        Args:
            state: as in :meth:`run_steps`.
            name: of the state.
            like: a tensor of its shape and device.
            dtype: of its values; that of ``like`` if None.

        Raises:
            StateError: it is missing, or of another shape.
        """
        wanted = like.dtype if dtype is None else dtype
        if state is None:
            return like.new_zeros(like.shape, dtype=wanted)
        given = state.get(name)
        if not isinstance(given, Tensor) or not given.is_floating_point():
            what = given.dtype if isinstance(given, Tensor) else type(given).__name__
            raise StateError(f"{self._label()}: state '{name}' is a {what}, but it must be a floating-point tensor")
        if given.shape != like.shape:
            raise StateError(
                f"{self._label()}: state '{name}' has shape {tuple(given.shape)}, but this batch needs "
                f"{tuple(like.shape)}; start a new stream (or pass state=None) when the batch changes"
            )
        return given.to(device=like.device, dtype=wanted)

    def _label(self) -> str:
        return f"{type(self).__name__} '{self.path}'" if self.path else type(self).__name__
