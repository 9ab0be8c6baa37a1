"""Hybrid training: a converted network goes on learning as a spiking network.

Weights as in Rathi et al., ICLR 2020; thresholds and leaks, one a layer, as in Rathi & Roy, TNNLS 2021.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from spikesim.converters.convert import Converted
from spikesim.converters.offset import OffsetIF
from spikesim.converters.parallel import ParallelIF
from spikesim.converters.policies import CONVERTED
from spikesim.converters.settling import SettlingNetwork, TimedBias
from spikesim.dynamics import Param, Surrogate, surrogates
from spikesim.errors import ConversionError
from spikesim.neurons import IF
from spikesim.nn import Network


class LeakIF(IF):
    """IF with a leak that may be learnt; with ``keep = 1`` it gives the same bits as :class:`~spikesim.neurons.IF`.

    .. code-block:: text

        u(t) = keep v(t-1) + x(t)
        s(t) = [u(t) >= threshold]
        v(t) = u(t) - threshold s(t)        (reset="subtract")

    Args:
        keep: factor that is left of the potential after a step, 0 to 1; one value, or one per channel.
        threshold: potential at which it fires, in the unit of the input.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    Example:
        >>> import torch
        >>> from spikesim.converters.finetune import LeakIF
        >>> LeakIF(keep=0.5)(torch.full((5, 1), 0.6)).flatten().tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0]
    """

    params = {"keep": Param(1.0, min=0.0, max=1.0), "threshold": Param(1.0, min=1e-6)}

    def __init__(self, keep: float | Tensor = 1.0, threshold: float | Tensor = 1.0, **flags: Any) -> None:
        super().__init__(threshold, keep=keep, **flags)

    def step(self, x: Any, *, v: Any, keep: Any, threshold: Any) -> tuple[Any, dict[str, Any]]:  # type: ignore[override]
        """Leak, integrate, fire, reset."""
        return super().step(x, v=keep * v, threshold=threshold)


def finetunable(converted: Converted | Network, surrogate: Surrogate | None = None) -> Network:
    """A copy of a converted network whose weights, thresholds and leaks are parameters, ready to be trained.

    Its outputs are those of the converted network, until the first step of an optimiser. Each layer has a threshold,
    IF neurons also a leak that begins at none. Train it as any network on images
    (:func:`spikesim.training.fit_images`); a tenth of the ANN's learning rate is a good start. What comes out is a
    spiking network of its own: the report of the conversion does not describe it any more.

    Args:
        converted: What :func:`~spikesim.converters.convert` gave, or its network.
        surrogate: Stands in for the derivative of a spike; ``Triangle()`` by default.

    Raises:
        ConversionError: The network was made with ``exact=True``, whose length depends on the data, or holds
            parallel or COS neurons, whose sums over all steps are no equations to train: convert with another neuron.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert, finetunable
        >>> x = torch.rand(32, 4, generator=torch.Generator().manual_seed(0))
        >>> done = convert(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), x, timesteps=4)
        >>> network = finetunable(done)
        >>> sorted(name for name, _ in network.named_parameters() if "relu" in name)
        ['module.relu_1.keep', 'module.relu_1.threshold']
        >>> torch.equal(network(x), done.network(x))
        True
    """
    network = converted.network if isinstance(converted, Converted) else converted
    if isinstance(network, SettlingNetwork):
        raise ConversionError(
            "an exact network runs until it is silent, which no number of steps trains: convert without exact=True"
        )
    copied = copy.deepcopy(network)
    layers = [(name, m) for name, m in copied.module.named_modules() if isinstance(m, CONVERTED)]
    whole = [name for name, module in layers if isinstance(module, (ParallelIF, OffsetIF))]
    if whole or not layers:
        raise ConversionError(
            f"{', '.join(whole)} wait for their input before they fire, which leaves no threshold to learn: convert "
            "with neuron='if' or 'signed_if'"
            if whole
            else f"there is no converted neuron in this {type(network).__name__}: give what convert() returned"
        )
    for name, neuron in layers:
        place, _, last = name.rpartition(".")
        setattr(copied.module.get_submodule(place), last, _learning(neuron, surrogate or surrogates.Triangle()))
    for module in copied.modules():
        if isinstance(module, TimedBias):
            module.bias = nn.Parameter(torch.as_tensor(module.bias))
    return copied.requires_grad_(True).eval()


def _learning(neuron: Any, surrogate: Surrogate) -> nn.Module:
    """The neuron with what it can learn as parameters."""
    if type(neuron) is IF:
        threshold, initial = torch.as_tensor(neuron.threshold), {"v": torch.as_tensor(neuron.initial_v)}
        learnable = ("keep", "threshold")
        leak = LeakIF(1.0, threshold, surrogate=surrogate, initial=initial, learnable=learnable)
        return leak.to(threshold)
    neuron.threshold = nn.Parameter(torch.as_tensor(neuron.threshold))
    if "surrogate" not in neuron.unused:
        neuron.surrogate = surrogate
    return neuron
