"""The base of every neuron: a subclass declares states, parameters and one ``step``; the rest follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor

from spikesim.dynamics.call import Call
from spikesim.dynamics.declarations import Param, SpikeType, State, constant
from spikesim.dynamics.emit import emit
from spikesim.dynamics.emit_cuda import emit_cuda
from spikesim.dynamics.execute import Memory, compute_dtype
from spikesim.dynamics.layout import Form, memory_format, strided
from spikesim.dynamics.plan import Kernel, Mode
from spikesim.dynamics.prepare import CLOCK, bounded, clock_of, given_state, own_state, parameter
from spikesim.dynamics.program import Program, parse
from spikesim.dynamics.record import Step, record
from spikesim.dynamics.reserved import is_reserved
from spikesim.dynamics.rows import Rows, has_kernel, run_folded_reference, run_fused
from spikesim.dynamics.time import TimeAware
from spikesim.errors import ConfigError, DeviceError, GradientError, ReuseError, ShapeError, TimestepsError

_STORED = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class _TracedAtBirth(type):
    """Records a neuron's step as soon as it is built: a wrong equation fails there, not in training."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if not callable(getattr(cls, "step", None)):
            raise ConfigError(f"{cls.__name__} must define step(self, x, *, <states>, <params>)")
        neuron = super().__call__(*args, **kwargs)
        neuron.program_text()
        return neuron


