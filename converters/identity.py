r"""The identity that every converted layer obeys, whatever its spikes did.

With reset by subtraction nothing is lost: what came in has gone out as spikes or is still in the potential,

.. math:: r_l = W r_{l-1} + b - \frac{v_l(T) - v_l(0)}{T},

with rates :math:`r` in spikes per step and potentials in thresholds (Rueckauer et al., Front. Neurosci. 2017). A wrong
scale, a lost bias or a state that leaks from one sample to the next breaks it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikesim.converters.flow import Means, RateFlow
from spikesim.converters.inputs import Inputs
from spikesim.errors import ConversionError
from spikesim.nn import Network

TOLERANCE = 1e-3
"""Of the largest current of a layer: rounding of float32 over T steps stays far below it, a wrong scale does not."""


@torch.no_grad()
def identity_error(network: Network, means: dict[str, Means], samples: Inputs) -> dict[str, float]:
    """How far each layer's mean current is from what the rates before it say.

    Args:
        network: A converted network.
        means: What :func:`~spikesim.converters.flow.measured_means` found for ``samples``.
        samples: Inputs ``[N, ...]``.

    Returns:
        By node name: the largest difference over the largest current of the layer.

    Raises:
        ConversionError: A layer is off by more than :data:`TOLERANCE`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(16, 4, generator=torch.Generator().manual_seed(0))
        >>> done = convert(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), x, timesteps=4)
        >>> done.report.layers[0].identity_error < 1e-6
        True
    """
    found: dict[str, float] = {}

    def neuron(name: str, predicted: Tensor) -> Tensor:
        current = means[name].current
        scale = max(float(current.abs().max()), 1.0) if current.numel() else 1.0
        found[name] = float((predicted - current).abs().max()) / scale if current.numel() else 0.0
        return means[name].rate

    RateFlow(network.module, neuron).run(samples)  # type: ignore[arg-type]
    wrong = {name: error for name, error in found.items() if not error <= TOLERANCE}
    if wrong:
        told = ", ".join(f"'{name}' by {error:.2g}" for name, error in wrong.items())
        raise ConversionError(
            f"the converted network breaks r = W r + b - (v(T) - v(0))/T in {told} of its largest current; this is a "
            "mistake of the conversion: please report it with the model"
        )
    return found
