"""Integrate-and-fire neurons with spikes of either sign: plain, bounded by a tracer, and against a rising threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from spikesim.dynamics import Param, SpikeType, State, where
from spikesim.dynamics.declarations import constant
from spikesim.errors import ConfigError
from spikesim.neurons.spiking import SpikingNeuron


class SignedIF(SpikingNeuron):
    """Integrate-and-fire that also fires negative spikes, below a threshold of their own.

    .. code-block:: text

        u(t) = v(t-1) + x(t)
        s(t) = [u(t) >= threshold] - [u(t) <= -negative]
        v(t) = u(t) - threshold for a positive, + negative for a negative spike     (reset="subtract")

    With ``negative = threshold / slope`` its rate is a leaky ReLU of the input (Kim et al., Spiking-YOLO, AAAI 2020).

    Args:
        threshold: potential at which it fires +1, in the unit of the input; one value, or one per channel.
        negative: distance below zero at which it fires -1; the threshold if None.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> SignedIF()(torch.tensor([[1.2], [-0.8], [-0.7], [0.0]])).flatten()
    tensor([ 1.,  0., -1.,  0.])
    """

    states = {"v": State()}
    params = {"threshold": Param(1.0, min=1e-6), "negative": Param(1.0, min=1e-6)}
    emits = SpikeType("signed")

    def __init__(self, threshold: float | Tensor = 1.0, negative: float | Tensor | None = None, **flags: Any) -> None:
        negative = threshold if negative is None else negative
        super().__init__(threshold=threshold, negative=negative, **flags)

    def step(self, x: Any, *, v: Any, threshold: Any, negative: Any) -> tuple[Any, dict[str, Any]]:
        """Integrate, fire either way, reset."""
        u = v + x
        up, down = self.fire(u, threshold), self.fire(-u, negative)
        return up - down, {"v": self.reset(self.reset(u, up, threshold), down, -negative)}


class STBIF(SpikingNeuron):
    """Bipolar integrate-and-fire with a spike tracer (ST-BIF): it takes spikes back, within bounds.

    .. code-block:: text

        u(t) = v(t-1) + x(t)
        s(t) = +1  where u(t) >=  threshold/2 and tracer(t-1) < high
               -1  where u(t) <  -threshold/2 and tracer(t-1) > low
        v(t) = u(t) - threshold s(t)
        tracer(t) = tracer(t-1) + s(t)

    Once its input has ended and its spikes have drained, the tracer is the input's sum in thresholds, rounded and
    kept between ``low`` and ``high``: exactly what the quantised activation of an ANN holds. The potential is counted
    from half a threshold, which in other notations is its initial value. Source: You et al., SpikeZIP-TF, ICML 2024.

    Args:
        threshold: quantisation step; one value, or one per channel.
        high: largest count, e.g. 15 for an activation of 4 bits.
        low: smallest count: 0 after a ReLU, negative for signed activations.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`; the reset is "subtract". ``strict`` concerns
            positive spikes; negative ones always need to be below.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> STBIF(high=3)(torch.tensor([[1.7], [0.0], [-1.0], [0.0], [0.0]])).flatten()
    tensor([ 1.,  1., -1.,  0.,  0.])
    """

    states = {"v": State(), "tracer": State()}
    params = {"threshold": Param(1.0, min=1e-6), "high": Param(15.0, min=0.0), "low": Param(0.0, max=0.0)}
    emits = SpikeType("signed")
    resets = ("subtract",)

    def __init__(
        self,
        threshold: float | Tensor = 1.0,
        high: float | Tensor = 15.0,
        low: float | Tensor = 0.0,
        **flags: Any,
    ) -> None:
        super().__init__(threshold=threshold, high=high, low=low, **flags)

    def step(self, x: Any, *, v: Any, tracer: Any, threshold: Any, high: Any, low: Any) -> tuple[Any, dict[str, Any]]:
        """Integrate, fire either way within the bounds, subtract."""
        u = v + x
        half = 0.5 * threshold
        up = where(tracer < high, self.fire(u, half), 0.0)
        down = where(tracer > low, self.fire(-u, half, strict=True), 0.0)
        s = up - down
        return s, {"v": self.reset(u, s, threshold), "tracer": tracer + s}


class StaircaseIF(SpikingNeuron):
    """Signed integrate-and-fire against a threshold that follows a schedule: a serial comparator.

    .. code-block:: text

        th(t) = threshold + slope t + offsets[t]                  (t = 0, 1, ...; no offset once they end)
        u(t)  = keep v(t-1) + x(t)
        s(t)  = [u(t) >= th(t)] - [u(t) <= -th(t)]
        v(t)  = u(t)                                              (reset="none")

    With the default constants and a constant input, the spikes up to step T sum to the input rounded to the nearest
    whole number (halves away from zero), if T is at least that. The quantiser of BrainTransformers (2024) is this with
    127 steps; its approximators use ``slope=0``, learnt ``offsets`` and a ``keep`` of 0.95 to 1.

    Args:
        threshold: of the first step.
        slope: what is added to it per step.
        keep: factor that is left of the potential after a step, 0 to 1.
        offsets: what is added to the threshold in single steps; they become the parameters ``offset_0``, ... . Each
            costs an operation in every step: meant for tens, not thousands.
        **flags: see :class:`spikesim.neurons.SpikingNeuron`.

    Shape:
        ``[T, N, ...] -> [T, N, ...]``.

    >>> import torch
    >>> codes = torch.tensor([2.5, -1.2, 0.4, -7.0]).expand(8, 1, 4)
    >>> StaircaseIF()(codes).sum(0)
    tensor([[ 3., -1.,  0., -7.]])
    """

    states = {"v": State(), "t": State()}
    params = {"threshold": Param(0.5), "slope": Param(1.0), "keep": Param(0.0, min=0.0, max=1.0)}
    emits = SpikeType("signed")

    def __init__(
        self,
        threshold: float | Tensor = 0.5,
        slope: float | Tensor = 1.0,
        keep: float | Tensor = 0.0,
        offsets: Sequence[float] = (),
        **flags: Any,
    ) -> None:
        values: dict[str, Any] = {
            f"offset_{k}": constant(f"StaircaseIF: offsets[{k}]", o) for k, o in enumerate(offsets)
        }
        if len(values) > 256:
            raise ConfigError(f"StaircaseIF: {len(values)} offsets, but at most 256 fit into one step's equations")
        self.params = {**self.params, **dict.fromkeys(values, Param(0.0))}
        flags = {"reset": "none", **flags}
        super().__init__(threshold=threshold, slope=slope, keep=keep, **values, **flags)

    def step(
        self, x: Any, *, v: Any, t: Any, threshold: Any, slope: Any, keep: Any, **offsets: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Charge, compare both ways, count the step."""
        present = threshold + slope * t
        for k in range(len(offsets)):
            present = present + where(t == float(k), offsets[f"offset_{k}"], 0.0)
        u = keep * v + x
        up, down = self.fire(u, present), self.fire(-u, present)
        return up - down, {"v": self.reset(self.reset(u, up, present), down, -present), "t": t + 1.0}