class Neuron(TimeAware, metaclass=_TracedAtBirth):
    """A neuron is its equations: subclass, declare ``states`` and ``params``, write ``step``.

    ``step(x, **states, **params)`` returns what is emitted and the new value of every state, in plain
    arithmetic and the functions of :mod:`spikesim.dynamics.ops`. From it follow a reference path, the
    derived backward and the compiled kernels. Flags (``self.<name>``) are resolved while recording and
    may be changed afterwards.

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

    states: dict[str, State] = {}
    params: dict[str, Param] = {}
    draws: ClassVar[tuple[str, ...]] = ()  # uniform random numbers in (0, 1) that ``step`` receives by these names
    substeps: int = 1  # how often ``step`` runs per time step; spikes add up, of analog emissions the last stays
    fires_once_a_step: ClassVar[bool] = False  # whether sub-steps of one time step cannot fire twice, so stay binary
    memory: Memory = "auto"  # whether training keeps values of the forward or computes them again
    emits: SpikeType = SpikeType("binary")
    call: Call | None = None
    path: str | None = None  # qualified name inside the Network that last ran it
    _text: str | None = None
    step: Callable[..., tuple[Any, dict[str, Any]]]  # one time step, written by every subclass

    def __init__(
        self,
        *,
        initial: Mapping[str, float | Tensor] | None = None,
        learnable: Iterable[str] = (),
        **values: float | Tensor,
    ) -> None:
        super().__init__()
        self._texts: dict[bool, str] = {}  # the recorded step in training and in evaluation
        name = type(self).__name__
        initial, learnable = dict(initial or {}), {learnable} if isinstance(learnable, str) else set(learnable)
        _only_known(f"{name}: initial values", initial, self.states)
        _only_known(f"{name}: learnable parameters", learnable, self.params)
        _only_known(f"{name}: parameters", values, self.params)
        if taken := sorted(filter(is_reserved, (*self.states, *self.params, *self.draws))):
            raise ConfigError(f"{name}: the kernels use the name {', '.join(taken)} themselves; choose another")
        for key, param in self.params.items():
            if hasattr(Neuron, key):
                raise ConfigError(f"{name}: a neuron has an attribute '{key}' already; choose another name")
            value = constant(f"{name}: {key}", values.get(key, param.default))
            param.check(f"{name}: {key}", value)
            if key in learnable or param.learnable:
                if param.per != "layer" and value.dim() == 0:
                    raise ConfigError(
                        f"{name}: {key} is learnt per {param.per}; give a tensor of one value per {param.per}"
                    )
                self.register_parameter(key, torch.nn.Parameter(value))
            else:
                self.register_buffer(key, value)
        for key, state in self.states.items():
            self.register_buffer(f"initial_{key}", constant(f"{name}: initial {key}", initial.get(key, state.init)))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "memory" and value not in get_args(Memory):
            raise ConfigError(f"memory is {value!r}, but it must be one of {', '.join(get_args(Memory))}")
        if self._text is None or name in ("timesteps", "call", "path", "memory", "_text", "_texts"):
            super().__setattr__(name, value)
        elif name in self.params and isinstance(value, (int, float)):
            self.params[name].check(f"{type(self).__name__}: {name}", value)
            with torch.no_grad():
                getattr(self, name).fill_(value)
        elif name == "training":
            # Going to and fro between training and evaluation need not record the step each time.
            self._texts[self.training] = self._text
            super().__setattr__(name, value)
            self._text = self._texts.get(value)
            self.program_text()
        else:
            super().__setattr__(name, value)
            if not isinstance(value, Tensor):
                # A changed flag changes the equations; recording again at once keeps torch.compile from seeing it.
                self._texts.clear()
                self._text = None
                self.program_text()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        errors: list[str] = rest[-1]
        for key, param in self.params.items():
            # Training may leave a learnt value beyond its bound; it then acts as the bound.
            declared = Param(param.default) if key in self._parameters else param
            try:
                declared.check(f"{prefix}{key}", getattr(self, key))
            except ConfigError as error:
                errors.append(str(error))

    def equations(self) -> Step:
        """What is recorded, and run where there is no kernel; ``step`` unless a flag wraps it."""
        return self.step

    def state_names(self) -> tuple[str, ...]:
        """Names under which the neuron carries its state; ``clock`` among them if it draws random numbers.

        >>> from spikesim.neurons import LIF
        >>> LIF().state_names()
        ('v',)
        """
        return (*self.states, CLOCK) if self.draws else tuple(self.states)

    def program(self) -> Program:
        """The recorded step.

        >>> from spikesim.neurons import LI
        >>> print(LI().program())
        sub = sub(x, v)
        div = div(sub, tau)
        v_next = add(v, div)
        emit v_next
        v' = v_next
        """
        return parse(self.program_text())

    def program_text(self) -> str:
        """Canonical text of the recorded step; equal for neurons with equal equations."""
        if self._text is None:
            name = type(self).__name__
            if not isinstance(self.substeps, int) or self.substeps < 1:
                raise ConfigError(f"{name}: substeps is {self.substeps!r}, but it must be a whole number from 1")
            if self.substeps > 1 and self.emits == SpikeType("binary") and not self.fires_once_a_step:
                raise ConfigError(
                    f"{name}: the spikes of {self.substeps} sub-steps add up, so they are no longer binary; declare "
                    "emits = SpikeType('graded', bits=...), or 'analog' to emit the last sub-step's value"
                )
            program = record(
                self.equations(), tuple(self.states), tuple(self.params), name, self.draws, self.substeps,
                "sum" if self.emits.is_spike else "last",
            )  # fmt: skip
            self._text = program.text()
        return self._text

    def kernel_source(self, backend: str = "cpu", mode: Mode = "infer") -> str:
        """The source that is compiled for this neuron, in float32.

        Args:
            backend: "cpu" or "cuda".
            mode: "infer", "train" (keeps what the backward needs) or "backward".
        """
        write = {"cpu": emit, "cuda": emit_cuda}.get(backend)
        if write is None:
            raise ConfigError(f"kernel_source: backend is {backend!r}, but it must be 'cpu' or 'cuda'")
        if mode not in ("infer", "train", "backward"):
            raise ConfigError(f"kernel_source: mode is {mode!r}, but it must be 'infer', 'train' or 'backward'")
        uniform = tuple(getattr(self, p).numel() == 1 for p in self.params)
        wrt = tuple(p for p in self.params if getattr(self, p).requires_grad)
        return write(Kernel(self.program_text(), mode, "float32", uniform, wrt), type(self).__name__)

    def extra_repr(self) -> str:
        """Parameters in the module's printed form."""
        shown = {p: self.acting(p).detach() for p in self.params}
        single = {k: v.numel() == 1 and v.device.type != "meta" for k, v in shown.items()}
        return ", ".join(f"{k}={v.item():g}" if single[k] else f"{k}={tuple(v.shape)}" for k, v in shown.items())

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
        self._check_input(x, 1 if call is not None else 2, "[T, N, ...]")
        if call is None:
            return self._alone(x)
        path = self.path or ""
        if path in call.visited:
            raise ReuseError(
                f"neuron '{self.path}' was reached twice in one call, so its state would be ambiguous; give each use a "
                "neuron of its own (copy.deepcopy)"
            )
        call.visited.append(path)
        timesteps = self.timesteps or 0
        constant = call.constant and x.shape[0] == call.samples and timesteps != 1
        if not constant and x.shape[0] != timesteps * call.samples:
            raise TimestepsError(
                f"neuron '{self.path}' received {x.shape[0]} rows, but T*N is {timesteps}*{call.samples}; keep time "
                "folded into the batch"
            )
        state = call.state.get(path) if call.state is not None else None
        out, final = self.run_rows(x, timesteps, state=state, mask=call.mask, constant=constant)
        if call.keep:
            call.final[path] = final
        if call.spikes is not None and self.emits == SpikeType("binary"):
            call.spikes(out)
        return out

    def _check_input(self, x: Any, dims: int, form: str) -> None:
        if not isinstance(x, Tensor):
            raise ShapeError(f"{self._label()} received a {type(x).__name__}, but it takes a tensor {form}")
        if x.layout != torch.strided:
            raise ShapeError(f"{self._label()} received a {x.layout} tensor; give a dense one, x.to_dense()")
        if not x.is_floating_point():
            raise ShapeError(f"{self._label()} received {x.dtype}, but neurons need a floating dtype; call x.float()")
        if x.dim() < dims:
            raise ShapeError(f"{self._label()} received shape {tuple(x.shape)}, but it takes {form}")

    def _alone(self, x: Tensor) -> Tensor:
        if self.path is not None and not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1:
            raise GradientError(
                f"{self._label()} is recomputed in the backward, after its Network's call has ended; put "
                "torch.utils.checkpoint around the Network, not inside it"
            )
        if x.shape[0] == 0:
            raise TimestepsError(f"{self._label()} received T = 0 time steps; give it at least one")
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
        self._check_input(x, 1, "[T*N, ...]")
        if timesteps < 1 or (not constant and x.shape[0] % timesteps != 0):
            raise TimestepsError(f"{self._label()}: {x.shape[0]} rows are not T*N with T = {timesteps} time steps")
        return self._run(x, timesteps, "constant" if constant else "rows", state, mask)

    def _run(
        self, x: Tensor, timesteps: int, form: Form, state: Mapping[str, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        analog = not self.emits.is_spike
        work = x if x.dtype in _STORED and not (analog and x.dtype.itemsize < 4) else x.float()
        if form != "steps":
            # Random numbers are counted in the order of the sample, whatever its layout.
            layout = torch.contiguous_format if self.draws else memory_format(work)
            work = work.contiguous(memory_format=layout)
        sample = work.shape[2:] if form == "steps" else work.shape[1:]
        samples = work.shape[1] if form == "steps" else work.shape[0] // (1 if form == "constant" else timesteps)
        shape = (samples, *sample)
        if mask is not None and (mask.dtype != torch.bool or tuple(mask.shape) != (timesteps, samples)):
            raise ShapeError(
                f"{self._label()}: mask is {mask.dtype} {tuple(mask.shape)}, but it must be torch.bool "
                f"[T, N] = {(timesteps, samples)}"
            )
        if mask is not None and mask.device != x.device:
            raise DeviceError(
                f"{self._label()}: mask is on {mask.device}, but the input on {x.device}; call "
                f"mask.to({str(x.device)!r})"
            )
        compute, label = compute_dtype(work), self._label()
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
        else:
            out, final = run_folded_reference(self.equations(), self.program_text(), rows)
        if clock is not None:
            final[CLOCK] = torch.stack([clock[0], clock[1] + timesteps])
        if out.dtype != x.dtype and not analog:
            out = out.to(x.dtype)
        return out, final

    def acting(self, name: str) -> Tensor:
        """A parameter as it acts: a learnt one, frozen or not, within its bounds."""
        value: Tensor = getattr(self, name)
        low, high = self.params[name].min, self.params[name].max
        learnt = name in self._parameters or value.requires_grad
        return bounded(value, low, high) if learnt and (low is not None or high is not None) else value

    def _label(self) -> str:
        return f"{type(self).__name__} '{self.path}'" if self.path else type(self).__name__


def _only_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigError(f"{what}: {', '.join(unknown)} unknown; known are {', '.join(sorted(known)) or 'none'}")
