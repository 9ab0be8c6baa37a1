"""A network of snnTorch as a Network: equal spikes, all steps in one call."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from spikesim.converters.snntorch_neurons import RETURNED, is_snntorch, neuron_of
from spikesim.converters.snntorch_outputs import Graded, SpikesAndStates
from spikesim.dynamics.surrogates import Surrogate
from spikesim.errors import ConfigError, ConversionError
from spikesim.nn import Network


def from_snntorch(net: nn.Module, *, surrogate: Surrogate | None = None) -> Network:
    """A copy of a snnTorch network in which every neuron is one of the engine, with the same spikes at every step.

    What snnTorch runs step by step runs here as one call over ``[T, N, ...]``, from zero state, as after
    ``snntorch.utils.reset``. A neuron has the equations of snnTorch 1.0 in the same order of operations, its values,
    learnable where they are learnable there, its reset with the one-step delay, and its surrogate gradient.

    Args:
        net: an ``nn.Sequential``, or a nested one, of torch layers and of ``Leaky``, ``Synaptic``, ``Alpha``,
            ``Lapicque``, and ``RLeaky`` and ``RSynaptic`` with ``all_to_all=False``, all with ``init_hidden=True``. It
            is not changed.
        surrogate: surrogate gradient of every neuron, instead of that of snnTorch.

    Returns:
        The network, in the mode (training or evaluation) of ``net``. If the last neuron has ``output=True``, it
        returns a tuple of spikes and states, each ``[T, N, ...]``, in snnTorch's order: (spikes, potential), with the
        current before the potential for ``Synaptic``, and both currents for ``Alpha``.

    Raises:
        ConversionError: ``net`` is no Sequential, or a neuron has no equal here; the message says why and what to do.
        ConfigError: ``net`` is no module, or ``surrogate`` no surrogate.

    Source: Eshraghian et al., Proc. IEEE 111, 2023; snnTorch 1.0.

    Example:
        >>> import snntorch as snn
        >>> import torch
        >>> from spikesim.converters import from_snntorch
        >>> from torch import nn
        >>> hidden, last = snn.Leaky(0.9, init_hidden=True), snn.Leaky(0.8, init_hidden=True, output=True)
        >>> network = from_snntorch(nn.Sequential(nn.Linear(8, 5), hidden, nn.Linear(5, 2), last))
        >>> spikes, potential = network(torch.rand(20, 3, 8))
        >>> spikes.shape, potential.shape
        (torch.Size([20, 3, 2]), torch.Size([20, 3, 2]))
    """
    if not isinstance(net, nn.Module):
        raise ConfigError(f"from_snntorch takes a torch.nn.Module, not a {type(net).__name__}")
    if surrogate is not None and not isinstance(surrogate, Surrogate):
        raise ConfigError(
            f"surrogate is a {type(surrogate).__name__}, but it must be a spikesim surrogate, e.g. ATan()"
        )
    neurons = [m for m in net.modules() if is_snntorch(m)]
    if not neurons:
        raise ConversionError(
            f"{type(net).__name__} has no snnTorch neuron; `convert` is for ANNs, and Network runs spikesim's neurons"
        )
    weights = [p for m in net.modules() if not is_snntorch(m) for p in m.parameters(recurse=False)]
    dtypes = [p.dtype for p in weights if p.is_floating_point()]
    walk = _Walk(_last(net), surrogate, dtypes[0] if dtypes else None)
    return Network(walk.converted("", net)).train(net.training)


class _Walk:
    """Copies a tree of Sequentials, leaf by leaf; what leaves share stays shared."""

    def __init__(self, last: nn.Module, surrogate: Surrogate | None, dtype: torch.dtype | None) -> None:
        self.last = last
        self.surrogate = surrogate
        self.dtype = dtype
        self.memo: dict[int, Any] = {}
        self.seen: dict[int, str] = {}

    def converted(self, name: str, module: nn.Module) -> nn.Module:
        label = f"'{name}'" if name else type(module).__name__
        if is_snntorch(module):
            return self._neuron(name, label, module)
        if not any(is_snntorch(m) for m in module.modules()):
            return copy.deepcopy(module, self.memo)
        if not isinstance(module, nn.Sequential) or type(module).forward is not nn.Sequential.forward:
            raise ConversionError(_sequential_form(label, module))
        if module._forward_hooks or module._forward_pre_hooks:
            raise ConversionError(f"{label} has forward hooks, which the copy would not call; remove them")
        copied = nn.Sequential()
        prefix = f"{name}." if name else ""
        for key, child in module._modules.items():
            if child is not None:
                copied.add_module(key, self.converted(f"{prefix}{key}", child))
        return copied.train(module.training)

    def _neuron(self, name: str, label: str, theirs: Any) -> nn.Module:
        if id(theirs) in self.seen:
            raise ConversionError(
                f"{label} is the neuron of '{self.seen[id(theirs)]}' again, so that two layers share one state; give "
                "each a neuron of its own (copy.deepcopy)"
            )
        self.seen[id(theirs)] = name
        ours = neuron_of(label, theirs, self.surrogate, self.dtype, self.memo).train(theirs.training)
        gain: Tensor = theirs.graded_spikes_factor
        graded = isinstance(gain, nn.Parameter) or not bool((gain == 1).all())
        spikes = Graded(ours, copy.deepcopy(gain, self.memo)) if graded else ours
        if not theirs.output:
            return spikes
        if theirs is not self.last:
            raise ConversionError(
                f"{label} has output=True, but another layer follows, which would be given a tuple; only the last "
                "layer may have it"
            )
        return SpikesAndStates(ours, spikes, RETURNED[type(theirs).__name__])


def _last(module: nn.Module) -> nn.Module:
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return module


def _sequential_form(label: str, module: nn.Module) -> str:
    parts = [name for name, _ in module.named_children()]
    form = ", ".join(f"net.{name}" for name in parts)
    return (
        f"{label} is a {type(module).__name__}, whose forward is code of its own; it is not rewritten. If it runs its "
        f"parts one after another, hand them over in that order, every neuron with init_hidden=True: "
        f"from_snntorch(nn.Sequential({form}))"
    )
