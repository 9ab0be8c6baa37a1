"""Stop as soon as a sample is decided: fewer steps for easy samples, with a threshold for every step.

The confidence is the margin between the two largest outputs so far. How large it must be after t steps is found without
labels: so that those which stop there agree with what they would have said after all T.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters.data import Batches, inputs_of
from spikesim.converters.parallel import ParallelIF
from spikesim.converters.settling import SettlingNetwork, steady_network, waits
from spikesim.converters.signature import names_of
from spikesim.errors import CalibrationError, CheckpointError, ConfigError, ShapeError
from spikesim.nn import Constant, Count, DelayedMean, Mean, Network
from spikesim.nn.checks import check_finite
from spikesim.nn.state import NetworkState
from spikesim.viz import write_text


class EarlyExit(nn.Module):
    """A converted network that takes as many steps as each sample needs.

    Args:
        network: Converted for T steps, not exactly.
        margins: Margin at which a sample is done after t = 1..T steps, ``[T]``; the last one does not matter.

    Attributes:
        steps: Steps that each sample of the last call took, those before the readout begins included, int64 ``[N]``.

    Shape:
        ``[N, ...] -> [N, classes]``: the mean outputs of the steps that count, spikes per step for a count.

    Raises:
        ConfigError: the network has no constant encoder, or there are not T margins.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert, early_exit
        >>> x = torch.rand(64, 4, generator=torch.Generator().manual_seed(0))
        >>> _ = torch.manual_seed(0)
        >>> network, _ = convert(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)), x, timesteps=16)
        >>> quick = early_exit(network, x, agreement=0.95)
        >>> agree = (quick(x).argmax(1) == network(x).argmax(1)).float().mean().item()
        >>> agree >= 0.9, bool(quick.steps.float().mean() < 16)
        (True, True)
    """

    def __init__(self, network: Network, margins: Tensor) -> None:
        super().__init__()
        encoder = network.encoder
        if not isinstance(encoder, Constant) or isinstance(network, SettlingNetwork):
            raise ConfigError("an early exit needs a converted network with a constant input, and not an exact one")
        late = any(isinstance(module, ParallelIF) for module in network.modules())
        if late or not isinstance(network.readout, (Mean, Count, DelayedMean)):
            raise ConfigError("an early exit needs neurons that send from the first step on, and not 'parallel'")
        self.wait, self.counts = waits(network), isinstance(network.readout, Count)
        self.timesteps = encoder.timesteps - self.wait
        if margins.shape != (self.timesteps,):
            raise ConfigError(f"margins have shape {tuple(margins.shape)}; expected one for each of {self.timesteps}")
        self.register_buffer("margins", margins.detach().clone())
        self._once = Network(network.module, encoder=Constant(1, hoist=encoder.hoist)).eval()
        self.steps = torch.zeros(0, dtype=torch.int64)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Run step by step; samples that are done leave the batch."""
        at = torch.arange(len(x), device=x.device)
        self.steps = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        check_finite([x])
        run = self._once.run(x)
        for _ in range(self.wait):
            run = self._once.run(x, run.state)
        sums, results = run.output[0], torch.zeros_like(run.output[0])
        for t in range(1, self.timesteps + 1):
            done = margin_of(sums / t) >= self.margins[t - 1]  # type: ignore[index]
            if t == self.timesteps:
                done = torch.ones_like(done)
            results[at[done]] = sums[done] / t
            self.steps[at[done]] = self.wait + t
            stay = ~done
            if not bool(stay.any()):
                break
            x, sums, at = x[stay], sums[stay], at[stay]
            state = NetworkState({n: {k: v[stay] for k, v in held.items()} for n, held in run.state.items()})
            run = self._once.run(x, state)
            sums = sums + run.output[0]
        return results

    def whole(self) -> Network:
        """The network that takes all its steps."""
        encoder: Any = self._once.encoder
        return steady_network(self._once.module, self.timesteps, self.wait, encoder.hoist, self.counts)

    def save(self, path: str | Path) -> None:
        """Write the margins as JSON, beside a network that :meth:`Converted.save` wrote."""
        margins = [None if value == float("inf") else value for value in self.margins.tolist()]  # type: ignore[operator]
        write_text(path, json.dumps({"schema_version": 1, "margins": margins}) + "\n")

    @classmethod
    def load(cls, path: str | Path, network: Network) -> EarlyExit:
        """Read margins for a network that was loaded.

        Raises:
            CheckpointError: The file is missing, damaged, of another version, or the margins do not fit the network.
        """
        try:
            found = json.loads(Path(path).read_text())
            if found["schema_version"] != 1:
                raise ValueError(f"schema version {found['schema_version']!r}, expected 1")
            margins = [float("inf") if value is None else float(value) for value in found["margins"]]
            return cls(network, torch.tensor(margins))
        except (OSError, LookupError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{path} holds no margins for this network ({error}): find them anew with early_exit()"
            ) from error


