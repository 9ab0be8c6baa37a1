"""Rates and accuracy of a converted network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from spikesim.converters.data import Batches, check_shape, pairs_of
from spikesim.converters.report import Accuracy
from spikesim.errors import CalibrationError
from spikesim.neurons import IF
from spikesim.nn import Network


@torch.no_grad()
def firing_rates(network: Network, samples: Tensor) -> dict[str, tuple[float, float]]:
    """Spikes per neuron and step, and per sample, of each neuron layer.

    Args:
        network: A converted network.
        samples: Inputs ``[N, ...]``, at least one.

    Returns:
        ``{layer: (rate, spikes per sample in all T steps)}``.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.measure import firing_rates
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Constant, Network
        >>> firing_rates(Network(nn.Sequential(IF()), Constant(4)), torch.full((2, 3), 0.5))
        {'0': (0.5, 6.0)}
    """
    counts: dict[str, tuple[float, float]] = {}

    def watch(name: str) -> Any:
        def hook(_: nn.Module, __: Any, spikes: Tensor) -> None:
            counts[name] = (spikes.double().mean().item(), spikes.double().sum().item() / len(samples))

        return hook

    neurons = [(name, m) for name, m in network.module.named_modules() if isinstance(m, IF)]
    handles = [neuron.register_forward_hook(watch(name)) for name, neuron in neurons]
    try:
        network(samples)
    finally:
        for handle in handles:
            handle.remove()
    return counts


@torch.no_grad()
def accuracy_over_time(ann: fx.GraphModule, network: Network, data: Batches, like: Tensor) -> Accuracy:
    """Accuracy of the ANN, and of the network read out after every t = 1..T, from one run.

    Args:
        ann: Canonical graph of the ANN, which gives the ANN's outputs.
        network: The converted network; its outputs before the readout are averaged from step 1 to t.
        data: Labelled batches, see :func:`spikesim.converters.data.pairs_of`; class scores on axis 1.
        like: Gives dtype and device.

    Raises:
        CalibrationError: There is no labelled sample, the outputs are no class scores ``[N, classes]``,
            or inputs or labels cannot belong to the model.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
        >>> model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> report = convert(model, x, timesteps=4, evaluate=(x, model(x).argmax(1))).report
        >>> report.accuracy.ann, len(report.accuracy.snn)
        (1.0, 4)
    """
    right_ann, right_snn, samples = 0, torch.zeros(0), 0
    expected = next(node.meta["shape"] for node in ann.graph.nodes if node.op == "placeholder")
    for raw, labels in pairs_of(data):
        x, y = raw.to(like), labels.to(like.device)
        if len(x) == 0:
            continue
        check_shape(x, expected, "evaluation")
        scores = ann(x)
        if scores.dim() != 2 or y.dim() != 1:
            raise CalibrationError(
                f"evaluate= measures accuracy of outputs [N, classes] with labels [N]; the model gives "
                f"{tuple(scores.shape)} and the labels are {tuple(y.shape)}"
            )
        if y.is_floating_point() or bool(((y < 0) | (y >= scores.shape[1])).any()):
            raise CalibrationError(
                f"the labels of evaluate= must be whole numbers from 0 to {scores.shape[1] - 1}, for the model has "
                f"{scores.shape[1]} outputs; given {y.dtype} from {y.min().item()} to {y.max().item()}"
            )
        right_ann += int((scores.argmax(1) == y).sum())
        outputs = network.unread(x)
        steps = torch.arange(1, len(outputs) + 1, device=x.device, dtype=outputs.dtype)
        means = outputs.cumsum(0) / steps[:, None, None]
        right = (means.argmax(2) == y).sum(1).double().cpu()
        right_snn = right if samples == 0 else right_snn + right
        samples += len(y)
    if samples == 0:
        raise CalibrationError("evaluate= holds no labelled sample")
    return Accuracy(samples=samples, ann=right_ann / samples, snn=(right_snn / samples).tolist())
