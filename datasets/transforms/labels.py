"""Labels of samples that were mixed from two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikesim.errors import ConfigError


class MixedLabel(NamedTuple):
    """What a mixed sample is of: two classes, and how much of it is of the first.

    torch's ``default_collate`` makes a batch of them one ``MixedLabel`` of three tensors ``[N]``.

    Attributes:
        label_a: class of the first sample.
        label_b: class of the second one.
        weight: of the first, 0 to 1; the second has the rest. It is what is left after mixing, not what was drawn.
    """

    label_a: Any
    label_b: Any
    weight: Any


def soft_targets(labels: MixedLabel | Sequence[MixedLabel | int] | Tensor, classes: int) -> Tensor:
    """Targets for a loss that takes probabilities, such as ``torch.nn.functional.cross_entropy``.

    Args:
        labels: mixed and plain ones of a batch; or one :class:`MixedLabel` of tensors ``[N]``, or plain labels ``[N]``.
        classes: how many there are.

    Returns:
        float32 ``[N, classes]``; each row adds up to 1.

    Raises:
        ConfigError: a label that is no class.

    Example:
        >>> from spikesim.datasets.transforms import MixedLabel, soft_targets
        >>> soft_targets([MixedLabel(0, 2, 0.75), 1], classes=3).tolist()
        [[0.75, 0.0, 0.25], [0.0, 1.0, 0.0]]
    """
    if isinstance(labels, MixedLabel):
        first, second, weight = (torch.as_tensor(part).reshape(-1) for part in labels)
    elif isinstance(labels, Tensor):
        first, second, weight = labels, labels, torch.ones(len(labels), device=labels.device)
    else:
        pairs = [label if isinstance(label, MixedLabel) else MixedLabel(label, label, 1.0) for label in labels]
        first, second = (torch.tensor([int(pair[k]) for pair in pairs], dtype=torch.int64) for k in (0, 1))
        weight = torch.tensor([float(pair.weight) for pair in pairs])
    both = torch.cat([first, second])
    if len(both) and not (int(both.min()) >= 0 and int(both.max()) < classes):
        raise ConfigError(f"labels reach from {int(both.min())} to {int(both.max())}; expected 0 to {classes - 1}")
    weight = weight.to(torch.float32)[:, None]
    rows = torch.zeros(len(first), classes, device=first.device)
    rows.scatter_add_(1, first.long()[:, None], weight)
    rows.scatter_add_(1, second.long()[:, None], 1 - weight)
    return rows
