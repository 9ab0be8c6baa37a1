"""Run batch-norm, neuron and 2x2 pool as one kernel where that cannot change what is computed.

Between a convolution and the next one lie three layers that each read and write the whole activation. Fused, the
convolution's output is read once and nothing but it is kept for the backward. A :class:`spikesim.nn.Network` fuses
neighbours in ``nn.Sequential`` on its own (``Network(..., fuse=False)`` or ``net.fuse = False`` turns it off); in a
``forward`` of your own, :func:`norm_neuron_pool` does the same for layers that you name.

Whatever is unusual runs layer by layer: hooks on a member, a mask, compiled, exported, transformed or counted calls,
subclasses, other kernel sizes, neurons that draw random numbers or take sub-steps, tensors that are not channels-last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from spikesim.dynamics import Neuron, SpikeType
from spikesim.dynamics.execute import compute_dtype
from spikesim.dynamics.fused_operator import FusedCall, FusedLayer, affine, normalised, run_layer
from spikesim.dynamics.fused_plan import Pool
from spikesim.dynamics.operator import is_plain
from spikesim.dynamics.prepare import given_state, own_state, parameter
from spikesim.dynamics.program import parse
from spikesim.dynamics.rows import has_kernel
from spikesim.errors import ConfigError
from spikesim.nn.fused_norm import Normalisation, normalisation

_STORED = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_GLOBAL_HOOKS = tuple(
    getattr(hooks, f"_global_{name}")
    for name in ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
)


class Group(NamedTuple):
    """Neighbouring layers that one kernel can serve."""

    norm: nn.BatchNorm2d
    neuron: Neuron
    pool: nn.Module | None
    kind: Pool


def norm_neuron_pool(x: Tensor, norm: nn.BatchNorm2d, neuron: Neuron, pool: nn.Module | None = None) -> Tensor:
    """``pool(neuron(norm(x)))``, in one kernel where possible.

    For a ``forward`` of your own, inside a :class:`spikesim.nn.Network`. Batch statistics, running averages and all
    gradients are those of the three layers.

    Args:
        x: output of a convolution, ``[T*N, C, H, W]``; fused if channels-last and on the CPU.
        norm: batch-norm.
        neuron: any neuron.
        pool: ``MaxPool2d(2)``, ``AvgPool2d(2)``, any other module (which then runs by itself), or None.

    Raises:
        ConfigError: ``neuron`` is no neuron.

    >>> from spikesim.neurons import LIF
    >>> from spikesim.nn import Network
    >>> class Block(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.neuron, self.pool = nn.BatchNorm2d(3), LIF(), nn.MaxPool2d(2)
    ...     def forward(self, x):
    ...         return norm_neuron_pool(x, self.norm, self.neuron, self.pool)
    >>> Network(Block())(torch.rand(4, 2, 3, 6, 6)).shape
    torch.Size([4, 2, 3, 3, 3])
    """
    if not isinstance(neuron, Neuron):
        raise ConfigError(f"norm_neuron_pool takes a neuron, not a {type(neuron).__name__}")
    layers = [norm, neuron] if pool is None else [norm, neuron, pool]
    return _run(layers, x)


@contextmanager
def fusing(module: nn.Module) -> Iterator[None]:
    """Within it the ``nn.Sequential``s inside ``module`` fuse their layers.

    Each gets a ``forward`` of its own for that time: its children are called as before where they do not fuse, and
    whoever reaches past it to a child runs that child alone.
    """
    found: list[Any] = [] if _compiled(module) else list(module.modules())
    chosen = [m for m in found if _is_sequential(m) and _has_group(m)]
    for sequential in chosen:
        sequential.__dict__["forward"] = partial(_forward, sequential)
    try:
        yield
    finally:
        for sequential in chosen:
            del sequential.__dict__["forward"]


def groups(sequential: nn.Sequential) -> list[tuple[nn.Module, ...]]:
    """The neighbouring layers of a container that fuse when nothing unusual happens.

    >>> from spikesim.neurons import LIF
    >>> found = groups(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), LIF(), nn.MaxPool2d(2)))
    >>> [type(m).__name__ for m in found[0]]
    ['BatchNorm2d', 'LIF', 'MaxPool2d']
    """
    layers = list(sequential)
    found = [_group(layers, k) for k in range(len(layers))]
    return [tuple(m for m in (g.norm, g.neuron, g.pool) if m is not None) for g in found if g is not None]


def _forward(sequential: nn.Module, input: Any) -> Any:
    return _run(_layers(sequential), input)


def _run(layers: Sequence[nn.Module], x: Any) -> Any:
    k = 0
    while k < len(layers):
        group = _group(layers, k)
        out = _fused(group, x) if group is not None else None
        if group is None or out is None:
            x = layers[k](x)
            k += 1
        else:
            x = out
            k += 2 if group.pool is None else 3
    return x


def _layers(module: nn.Module) -> list[nn.Module]:
    # As the container itself goes through them: one that stands in it twice counts twice.
    return [layer for layer in module._modules.values() if layer is not None]


def _is_sequential(module: nn.Module) -> bool:
    return type(module).forward is nn.Sequential.forward and "forward" not in module.__dict__


def _has_group(module: nn.Module) -> bool:
    layers = _layers(module)
    return any(_group(layers, k) is not None for k in range(len(layers)))


def _compiled(module: nn.Module) -> bool:
    # Compiled code guards on every forward that it has seen: changing one would compile it anew in every call.
    if torch.compiler.is_compiling():
        return True
    return any(m._compiled_call_impl is not None or "_orig_mod" in m._modules for m in module.modules())


def _group(layers: Sequence[nn.Module], k: int) -> Group | None:
    """The group that begins with layer ``k``, by the types of the layers."""
    norm = layers[k]
    if type(norm) is not nn.BatchNorm2d or k + 1 == len(layers):
        return None
    neuron = layers[k + 1]
    if not isinstance(neuron, Neuron) or not _is_plain_neuron(neuron):
        return None
    pool = layers[k + 2] if k + 2 < len(layers) else None
    kind = _pool_kind(pool)
    return Group(norm, neuron, None if kind == "none" else pool, kind)


def _is_plain_neuron(neuron: Neuron) -> bool:
    kind = type(neuron)
    own = kind.forward is Neuron.forward and kind.run_rows is Neuron.run_rows and kind._run is Neuron._run
    return own and not neuron.draws and neuron.substeps == 1 and neuron.memory != "keep"


def _pool_kind(pool: nn.Module | None) -> Pool:
    if type(pool) is nn.MaxPool2d:
        plain = not pool.return_indices and _pair(pool.dilation) == (1, 1)
        kind: Pool = "max"
    elif type(pool) is nn.AvgPool2d:
        plain = pool.divisor_override is None
        kind = "average"
    else:
        return "none"
    sizes = _pair(pool.kernel_size) == _pair(pool.stride) == (2, 2) and _pair(pool.padding) == (0, 0)
    return kind if plain and sizes and not pool.ceil_mode else "none"


def _pair(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def _fused(group: Group, x: Any) -> Tensor | None:
    """The output of a group, or None if it must run layer by layer."""
    if not _usual(group, x):
        return None
    neuron = group.neuron
    call, timesteps, path = neuron.call, neuron.timesteps, neuron.path or ""
    if call is None or timesteps is None or call.mask is not None or path in call.visited:
        return None
    if x.shape[0] != timesteps * call.samples or (call.constant and call.samples == x.shape[0] and timesteps != 1):
        return None
    dtype, channels = compute_dtype(x), x.shape[1]
    shape = (call.samples, *x.shape[1:])
    label = neuron._label()
    values = {k: parameter(label, k, neuron.acting(k), x, dtype, shape) for k in neuron.params}
    if any(v.numel() != 1 and tuple(v.shape) != (channels, 1, 1) for v in values.values()):
        return None
    given = call.state.get(path) if call.state is not None else None
    states = {
        k: own_state(label, k, getattr(neuron, f"initial_{k}"), x.device, dtype, shape)
        if given is None
        else given_state(label, k, given[k], x.device, dtype, shape)
        for k in neuron.states
    }
    norm = normalisation(group.norm, x)
    if norm is None:
        return None
    call.visited.append(path)
    if neuron._forward_hooks:
        _show(neuron, x, norm, given)
    spread = [s.expand(shape).contiguous(memory_format=torch.channels_last) for s in states.values()]
    out, *finals = _computed(neuron, x, norm, spread, [v.contiguous() for v in values.values()], group.kind)
    if call.keep:
        call.final[path] = dict(zip(neuron.states, finals))
    if call.spikes is not None and neuron.emits == SpikeType("binary") and group.kind != "average":
        call.spikes(out)
    return out


def _observed(module: nn.Module) -> bool:
    """Whether a module has no hooks but a recording's, which have a second entrance for fused layers."""
    if module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
        return False
    return all(hasattr(hook, "fused") for hook in module._forward_hooks.values())


