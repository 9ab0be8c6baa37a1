r"""Activations that are trained to be converted: quantised, with a range that is learnt.

A network that was trained with the staircase of its neurons in place of its ReLUs loses nothing to quantisation when it
is converted, for the neuron takes over the range: with T = L steps and ``neuron="parallel"`` or ``exact=True`` it gives
the same outputs.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from spikesim.errors import ConfigError, ConversionError


class QCFS(nn.Module):
    r"""Quantisation, clip, floor, shift: a ReLU with L levels up to a learnt range.

    .. math:: a(z) = \lambda\, \mathrm{clip}\left(\frac1L \left\lfloor \frac{z L}{\lambda} + \frac12 \right\rfloor, 0,
              1\right)

    The gradient passes the floor as if it were not there. Source: Bu et al., ICLR 2022.

    Args:
        levels: L, at least 1.
        reach: initial range :math:`\lambda`, a number or one per channel (axis 1).

    Shape:
        Any; ``[N, C, ...]`` with a range per channel.

    Raises:
        ConfigError: there is no level, or a range is not positive.

    Example:
        >>> import torch
        >>> from spikesim.converters import QCFS
        >>> QCFS(levels=4, reach=2.0)(torch.tensor([-1.0, 0.2, 0.9, 9.0])).tolist()
        [0.0, 0.0, 1.0, 2.0]
    """

    def __init__(self, levels: int = 8, reach: float | Tensor = 8.0) -> None:
        super().__init__()
        if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
            raise ConfigError(f"levels is {levels!r}; expected a whole number of at least 1")
        given = torch.as_tensor(reach, dtype=torch.get_default_dtype()).detach().clone()
        if given.dim() > 1 or not bool((torch.isfinite(given) & (given > 0)).all()):
            raise ConfigError(f"reach is {reach!r}; expected a positive number, or one per channel")
        self.levels = levels
        self.reach = nn.Parameter(given)

    def extra_repr(self) -> str:
        """Constructor arguments in the module's printed form."""
        return f"levels={self.levels}, reach={self.reach.detach().mean():g}"

    def forward(self, z: Tensor) -> Tensor:
        """Quantise ``z``."""
        reach = _per_channel(self.reach, z)
        return reach * _steps(z / reach, self.levels)


class SlipReLU(QCFS):
    r"""A weighted sum of a ReLU and a staircase, both clipped at a learnt range.

    .. math:: a(z) = \alpha \lambda\, \mathrm{clip}(z / \lambda, 0, 1) + (1 - \alpha) \lambda\, \mathrm{clip}\left(
              \frac1L \left\lfloor \frac{z L}{\lambda} + \frac12 \right\rfloor, 0, 1\right)

    The ramp keeps gradients alive in training. It is left out by what it is converted to: the ANN's accuracy and that
    of its staircase differ. Source: Jiang et al., ICML 2023, with shifts 0 and 1/2.

    Args:
        levels: L, at least 1.
        reach: initial range, as :class:`QCFS`.
        slope: :math:`\alpha`, from 0 (which is :class:`QCFS`) to 1.

    Raises:
        ConfigError: as :class:`QCFS`; ``slope`` is no share.

    Example:
        >>> import torch
        >>> from spikesim.converters import SlipReLU
        >>> SlipReLU(levels=2, reach=1.0, slope=0.5)(torch.tensor([0.3, 2.0])).tolist()
        [0.4000000059604645, 1.0]
    """

    def __init__(self, levels: int = 8, reach: float | Tensor = 8.0, slope: float = 0.5) -> None:
        super().__init__(levels, reach)
        if not 0 <= slope <= 1:
            raise ConfigError(f"slope is {slope!r}; expected a share from 0 to 1")
        self.slope = float(slope)

    def forward(self, z: Tensor) -> Tensor:
        """Mix ramp and staircase."""
        reach = _per_channel(self.reach, z)
        ramp = (z / reach).clamp(0, 1)
        return reach * (self.slope * ramp + (1 - self.slope) * _steps(z / reach, self.levels))


def prepare_qcfs(model: nn.Module, levels: int = 8, reach: float = 8.0, slope: float = 0.0) -> nn.Module:
    """Put a trainable staircase in place of every ReLU module, on a copy.

    Args:
        model: With ``nn.ReLU`` or ``nn.ReLU6`` modules; a ReLU6 starts with the range 6.
        levels: L of all of them.
        reach: initial range.
        slope: 0 for :class:`QCFS`, more for :class:`SlipReLU`.

    Returns:
        A copy to be trained; a module that is used in several places stays one module with one range.

    Raises:
        ConversionError: there is no ReLU module; ReLUs that are written as functions have to become modules first.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters import prepare_qcfs
        >>> prepare_qcfs(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), levels=4)
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): QCFS(levels=4, reach=8)
        )
    """
    made: dict[nn.Module, nn.Module] = {}

    def trained(module: nn.Module) -> nn.Module:
        if not isinstance(module, (nn.ReLU, nn.ReLU6)):
            return module
        if module not in made:
            start = 6.0 if isinstance(module, nn.ReLU6) else reach
            made[module] = SlipReLU(levels, start, slope) if slope else QCFS(levels, start)
        return made[module]

    copied = copy.deepcopy(model)
    for parent in list(copied.modules()):
        for name, child in list(parent._modules.items()):  # named_children() leaves out what comes twice
            if child is not None:
                setattr(parent, name, trained(child))
    copied = trained(copied)
    if not made:
        raise ConversionError(
            f"{type(model).__name__} has no nn.ReLU module; write F.relu and torch.relu as nn.ReLU modules first"
        )
    return copied


def _per_channel(reach: Tensor, z: Tensor) -> Tensor:
    return reach if reach.dim() == 0 else reach.reshape(-1, *[1] * (z.dim() - 2))


class _Floor(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.floor()

    @staticmethod
    def backward(_: Any, *grads: Any) -> Any:
        return grads[0]


def floor_through(x: Tensor) -> Tensor:
    """Floor whose gradient is that of the identity.

    Example:
        >>> import torch
        >>> from spikesim.converters.trained import floor_through
        >>> floor_through(torch.tensor([0.7, -0.2])).tolist()
        [0.0, -1.0]
    """
    floored: Tensor = _Floor.apply(x)  # type: ignore[no-untyped-call]
    return floored


def _steps(share: Tensor, levels: int) -> Tensor:
    return floor_through(share * levels + 0.5).clamp(0, levels) / levels
