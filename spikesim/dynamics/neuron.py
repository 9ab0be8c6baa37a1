"""The base of every neuron: a subclass declares states, parameters and one ``step``; the rest follows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from spikesim.dynamics.checks import check_input, check_mask, check_state
from spikesim.dynamics.declarations import SpikeType
from spikesim.dynamics.equations import Equations
from spikesim.dynamics.execute import compute_dtype
from spikesim.dynamics.launch import settle_fork
from spikesim.dynamics.layout import Form, memory_format, strided
from spikesim.dynamics.prepare import CLOCK, clock_of, given_state, own_state, parameter
from spikesim.dynamics.repeated import remember, repeat, signature_of
from spikesim.dynamics.rows import Rows, has_kernel, run_folded_reference, run_fused
from spikesim.errors import TimestepsError

_STORED = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class Neuron(Equations):
    """A neuron is its equations: subclass, declare ``states`` and ``params``, write ``step``.

    ``step(x, **states, **params)`` returns what is emitted and the new value of every state, in plain
    arithmetic and the functions of :mod:`spikesim.dynamics.ops`. From it follow a reference path, the
    derived backward and the compiled kernels. Flags (``self.<name>``) are resolved while recording. They may be
    changed afterwards by assigning another value; a list or dict changed in place is not noticed.

    Args:
        initial: initial potential(s) by state name, a number or a tensor that broadcasts to one sample.
        learnable: names of the parameters to be trained.
        **values: parameters by name: a number, a tensor of one value per channel, or one per neuron.

    Shape:
        alone ``[T, N, ...] -> [T, N, ...]``; inside a Network ``[T*N, ...] -> [T*N, ...]``.

    Raises:
        ConfigError: an unknown or out-of-range parameter.
        TraceError: ``step`` is not made of equations.

    >>> import torch
    >>> from spikesim.dynamics import Neuron, Param, SpikeType, State
    >>> class Integrator(Neuron):
    ...     states = {"v": State()}
    ...     params = {"gain": Param(2.0)}
    ...     emits = SpikeType("analog")
    ...     def step(self, x, *, v, gain):
    ...         v = v + gain * x
    ...         return v, {"v": v}
    >>> Integrator()(torch.ones(3, 1)).flatten()
    tensor([2., 4., 6.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Run over all time steps.

        Args:
            x: ``[T, N, ...]``, or rows ``[T*N, ...]`` inside a Network.

        Returns:
            Emitted values of the same shape; spikes in the dtype of ``x``, analog values in at least float32.

        Raises:
            TimestepsError: T is 0 or does not divide the rows.
            ReuseError: reached twice in one call of a Network.
        """
        call = self.call if self.timesteps is not None else None
        check_input(self._label(), x, 1 if call is not None else 2, "[T, N, ...]")
        if call is None:
            return self._alone(x)
        visit = self.enter(call, x)
        out, final = self.run_rows(x, visit.timesteps, state=visit.state, mask=visit.mask, constant=visit.constant)
        self.leave(call, final)
        if call.spikes is not None and self.emits == SpikeType("binary"):
            call.spikes(out)
        return out

    def _alone(self, x: Tensor) -> Tensor:
        self.check_alone(x)
        timesteps = x.shape[0]
        if x.is_contiguous() or strided(x):
            return self._run(x, timesteps, "steps", None, None)[0]
        out, _ = self._run(x.flatten(0, 1), timesteps, "rows", None, None)
        return out.reshape(timesteps, x.shape[1], *out.shape[1:])

    def run_rows(
        self,
        x: Tensor,
        timesteps: int,
        *,
        state: Mapping[str, Tensor] | None = None,
        mask: Tensor | None = None,
        constant: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run on folded rows with explicit state.

        Args:
            x: ``[T*N, ...]``, or ``[N, ...]`` if ``constant``.
            timesteps: T.
            state: initial states, each ``[N, ...]``; None for the neuron's own.
            mask: bool ``[T, N]``; where False the state is kept and zero emitted.
            constant: the same rows are the input of every step.

        Returns:
            Emitted rows ``[T*N, ...]`` and final states ``[N, ...]``.

        Raises:
            TimestepsError: T is less than 1 or does not divide the rows.
            ShapeError: the mask or a parameter does not fit the rows.
            StateError: a state does not fit the rows.
        """
        if not isinstance(timesteps, (int, torch.SymInt)):
            raise TimestepsError(f"{self._label()}: T is {timesteps!r}, but it must be a whole number")
        check_input(self._label(), x, 1, "[T*N, ...]")
        if timesteps < 1 or (not constant and x.shape[0] % timesteps != 0):
            raise TimestepsError(f"{self._label()}: {x.shape[0]} rows are not T*N with T = {timesteps} time steps")
        return self._run(x, timesteps, "constant" if constant else "rows", state, mask)

    def _run(
        self, x: Tensor, timesteps: int, form: Form, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        repeated = signature_of(self, x, timesteps, form) if state is None and mask is None else None
        if repeated is not None and (outcome := repeat(self, x, repeated)) is not None:
            return outcome
        settle_fork()
        analog = not self.emits.is_spike
        work = x if x.dtype in _STORED and not (analog and x.dtype.itemsize < 4) else x.float()
        if form != "steps":
            # Random numbers are counted in the order of the sample, whatever its layout.
            layout = torch.contiguous_format if self.draws else memory_format(work)
            work = work.contiguous(memory_format=layout)
        sample = work.shape[2:] if form == "steps" else work.shape[1:]
        samples = work.shape[1] if form == "steps" else work.shape[0] // (1 if form == "constant" else timesteps)
        shape = (samples, *sample)
        compute, label = compute_dtype(work), self._label()
        if mask is not None:
            check_mask(label, mask, timesteps, samples, x.device)
        if state is not None:
            check_state(label, state, self.state_names())
        clock = clock_of(label, state, work.device) if self.draws else None
        rows = Rows(
            work,
            timesteps,
            states={
                k: own_state(label, k, getattr(self, f"initial_{k}"), work.device, compute, shape)
                if state is None
                else given_state(label, k, state.get(k), work.device, compute, shape)
                for k in self.states
            },
            params={k: parameter(label, k, self.acting(k), work, compute, shape) for k in self.params},
            mask=mask,
            clock=clock,
            form=form,
            memory=self.memory,
            shape=shape,
        )
        if has_kernel(work):
            out, final = run_fused(self.program_text(), rows)
            if repeated is not None and work is x:
                remember(repeated, self.program_text(), rows)
        else:
            out, final = run_folded_reference(self.equations(), self.program_text(), rows)
        if clock is not None:
            final[CLOCK] = torch.stack([clock[0], clock[1] + timesteps])
        if out.dtype != x.dtype and not analog:
            out = out.to(x.dtype)
        return out, final
