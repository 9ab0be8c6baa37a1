"""What the same task costs without spikes: a dense ANN, and one that skips zeros."""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import nn

from spikesim.dynamics import Neuron, Stateful, TimeAware
from spikesim.errors import LedgerError
from spikesim.nn import Network


def relu_twin(network: Network) -> nn.Module:
    """The ANN of the same shape: every spiking neuron becomes a ReLU, every analog one (LI) an identity.

    Parameters are shared with the network, so the twin takes no memory of its own. It was not trained as an ANN:
    its dense cost is exact, its zeros are those of the network's weights on the mean input.

    Args:
        network: a network; it is not changed.

    Returns:
        A plain module, ``[N, ...] -> [N, ...]``, or a ``Network`` of one step if other modules see time.

    Raises:
        LedgerError: a layer (recurrent, with delays, of one T) means nothing without time.

    Example:
        >>> from torch import nn
        >>> from spikesim.energy import relu_twin
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> relu_twin(Network(nn.Sequential(nn.Linear(2, 3), IF())))
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): ReLU()
        )
    """
    if not isinstance(network, Network):
        raise LedgerError(
            f"relu_twin takes a spikesim.nn.Network, not a {type(network).__name__}; energy_report makes the baseline "
            "of other modules itself"
        )
    for name, part in network.module.named_modules():
        if isinstance(part, Stateful) and not isinstance(part, Neuron) and not part.static:
            raise LedgerError(
                f"'{name}' ({type(part).__name__}) has no counterpart in an ANN without time, so there is no baseline "
                "to compare with; Ledger.record(network, x, ...) counts the network by itself"
            )
    shared = {id(t): t for t in chain(network.module.parameters(), network.module.buffers())}
    twin: nn.Module = copy.deepcopy(network.module, shared)
    if isinstance(twin, Neuron):
        return _plain(twin)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Neuron):
                setattr(parent, name, _plain(child))
    return Network(twin) if any(isinstance(m, TimeAware) for m in twin.modules()) else twin


def _plain(neuron: Neuron) -> nn.Module:
    return nn.ReLU() if neuron.emits.is_spike else nn.Identity()


def time_mean(x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """The mean input frame of each sample.

    Args:
        x: ``[T, N, ...]``.
        mask: bool ``[T, N]``, True where a step is real.

    Returns:
        ``[N, ...]``, floating.

    Example:
        >>> import torch
        >>> time_mean(torch.tensor([[[2.0]], [[4.0]], [[9.0]]]), torch.tensor([[True], [True], [False]]))
        tensor([[3.]])
    """
    values = x if x.is_floating_point() else x.to(torch.get_default_dtype())
    if mask is None:
        return values.mean(0)
    weights = mask.to(values.dtype).reshape(*mask.shape, *[1] * (x.dim() - 2))
    return (values * weights).sum(0) / weights.sum(0).clamp(min=1)
