"""Losses of class scores over time: each takes ``[T, N, classes]``, labels and the mask of real steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikesim.errors import ConfigError, ShapeError
from spikesim.nn import Mean


class Loss(nn.Module):
    """Base of the losses: ``loss(y, target, mask=None)`` gives a number, the mean over samples.

    ``y`` is what a network gives before its readout, ``network.unread(x, mask)``. The target holds class numbers
    ``[N]``, or the share of each class ``[N, classes]`` where labels are mixed. A masked step counts for nothing.
    """

    def forward(self, y: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """See :class:`Loss`."""
        raise NotImplementedError


class CrossEntropy(Loss):
    """Cross-entropy of what a readout makes of the scores, in nats.

    With ``Mean()`` it is the usual loss on mean potentials or rates, with ``Count()`` that on spike counts, with
    ``Max()`` that on the largest potential, with ``Last()`` that on the last step.

    Args:
        readout: ``[T, N, classes] -> [N, classes]``.
        label_smoothing: share of the target that is spread over all classes.

    Raises:
        ConfigError: a smoothing outside 0 to below 1.

    >>> import torch
    >>> from spikesim.nn import Count
    >>> y = torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]])
    >>> label = torch.tensor([1])
    >>> round(CrossEntropy()(y, label).item(), 4), round(CrossEntropy(Count())(y, label).item(), 4)
    (0.3133, 0.1269)
    """

    def __init__(self, readout: nn.Module | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.readout = readout or Mean()
        self.label_smoothing = _share("CrossEntropy: label_smoothing", label_smoothing)

    def forward(self, y: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Read out, then compare."""
        _check(y, target, mask)
        logits = self.readout(y) if mask is None else self.readout(y, mask)
        return functional.cross_entropy(logits, target, label_smoothing=self.label_smoothing)


class StepCrossEntropy(Loss):
    """Cross-entropy at every step, averaged over steps: "temporal efficient training".

    ``(1 - balance) mean_t CE(y_t) + balance mean_t MSE(y_t, level)``; the second term keeps single steps from running
    away. Deng et al., ICLR 2022 (arXiv:2202.11946), equations 9 to 12. The mean is taken over the real steps of each
    sample first.

    Args:
        balance: weight of the second term, 0 to 1.
        level: what it draws the scores to.
        label_smoothing: as in :class:`CrossEntropy`.

    Raises:
        ConfigError: a share outside 0 to below 1.

    >>> import torch
    >>> y = torch.tensor([[[0.0, 2.0]], [[2.0, 0.0]]])
    >>> round(StepCrossEntropy(balance=0.0)(y, torch.tensor([1])).item(), 4)
    1.1269
    """

    def __init__(self, balance: float = 0.05, level: float = 1.0, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.balance = _share("StepCrossEntropy: balance", balance)
        self.label_smoothing = _share("StepCrossEntropy: label_smoothing", label_smoothing)
        self.level = float(level)

    def forward(self, y: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compare at every step."""
        _check(y, target, mask)
        steps, samples, classes = y.shape
        repeated = target.repeat(steps, *[1] * (target.dim() - 1))
        flat = y.reshape(-1, classes)
        each = functional.cross_entropy(flat, repeated, reduction="none", label_smoothing=self.label_smoothing)
        each = (1 - self.balance) * each + self.balance * ((flat - self.level) ** 2).mean(1)
        by_step = each.reshape(steps, samples)
        return by_step.mean() if mask is None else Mean()(by_step, mask).mean()


class CountMSE(Loss):
    """Mean squared distance of spike counts from wanted ones, per time step.

    The neuron of the right class shall fire at a share ``right`` of all steps, the others at ``wrong``; the squared
    differences of counts are averaged over classes and divided by T, as ``snntorch.functional.mse_count_loss`` does.

    Args:
        right: wanted rate of the right class.
        wrong: wanted rate of the others.

    Raises:
        ConfigError: a rate outside 0 to 1.

    >>> import torch
    >>> CountMSE()(torch.ones(4, 1, 2), torch.tensor([0])).item()  # the wrong one fired four times too often
    2.0
    """

    def __init__(self, right: float = 1.0, wrong: float = 0.0) -> None:
        super().__init__()
        self.right, self.wrong = _rate("CountMSE: right", right), _rate("CountMSE: wrong", wrong)

    def forward(self, y: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Count, then compare."""
        _check(y, target, mask)
        shares = functional.one_hot(target, y.shape[2]).to(y.dtype) if target.dim() == 1 else target.to(y.dtype)
        rates = self.wrong + (self.right - self.wrong) * shares
        if mask is None:
            return ((y.sum(0) - rates * y.shape[0]) ** 2).mean() / y.shape[0]
        steps = mask.sum(0).unsqueeze(1).to(y.dtype)
        counts = (y * mask.unsqueeze(2)).sum(0)
        return ((counts - rates * steps) ** 2 / steps.clamp(min=1)).mean()


def _check(y: Tensor, target: Tensor, mask: Tensor | None) -> None:
    if y.dim() != 3 or 0 in y.shape[:2]:
        raise ShapeError(
            f"the scores have shape {tuple(y.shape)}, but a loss over time takes [T, N, classes] with at least one "
            "step and sample: give what the network says before its readout, network.unread(x, mask)"
        )
    wanted: list[tuple[int, ...]] = [(y.shape[1],), (y.shape[1], y.shape[2])]
    if tuple(target.shape) not in wanted:
        raise ShapeError(f"the target has shape {tuple(target.shape)}, but it must be {wanted[0]} or {wanted[1]}")
    if target.dim() == 1 and target.is_floating_point():
        raise ShapeError(f"the target [N] is {target.dtype}, but class numbers are whole: give target.long()")
    if target.dim() == 1 and not torch.compiler.is_compiling() and not target.is_cuda:
        low, high = int(target.min()), int(target.max())
        if low < 0 or high >= y.shape[2]:
            raise ShapeError(
                f"the target holds class {low if low < 0 else high}, but the network gives scores of {y.shape[2]} "
                "classes"
            )
    if mask is not None and (mask.dtype != torch.bool or mask.shape != y.shape[:2]):
        raise ShapeError(
            f"the mask is {mask.dtype} of shape {tuple(mask.shape)}, but it must be bool [T, N] = {list(y.shape[:2])}"
        )


def _share(name: str, value: float) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1:
        raise ConfigError(f"{name} is {value!r}, but it must be a number from 0 to below 1")
    return float(value)


def _rate(name: str, value: float) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ConfigError(f"{name} is {value!r}, but it must be a number from 0 to 1")
    return float(value)
