"""What a neuron is made of: declarations, parameters, flags, and the step recorded from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor

from spikesim.dynamics.checks import check_declared, check_known, check_switches, names_of
from spikesim.dynamics.declarations import Param, SpikeType, State, constant
from spikesim.dynamics.emit import emit
from spikesim.dynamics.emit_cuda import emit_cuda
from spikesim.dynamics.execute import Memory
from spikesim.dynamics.operator import is_plain
from spikesim.dynamics.plan import Kernel, Mode
from spikesim.dynamics.prepare import CLOCK, bounded, inside
from spikesim.dynamics.program import Program, parse
from spikesim.dynamics.record import Step, record
from spikesim.dynamics.rows import has_kernel
from spikesim.dynamics.stateful import Stateful
from spikesim.errors import ConfigError


class _TracedAtBirth(type):
    """Records a neuron's step as soon as it is built: a wrong equation fails there, not in training."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if not callable(getattr(cls, "step", None)):
            raise ConfigError(f"{cls.__name__} must define step(self, x, *, <states>, <params>)")
        check_switches(cls, kwargs)
        neuron = super().__call__(*args, **kwargs)
        neuron.program_text()
        return neuron


def _buffer(name: str, value: Any) -> Tensor:
    """What a buffer takes over: a tensor of its own, with dtype, device and graph of the one that was given."""
    checked = constant(name, value)
    return value.clone() if isinstance(value, Tensor) and value.is_floating_point() else checked


class Equations(Stateful, metaclass=_TracedAtBirth):
    """The part of a neuron that does not run: see :class:`spikesim.dynamics.Neuron`, the class to derive from.

    Raises:
        ConfigError: an unknown or out-of-range parameter.
        TraceError: ``step`` is not made of equations.
    """

    states: dict[str, State] = {}
    params: dict[str, Param] = {}
    draws: ClassVar[tuple[str, ...]] = ()  # uniform random numbers in (0, 1) that ``step`` receives by these names
    substeps: int = 1  # how often ``step`` runs per time step; spikes add up, of analog emissions the last stays
    fires_once_a_step: ClassVar[bool] = False  # whether sub-steps of one time step cannot fire twice, so stay binary
    memory: Memory = "auto"  # whether training keeps values of the forward or computes them again
    emits: SpikeType = SpikeType("binary")
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
        check_declared(name, self.states, self.params, self.draws, self.emits)
        if initial is not None and not isinstance(initial, Mapping):
            raise ConfigError(f"{name}: initial is {initial!r}, but it must be a dict, e.g. {{'v': 0.5}}")
        initial, learnable = dict(initial or {}), names_of(f"{name}: learnable", learnable)
        check_known(f"{name}: initial values", initial, self.states)
        check_known(f"{name}: learnable parameters", learnable, self.params)
        check_known(f"{name}: parameters", values, self.params)
        for key, param in self.params.items():
            if hasattr(type(self), key):
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
        elif name in self.params:
            self._set_parameter(name, value)
        elif name.startswith("initial_") and name[8:] in self.states and name in self._buffers:
            super().__setattr__(name, _buffer(f"{type(self).__name__}: {name.replace('_', ' ', 1)}", value))
        elif name == "training":
            self._set_training(value)
        elif isinstance(value, Tensor):
            super().__setattr__(name, value)
        else:
            self._set_flag(name, value)

    def _set_training(self, value: Any) -> None:
        """Going to and fro between training and evaluation need not record the step each time."""
        former: Any = self.training
        self._texts[former] = self.program_text()
        super().__setattr__("training", value)
        self._text = self._texts.get(value)
        try:
            self.program_text()
        except Exception:
            super().__setattr__("training", former)
            self._text = self._texts[former]
            raise

    def _set_flag(self, name: str, value: Any) -> None:
        """A changed flag changes the equations: record them at once, and keep the former ones if that fails."""
        check_switches(type(self), {name: value})
        former = {k: v for k, v in self.__dict__.items() if k in (name, "_text", "_texts")}
        modules = dict(self._modules)
        super().__setattr__(name, value)
        self._texts, self._text = {}, None
        try:
            self.program_text()
        except Exception:
            self.__dict__.pop(name, None)
            self.__dict__.update(former)
            self._modules.clear()
            self._modules.update(modules)
            raise

    def _set_parameter(self, name: str, value: Any) -> None:
        """Give the parameter other values, within its bounds; a learnable one keeps its shape and its identity."""
        owned = name in self._parameters or name in self._buffers
        if not owned or isinstance(value, torch.nn.Parameter):
            # torch itself takes parameters out and puts tensors in: replicas, sharding, parametrisations.
            super().__setattr__(name, value)
            return
        whole, held = f"{type(self).__name__}: {name}", getattr(self, name)
        number = _buffer(whole, value)
        self.params[name].check(whole, number)
        if name in self._buffers and (isinstance(value, Tensor) or number.dim() > 0 or held.requires_grad):
            super().__setattr__(name, number if isinstance(value, Tensor) else number.to(held.device))
        elif number.dim() > 0 and number.shape != held.shape:
            raise ConfigError(
                f"{whole} has shape {tuple(number.shape)}, but what is learnt has {tuple(held.shape)}; build a new "
                "neuron, or assign an nn.Parameter"
            )
        else:
            with torch.no_grad():
                held.copy_(number)

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
        for key in self.states:
            try:
                constant(f"{prefix}initial_{key}", getattr(self, f"initial_{key}"))
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
            check_declared(name, self.states, self.params, self.draws, self.emits)
            if type(self.substeps) is not int or self.substeps < 1:
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

    def acting(self, name: str) -> Tensor:
        """A parameter as it acts: a learnt one, frozen or not, within its bounds."""
        value: Tensor = getattr(self, name)
        low, high = self.params[name].min, self.params[name].max
        learnt = name in self._parameters or value.requires_grad
        if not learnt or (low is None and high is None):
            return value
        # Remembered calls do without bounds where they bind nothing, and a checkpoint must find every call the same.
        if is_plain(value) and has_kernel(value) and inside(value, low, high):
            return value
        return bounded(value, low, high)