def _show(neuron: Neuron, x: Tensor, norm: Normalisation, state: Mapping[str, Tensor] | None) -> None:
    """Let recordings run steps of the neuron again by itself, on what it receives."""
    timesteps = neuron.timesteps or 1
    samples = x.shape[0] // timesteps
    with torch.no_grad():
        scale, shift = affine(norm.weight, norm.bias, norm.mean, norm.inverse)

    def advance(steps: slice, states: Mapping[str, Tensor] | None) -> tuple[Tensor, dict[str, Tensor]]:
        z = normalised(x.detach()[steps.start * samples : steps.stop * samples], scale, shift)
        out, final = neuron.run_rows(z, steps.stop - steps.start, state=state if states is None else states)
        return out.to(x.dtype), final

    watches: list[Any] = list(neuron._forward_hooks.values())
    for watch in watches:
        watch.fused(timesteps, samples, advance, x.device)


def _usual(group: Group, x: Any) -> bool:
    """Whether nothing watches or transforms the call, and the input is of a kind that kernels read."""
    if not isinstance(x, Tensor) or not is_plain(x) or torch._C._get_tracing_state() is not None:
        return False
    if torch._C._len_torch_function_stack() or any(_GLOBAL_HOOKS) or not has_kernel(x):
        return False
    members = (group.norm, group.neuron) if group.pool is None else (group.norm, group.neuron, group.pool)
    if any("forward" in m.__dict__ or not _observed(m) for m in members):
        return False
    if x.device.type != "cpu" or x.dtype not in _STORED or x.dim() != 4 or x.numel() == 0:
        return False
    # Half precision rounds what is emitted before it is pooled: exact for spikes, not for other values.
    exact = group.neuron.emits.kind in ("binary", "signed") and group.neuron.emits.scale == 1.0
    if x.dtype.itemsize < 4 and not exact:
        return False
    whole = group.kind == "none" or min(x.shape[2:]) >= 2
    return whole and x.is_contiguous(memory_format=torch.channels_last)


def _computed(
    neuron: Neuron, x: Tensor, norm: Normalisation, states: list[Tensor], params: list[Tensor], kind: Pool
) -> Sequence[Tensor]:
    names = parse(neuron.program_text()).params
    learnt = tuple(n for n, p in zip(names, params) if p.requires_grad)
    call = FusedCall(neuron.program_text(), neuron.timesteps or 1, kind, len(states), learnt, norm.batch_statistics)
    differentiable = (x, norm.weight, norm.bias, *states, *params)
    constants = (norm.weight, norm.bias, norm.mean, norm.inverse)
    if torch.is_grad_enabled() and any(t.requires_grad for t in differentiable):
        out: Sequence[Tensor] = FusedLayer.apply(  # type: ignore[no-untyped-call]
            call, norm.size, x, *constants, *states, *params
        )
        return out
    return run_layer(x, *affine(*constants), states, params, call)
