"""Networks for spoken digits and commands (SHD, SSC): one recurrent, one with delays.

| `shd_recurrent` (inputs 700, hidden 128) | parameters | `shd_delays` (inputs 140, hidden 256) | parameters       |
|-------------------------------------------|------------|----------------------------------------|------------------|
| Linear                                    | 89 600     | DelayedLinear + BN + LIF + HeldDropout | 2 x 35 840 + 512 |
| CubaLIF, recurrent                        | 16 384     | the same                               | 2 x 65 536 + 512 |
| Linear + LI, 20 classes                   | 2 560      | DelayedLinear + LI                     | 2 x 5 120        |
| all                                       | 108 544    | all                                    | 214 016          |
| T                                         | 100 bins of 10 ms | T                               | 100 bins of 10 ms |

`shd_recurrent` is the recurrent network of Cramer et al., "The Heidelberg Spiking Data Sets for the Systematic
Evaluation of Spiking Neural Networks", IEEE TNNLS 2022: current-based LIF neurons, and the largest potential of the
readout over time. `shd_delays` is that of Hammouamri et al., "Learning Delays in Spiking Neural Networks using Dilated
Convolutions with Learnable Spacings", ICLR 2024: delays up to 240 ms, 700 channels summed by five. SSC has 35 classes.
"""

from __future__ import annotations

import math

from torch import nn

from spikesim.dynamics import ATan, SuperSpike
from spikesim.errors import ConfigError
from spikesim.neurons import LI, LIF, CubaLIF
from spikesim.nn import DelayedLinear, HeldDropout, Max, Mean, Network, Recurrent


def _check(name: str, **sizes: float) -> None:
    if any(not size > 0 for size in sizes.values()):
        given = ", ".join(f"{k}={v}" for k, v in sizes.items())
        raise ConfigError(f"{name} needs positive sizes and times, given {given}")


def shd_recurrent(
    inputs: int = 700,
    classes: int = 20,
    hidden: int = 128,
    layers: int = 1,
    tau_mem: float = 20e-3,
    tau_syn: float = 10e-3,
    dt: float = 10e-3,
) -> Network:
    """A recurrent network: spikes ``[T, N, inputs]`` to scores ``[N, classes]``; images are flattened.

    Args:
        inputs: channels of the input.
        classes: outputs.
        hidden: neurons of each recurrent layer.
        layers: recurrent layers.
        tau_mem: time constant of the membranes in seconds.
        tau_syn: time constant of the synaptic currents in seconds.
        dt: length of a time step in seconds.

    Raises:
        ConfigError: a size or time is not positive.

    Example:
        >>> import torch
        >>> shd_recurrent()(torch.zeros(5, 2, 700)).shape
        torch.Size([2, 20])
        >>> sum(p.numel() for p in shd_recurrent().parameters())
        108544
    """
    _check("shd_recurrent", inputs=inputs, classes=classes, hidden=hidden, layers=layers)
    _check("shd_recurrent", tau_mem=tau_mem, tau_syn=tau_syn, dt=dt)
    alpha, beta = math.exp(-dt / tau_syn), math.exp(-dt / tau_mem)
    parts: list[nn.Module] = [nn.Flatten()]
    for k in range(layers):
        neuron = CubaLIF(alpha, beta, surrogate=SuperSpike(10.0), detach_reset=True)
        parts += [nn.Linear(inputs if k == 0 else hidden, hidden, bias=False), Recurrent.dense(hidden, neuron)]
    readout = LI(1.0 / (1.0 - beta))
    return Network(nn.Sequential(*parts, nn.Linear(hidden, classes, bias=False), readout), readout=Max())


def shd_delays(
    inputs: int = 140,
    classes: int = 20,
    hidden: int = 256,
    layers: int = 2,
    max_delay: int = 24,
    tau: float = 1.005,
    dropout: float = 0.4,
) -> Network:
    """A network with learnt delays: spike counts ``[T, N, inputs]`` to scores ``[N, classes]``; images are flattened.

    Let every ``DelayedLinear.sigma`` shrink over training to about 0.25, and end with ``rounded()``. The paper learns
    delays at a hundred times the rate of the weights.

    Args:
        inputs: channels of the input.
        classes: outputs.
        hidden: neurons of each hidden layer.
        layers: hidden layers.
        max_delay: largest delay in time steps.
        tau: membrane time constant in time steps.
        dropout: probability, held over time.

    Raises:
        ConfigError: a size or time is not positive.

    Example:
        >>> import torch
        >>> shd_delays()(torch.zeros(5, 2, 140)).shape
        torch.Size([2, 20])
        >>> sum(p.numel() for p in shd_delays().parameters())
        214016
    """
    _check("shd_delays", inputs=inputs, classes=classes, hidden=hidden, layers=layers, max_delay=max_delay)
    parts: list[nn.Module] = [nn.Flatten()]
    for k in range(layers):
        neuron = LIF(tau, scale_input=False, reset="zero", detach_reset=True, surrogate=ATan(5.0))
        parts += [DelayedLinear(inputs if k == 0 else hidden, hidden, max_delay, shape="gauss")]
        parts += [nn.BatchNorm1d(hidden), neuron, HeldDropout(dropout)]
    last = DelayedLinear(hidden, classes, max_delay, shape="gauss")
    return Network(nn.Sequential(*parts, last, LI(max(tau, 1.0))), readout=Mean())
