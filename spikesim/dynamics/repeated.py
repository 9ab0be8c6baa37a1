"""A call like an earlier one: what that one checked and arranged holds again, and is not worked out anew.

Small layers spend more time on the way to their kernel than in it. A call is recognised by everything that its
checks look at: the recorded step, sizes, strides, dtypes, devices and what wants a gradient. Values are no part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from spikesim.dynamics.execute import Settings
from spikesim.dynamics.layout import Form, memory_format
from spikesim.dynamics.operator import eager_infer, eager_train, is_plain
from spikesim.dynamics.prepare import along_channels, inside
from spikesim.dynamics.rows import Outcome, Rows, has_kernel, settings_of

if TYPE_CHECKING:
    from spikesim.dynamics.equations import Equations

_MOST = 4096  # calls that are remembered
_known: dict[Any, _Known] = {}


class _Known(NamedTuple):
    """What an earlier call found.

    Args:
        settings: of the call.
        train: whether a gradient is wanted.
        shape: ``(N, ...)``, one time step.
    """

    settings: Settings
    train: bool
    shape: tuple[int, ...]


class Signature(NamedTuple):
    """What a call is recognised by, and the tensors that it starts from.

    Args:
        key: equal for calls that need the same.
        states: initial states, each a single value.
        params: parameters as they act.
    """

    key: Any
    states: list[Tensor]
    params: list[Tensor]


def signature_of(neuron: Equations, x: Tensor, timesteps: int, form: Form) -> Signature | None:
    """The signature of a call without a given state or mask, or None if it is not an ordinary one.

    Args:
        neuron: which is called.
        x: its input.
        timesteps: T.
        form: how the input lies.
    """
    if neuron.draws or not is_plain(x) or not has_kernel(x):
        return None
    owned, buffers = neuron._parameters, neuron._buffers
    key = [
        neuron.program_text(), neuron.memory, form, timesteps, torch.is_grad_enabled(),
        x.shape, x.stride(), x.dtype, x.device, x.requires_grad,
    ]  # fmt: skip
    params, states = [], []
    for name, declared in neuron.params.items():
        value = buffers.get(name)
        if value is None:
            value = owned.get(name)
            if value is None:  # a parametrisation, which computes it
                return None
            key.append(value.requires_grad)
            if not inside(value, declared.min, declared.max):
                return None
        elif value.requires_grad:
            return None
        params.append(value)
        key += (value.shape, value.dtype, value.device)
    for name in neuron.states:
        value = buffers.get("initial_" + name)
        if value is None or value.dim() or value.requires_grad:
            return None
        states.append(value)
        key += (value.dtype, value.device)
    return Signature(tuple(key), states, params)


def repeat(neuron: Equations, x: Tensor, call: Signature) -> Outcome | None:
    """Run a call that is known; None if it is not."""
    known = _known.get(call.key)
    if known is None:
        return None
    params = call.params
    if any(p.dim() for p in params):
        layout = torch.contiguous_format if known.settings.form == "steps" else memory_format(x)
        params = [
            p if p.dim() == 0 else along_channels(p, known.shape).expand(known.shape).contiguous(memory_format=layout)
            for p in params
        ]
    run = eager_train if known.train else eager_infer
    out = run(x, call.states, params, None, None, known.settings)
    return out[0], dict(zip(neuron.states, out[1:]))


def remember(call: Signature, program: str, rows: Rows) -> None:
    """Note what a call needs that has just succeeded."""
    cast = any(s is not t for s, t in zip(call.states, rows.states.values()))
    cast |= any(
        p.dtype != q.dtype or (p.numel() == 1 and p.dim() > 0) for p, q in zip(call.params, rows.params.values())
    )
    if cast:
        return  # a state or parameter has to be converted each time
    if len(_known) >= _MOST:
        _known.clear()
    settings, train = settings_of(program, rows)
    _known[call.key] = _Known(settings, train, rows.shape)
