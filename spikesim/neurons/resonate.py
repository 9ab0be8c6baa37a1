"""Balanced resonate-and-fire neurons: oscillators that stay on the safe side of divergence."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, State, sqrt
from spikesim.neurons.continuous import ContinuousNeuron

_FORGET = 0.9  # factor that is left of the refractory variable after a step, as published


class _Resonator(ContinuousNeuron):
    """What the two balanced resonators share: constants, the refractory variable q, and no reset."""

    states = {"u": State(), "v": State(), "q": State()}
    potentials = ("u", "v")
    resets = ("none",)
    drive = (20.0, 60.0)

    def __init__(
        self,
        omega: float | Tensor = 10.0,
        b_offset: float | Tensor = 1.0,
        threshold: float | Tensor = 1.0,
        *,
        dt: float = 0.01,
        substeps: int = 1,
        **flags: Any,
    ) -> None:
        self._divide(dt, substeps)
        # At omega dt = 1 the balanced damping ends, and with it the gradient of its square root.
        fastest = round(0.999 / self.h, 9)
        self.params = {
            "omega": Param(10.0, min=0.0, max=fastest),
            "b_offset": Param(1.0, min=0.0),
            "threshold": Param(1.0),
        }
        flags = {"reset": "none", **flags}
        super().__init__(omega=omega, b_offset=b_offset, threshold=threshold, dt=dt, substeps=substeps, **flags)


class BRF(_Resonator):
    """Balanced resonate-and-fire.

    .. code-block:: text

        b    = (-1 + sqrt(1 - (dt omega)^2)) / dt - b_offset - q(t-1)
        u(t) = u(t-1) + dt (b u(t-1) - omega v(t-1) + x(t))
        v(t) = v(t-1) + dt (omega u(t-1) + b v(t-1))
        s(t) = [u(t) >= threshold + q(t-1)]
        q(t) = 0.9 q(t-1) + s(t)

    The first term of b is the divergence boundary, at which the discrete oscillation neither grows nor decays; q makes
    a neuron that fired less excitable and more damped, in place of a reset. Source: Higuchi et al., ICML 2024
    (arXiv:2402.14603), where it fires strictly above the threshold (``strict=True``).

    Args:
        omega: angular eigenfrequency in rad/s, at most 0.999 / dt.
        b_offset: damping beyond the boundary in 1/s.
        threshold: value of u at which a rested neuron fires.
        dt: length of a time step in seconds.
        substeps: parts of a step; q decays by 0.9 in each.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; there is no reset.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``, the input in 1/s (a rate of u).

    Raises:
        ConfigError: omega too fast for the step.

    >>> import torch
    >>> time = torch.arange(200.0) * 0.01
    >>> waves = torch.stack([4 * torch.sin(w * time) for w in (5.0, 20.0, 60.0)], 1)
    >>> BRF(omega=20.0)(waves).sum(0)                  # it answers to its own frequency
    tensor([0., 5., 0.])
    """

    def step(
        self, x: Any, *, u: Any, v: Any, q: Any, omega: Any, b_offset: Any, threshold: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Turn and damp, fire, tire."""
        h = self.h
        turn = h * omega
        b = (sqrt(1.0 - turn * turn) - 1.0) / h - b_offset - q
        after = u + h * (b * u - omega * v + x)
        v = v + h * (omega * u + b * v)
        s = self.fire(after, threshold + q)
        return s, {"u": after, "v": v, "q": _FORGET * q + s}


class BHRF(_Resonator):
    """Balanced harmonic resonate-and-fire: the damped harmonic oscillator instead of the rotating one.

    .. code-block:: text

        b    = dt omega^2 / 2 + b_offset + q(t-1)
        v(t) = v(t-1) + dt u(t-1)
        u(t) = u(t-1) + dt (x(t) - 2 b u(t-1) - omega^2 v(t))
        s(t) = [u(t) >= threshold + q(t-1)]
        q(t) = 0.9 q(t-1) + s(t)

    Source: Higuchi et al., ICML 2024 (arXiv:2402.14603) and the authors' code, where it fires strictly above the
    threshold (``strict=True``).

    Args:
        omega: angular eigenfrequency in rad/s, at most 0.999 / dt.
        b_offset: damping beyond the boundary in 1/s.
        threshold: value of u at which a rested neuron fires.
        dt: length of a time step in seconds.
        substeps: parts of a step; q decays by 0.9 in each.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; there is no reset.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``, the input in 1/s (a rate of u).

    Raises:
        ConfigError: omega too fast for the step.

    >>> import torch
    >>> time = torch.arange(200.0) * 0.01
    >>> waves = torch.stack([9 * torch.sin(w * time) for w in (5.0, 20.0, 60.0)], 1)
    >>> BHRF(omega=20.0)(waves).sum(0)
    tensor([0., 6., 0.])
    """

    def step(
        self, x: Any, *, u: Any, v: Any, q: Any, omega: Any, b_offset: Any, threshold: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Swing and damp, fire, tire."""
        h = self.h
        square = omega * omega
        b = 0.5 * h * square + b_offset + q
        v = v + h * u
        u = u + h * (x - 2.0 * b * u - square * v)
        s = self.fire(u, threshold + q)
        return s, {"u": u, "v": v, "q": _FORGET * q + s}