def margin_of(outputs: Tensor) -> Tensor:
    """How far the largest output of each sample is above the next, ``[N, classes] -> [N]``.

    Raises:
        ShapeError: there are not at least two classes.

    Example:
        >>> import torch
        >>> from spikesim.converters.early_exit import margin_of
        >>> margin_of(torch.tensor([[1.0, 4.0, 2.0]])).tolist()
        [2.0]
    """
    if outputs.dim() != 2 or outputs.shape[1] < 2:
        raise ShapeError(f"outputs have shape {tuple(outputs.shape)}; an early exit needs [N, classes], at least two")
    first, second = outputs.topk(2, dim=1).values.unbind(1)
    return first - second


@torch.no_grad()
def early_exit(network: Network, calibration: Batches, agreement: float = 0.99) -> EarlyExit:
    """Find the margin for every step on typical inputs, without labels.

    Args:
        network: A converted network ``[N, ...] -> [N, classes]``.
        calibration: Inputs it was not fitted to, if there are any to spare.
        agreement: Share of those that stop after a step which must agree with the decision after T.

    Raises:
        ConfigError: ``agreement`` is no share, or the network cannot stop early.
        CalibrationError: there is no sample.

    Example:
        See :class:`EarlyExit`.
    """
    if not 0 < agreement <= 1:
        raise ConfigError(f"agreement is {agreement!r}; expected a share above 0 and at most 1")
    module = network.module
    if isinstance(module, fx.GraphModule) and names_of(module.graph):
        raise ConfigError("an early exit needs a network that takes one tensor [N, ...], and this one takes several")
    margins, agreed = [], []
    for x in inputs_of(calibration):
        if not isinstance(x, Tensor):
            raise ConfigError("an early exit needs a network that takes one tensor [N, ...]")
        if len(x) == 0:
            continue
        outputs = network.unread(x)
        if not isinstance(outputs, Tensor):
            raise ConfigError("an early exit needs a network with one output [N, classes]")
        outputs = outputs[waits(network) :]
        means = outputs.cumsum(0) / torch.arange(1, len(outputs) + 1, device=x.device)[:, None, None]
        final = means[-1].argmax(1)
        margins.append(torch.stack([margin_of(step) for step in means]))
        agreed.append(means.argmax(2) == final)
    if not margins:
        raise CalibrationError("the calibration data hold no sample: give some hundreds of typical inputs, no labels")
    return EarlyExit(network, _smallest(torch.cat(margins, 1), torch.cat(agreed, 1), agreement))


def _smallest(margins: Tensor, agreed: Tensor, agreement: float) -> Tensor:
    """For each step the smallest margin above which enough agree, ``[T, N] -> [T]``; infinite if there is none."""
    found = []
    for margin, right in zip(margins, agreed):
        order = margin.argsort(descending=True)
        share = right[order].double().cumsum(0) / torch.arange(1, len(order) + 1, device=order.device)
        # A prefix may end only where the next margin is smaller: equal ones stop together.
        ends = torch.ones_like(share, dtype=torch.bool)
        ends[:-1] = margin[order][:-1] > margin[order][1:]
        fit = (ends & (share >= agreement)).nonzero()
        found.append(margin[order][fit[-1, 0]].item() if len(fit) else float("inf"))
    return torch.tensor(found, dtype=margins.dtype, device=margins.device)
