"""Encoders of numbers into spikes: by how often they come, by when, and by which digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikesim.dynamics import SpikeType
from spikesim.errors import ConfigError, ShapeError
from spikesim.nn.encoders import check_timesteps, positive


class SpikeEncoder(nn.Module):
    """Base of the encoders here: ``[N, ...]`` in [0, 1] to spikes ``[T, N, ...]``.

    Attributes:
        timesteps: T.
        emits: the type of the spikes, to be given to an energy report as ``input=network.encoder.emits``.
    """

    timesteps: int
    emits = SpikeType("binary")

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.timesteps = check_timesteps(type(self).__name__, timesteps)

    def extra_repr(self) -> str:
        """Constructor arguments in the module's printed form."""
        return f"timesteps={self.timesteps}"

    def _shares(self, x: Tensor) -> Tensor:
        """The input, if it lies in [0, 1]."""
        x = torch.as_tensor(x)
        if not x.is_floating_point():
            raise ShapeError(
                f"{type(self).__name__}: the input is {x.dtype}, but it must be floats in [0, 1]; scale it, for "
                "example x / 255"
            )
        # Asking for the range waits for a GPU and cannot be compiled; kernels cannot be asked for it.
        if x.numel() and not torch.compiler.is_compiling():
            low, high = (float(end) for end in torch.aminmax(x))
            if not (low >= 0.0 and high <= 1.0):  # a NaN is neither
                raise ConfigError(
                    f"{type(self).__name__}: the input spans {low:g} to {high:g}, but it must lie in [0, 1]; scale it, "
                    "for example (x - low) / (high - low)"
                )
        return x


class Poisson(SpikeEncoder):
    """Fire at every step with the probability that the input gives ("rate coding").

    Spikes of different steps are independent: a Bernoulli process, which is what the field calls Poisson trains. The
    draws come from torch's global generator, as those of dropout do: ``torch.manual_seed`` repeats them. By
    ``snntorch.spikegen.rate``.

    Args:
        timesteps: T, at least 1.
        gain: factor of the probability; products above 1 fire at every step.

    Shape:
        ``[N, ...]`` in [0, 1] to ``[T, N, ...]`` in {0, 1}.

    Raises:
        TimestepsError: ``timesteps`` is less than 1.
        ConfigError: an input outside [0, 1] or NaN, or a gain that is no positive number.

    >>> import torch
    >>> Poisson(3)(torch.tensor([[0.0, 1.0]])).tolist()
    [[[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]]]
    """

    def __init__(self, timesteps: int, gain: float = 1.0) -> None:
        super().__init__(timesteps)
        self.gain = positive("Poisson: gain", gain)

    def extra_repr(self) -> str:
        """Constructor arguments in the module's printed form."""
        return f"{super().extra_repr()}, gain={self.gain:g}"

    def forward(self, x: Tensor) -> Tensor:
        """Draw the spikes."""
        from snntorch import spikegen

        x = self._shares(x)
        spikes: Tensor = spikegen.rate(x, num_steps=self.timesteps, gain=self.gain)
        return spikes.to(x.dtype)


class Latency(SpikeEncoder):
    """Fire once, the earlier the larger the input ("time to first spike").

    The spike time of ``x`` is what a neuron charged by ``x`` with time constant ``tau`` needs to reach ``threshold``,
    ``tau ln(x / (x - threshold))``, stretched so that the latest comes at the last step; with ``linear`` it falls
    linearly from the last step at 0 to the first at 1. By ``snntorch.spikegen.latency``.

    Args:
        timesteps: T, at least 1.
        linear: linear times.
        tau: time constant in time steps.
        threshold: inputs of at most so much fire last, if times are not linear.
        silent: inputs below the threshold do not fire at all.

    Shape:
        ``[N, ...]`` in [0, 1] to ``[T, N, ...]`` in {0, 1} with at most one spike along T.

    Raises:
        TimestepsError: ``timesteps`` is less than 1.
        ConfigError: an input outside [0, 1] or NaN, or a setting outside its range.

    >>> import torch
    >>> Latency(3, linear=True)(torch.tensor([[0.0, 0.5, 1.0]]))[:, 0].argmax(0)
    tensor([2, 1, 0])
    """

    def __init__(
        self, timesteps: int, *, linear: bool = True, tau: float = 1.0, threshold: float = 0.01, silent: bool = False
    ) -> None:
        super().__init__(timesteps)
        if not 0 < threshold < 1:
            raise ConfigError(f"Latency: threshold is {threshold!r}, but it must lie between 0 and 1")
        self.linear, self.tau, self.threshold = linear, positive("Latency: tau", tau), threshold
        self.silent = silent

    def extra_repr(self) -> str:
        """Constructor arguments in the module's printed form."""
        return (
            f"{super().extra_repr()}, linear={self.linear}, tau={self.tau:g}, threshold={self.threshold:g}, "
            f"silent={self.silent}"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Place the spikes."""
        from snntorch import spikegen

        x = self._shares(x)
        if not x.numel():
            return x.new_zeros(self.timesteps, *x.shape)
        spikes: Tensor = spikegen.latency(
            x,
            num_steps=self.timesteps,
            threshold=self.threshold,
            tau=self.tau,
            normalize=True,
            linear=self.linear,
            clip=self.silent,
        )
        return spikes.to(x.dtype)


class Phase(SpikeEncoder):
    """Write the input in binary, one digit at each step, over and over: a spike weighs as much as its digit.

    At step t the digit of weight ``2**-(1 + t mod bits)`` is emitted, with that weight (Kim et al., Neurocomputing 311,
    2018). The input is rounded down to ``bits`` digits; the sum over one period is the input.

    Args:
        timesteps: T, at least 1; whole periods if every digit shall count alike.
        bits: digits in a period.

    Shape:
        ``[N, ...]`` in [0, 1] to ``[T, N, ...]``; graded spikes, multiples of ``2**-bits``.

    Raises:
        TimestepsError: ``timesteps`` is less than 1.
        ConfigError: an input outside [0, 1] or NaN, or ``bits`` outside 1 to 16.

    >>> import torch
    >>> Phase(4, bits=2)(torch.tensor([[0.75, 0.5, 0.25]]))[:, 0].tolist()
    [[0.5, 0.5, 0.0], [0.25, 0.0, 0.25], [0.5, 0.5, 0.0], [0.25, 0.0, 0.25]]
    """

    def __init__(self, timesteps: int, bits: int = 8) -> None:
        super().__init__(timesteps)
        if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 16:
            raise ConfigError(f"Phase: bits is {bits!r}, but it must be a whole number from 1 to 16")
        self.bits = bits
        self.emits = SpikeType("graded", bits=bits, scale=2.0**-bits)

    def extra_repr(self) -> str:
        """Constructor arguments in the module's printed form."""
        return f"{super().extra_repr()}, bits={self.bits}"

    def forward(self, x: Tensor) -> Tensor:
        """Take the input apart."""
        x = self._shares(x)
        whole = (x.to(torch.float32) * 2**self.bits).floor().clamp(max=2**self.bits - 1).to(torch.int32)
        places = self.bits - 1 - torch.arange(self.timesteps, device=x.device, dtype=torch.int32) % self.bits
        weights = (2 ** places.to(x.dtype) / 2**self.bits).reshape(-1, *[1] * x.dim())
        digits = (whole.unsqueeze(0) >> places.reshape(-1, *[1] * x.dim())) & 1
        return digits.to(x.dtype) * weights
