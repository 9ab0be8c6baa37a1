"""The base of every neuron: a subclass declares states, parameters and one ``step``; the rest follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from spikesim.dynamics import operator as kernels
from spikesim.dynamics.call import Call
from spikesim.dynamics.declarations import Param, SpikeType, State, constant
from spikesim.dynamics.emit import Kernel, Mode, emit, is_reserved
from spikesim.dynamics.program import Program, parse
from spikesim.dynamics.record import record
from spikesim.dynamics.rows import Rows, has_kernel, run_folded_reference, run_fused
from spikesim.dynamics.time import TimeAware
from spikesim.errors import ConfigError, GradientError, ReuseError, ShapeError, StateError, TimestepsError

_KERNEL_DTYPES = (torch.float32, torch.float64)


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

    states: ClassVar[dict[str, State]] = {}
    params: ClassVar[dict[str, Param]] = {}
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
        name = type(self).__name__
        initial, learnable = dict(initial or {}), {learnable} if isinstance(learnable, str) else set(learnable)
        _only_known(f"{name}: initial values", initial, self.states)
        _only_known(f"{name}: learnable parameters", learnable, self.params)
        _only_known(f"{name}: parameters", values, self.params)
        if taken := sorted(filter(is_reserved, (*self.states, *self.params))):
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
        super().__setattr__(name, value)
        if (
            name not in ("timesteps", "call", "path", "_text")
            and self._text is not None
            and not isinstance(value, Tensor)
        ):
            # A changed flag changes the equations; recording again at once keeps torch.compile from seeing it.
            self._text = None
            self.program_text()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        errors: list[str] = rest[-1]
        for key, param in self.params.items():
            try:
                param.check(f"{prefix}{key}", getattr(self, key))
            except ConfigError as error:
                errors.append(str(error))

    def program(self) -> Program:
        """The recorded step.

        >>> from spikesim.neurons import LI
        >>> print(LI().program())
        sub = sub(x, v)
        div = div(sub, tau)
        add = add(v, div)
        emit add
        v' = add
        """
        return parse(self.program_text())

    def program_text(self) -> str:
        """Canonical text of the recorded step; equal for neurons with equal equations."""
        if self._text is None:
            name = type(self).__name__
            self._text = record(self.step, tuple(self.states), tuple(self.params), name).text()
        return self._text

    def kernel_source(self, backend: str = "cpu", mode: Mode = "infer") -> str:
        """The source that is compiled for this neuron, in float32.

        Args:
            backend: "cpu".
            mode: "infer", "train" (keeps what the backward needs) or "backward".
        """
        if backend != "cpu":
            raise ConfigError(f"kernel_source: backend is {backend!r}, but only 'cpu' has a kernel")
        if mode not in ("infer", "train", "backward"):
            raise ConfigError(f"kernel_source: mode is {mode!r}, but it must be 'infer', 'train' or 'backward'")
        uniform = tuple(getattr(self, p).numel() == 1 for p in self.params)
        wrt = tuple(p for p in self.params if getattr(self, p).requires_grad)
        return emit(Kernel(self.program_text(), mode, "float32", uniform, wrt), type(self).__name__)

    def extra_repr(self) -> str:
        """Parameters in the module's printed form."""
        shown = {p: getattr(self, p) for p in self.params}
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
        if not isinstance(x, Tensor):
            raise ShapeError(f"{self._label()} received a {type(x).__name__}, but it takes a tensor [T, N, ...]")
        if not x.is_floating_point():
            raise ShapeError(f"{self._label()} received {x.dtype}, but neurons need a floating dtype; call x.float()")
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
        return out

    def _alone(self, x: Tensor) -> Tensor:
        if self.path is not None and not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1:
            raise GradientError(
                f"{self._label()} is recomputed in the backward, after its Network's call has ended; put "
                "torch.utils.checkpoint around the Network, not inside it"
            )
        if x.dim() < 2:
            raise ShapeError(f"{self._label()} received shape {tuple(x.shape)}, but it takes [T, N, ...]")
        if x.shape[0] == 0:
            raise TimestepsError(f"{self._label()} received T = 0 time steps; give it at least one")
        timesteps, samples = x.shape[:2]
        out, _ = self.run_rows(x.flatten(0, 1), timesteps)
        return out.reshape(timesteps, samples, *out.shape[1:])

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
        if timesteps < 1 or (not constant and x.shape[0] % timesteps != 0):
            raise TimestepsError(f"{self._label()}: {x.shape[0]} rows are not T*N with T = {timesteps} time steps")
        work = x if x.dtype in _KERNEL_DTYPES else x.float()
        layout = kernels.memory_format(work)
        work = work.contiguous(memory_format=layout)
        samples = work.shape[0] if constant else work.shape[0] // timesteps
        shape = (samples, *work.shape[1:])
        if mask is not None and (mask.dtype != torch.bool or tuple(mask.shape) != (timesteps, samples)):
            raise ShapeError(
                f"{self._label()}: mask is {mask.dtype} {tuple(mask.shape)}, but it must be torch.bool "
                f"[T, N] = {(timesteps, samples)}"
            )
        rows = Rows(
            work,
            timesteps,
            states={k: self._initial(k, state, work, shape) for k in self.states},
            params={k: self._value(k, work) for k in self.params},
            mask=mask,
            constant=constant,
            shape=shape,
        )
        if has_kernel(work):
            out, final = run_fused(self.program_text(), rows)
        else:
            out, final = run_folded_reference(self.step, rows)
        if self.emits.is_spike and out.dtype != x.dtype:
            out = out.to(x.dtype)
        return out, final

    def _initial(self, name: str, state: Mapping[str, Tensor] | None, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        given: Tensor = getattr(self, f"initial_{name}") if state is None else state[name]
        if state is None:
            _require_fit(f"{self._label()}: initial {name}", given, shape)
        elif not isinstance(given, Tensor):
            raise StateError(f"{self._label()}: state '{name}' is a {type(given).__name__}, but it must be a tensor")
        elif tuple(given.shape) != tuple(shape):
            raise StateError(
                f"{self._label()}: state '{name}' has shape {tuple(given.shape)}, but this batch needs {tuple(shape)}; "
                "start a new stream (or pass state=None) when the batch changes"
            )
        return given.to(device=like.device, dtype=like.dtype)

    def _value(self, name: str, like: Tensor) -> Tensor:
        value: Tensor = getattr(self, name).to(dtype=like.dtype)
        low, high = self.params[name].min, self.params[name].max
        if value.requires_grad and (low is not None or high is not None):
            value = value.clamp(low, high)
        if value.dim() == 1 and like.dim() > 2:
            value = value.reshape(-1, *[1] * (like.dim() - 2))
        _require_fit(f"{self._label()}: {name}", value, like.shape)
        return value

    def _label(self) -> str:
        return f"{type(self).__name__} '{self.path}'" if self.path else type(self).__name__


def _require_fit(what: str, value: Tensor, shape: Sequence[int]) -> None:
    trailing = zip(reversed(value.shape), reversed(shape[1:]))
    if value.dim() >= len(shape) or not all(size in (1, full) for size, full in trailing):
        if value.numel() == 1:
            return
        raise ShapeError(
            f"{what} has shape {tuple(value.shape)}, which does not fit one sample of shape {tuple(shape[1:])}; "
            "give one value, one per channel, or one per neuron"
        )


def _only_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigError(f"{what}: {', '.join(unknown)} unknown; known are {', '.join(sorted(known)) or 'none'}")
