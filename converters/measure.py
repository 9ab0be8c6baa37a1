"""Accuracy of a converted network at every step."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from spikesim.converters.data import Batches, check_shape, pairs_of
from spikesim.converters.inputs import as_given, count
from spikesim.converters.report import Accuracy
from spikesim.converters.settling import SettlingNetwork
from spikesim.errors import CalibrationError
from spikesim.nn import Network


@torch.no_grad()
def accuracy_over_time(ann: fx.GraphModule, network: Network, data: Batches, like: Tensor, wait: int = 0) -> Accuracy:
    """Accuracy of the ANN, and of the network read out after every t = 1..T, from one run.

    Args:
        ann: Canonical graph of the ANN, which gives the ANN's outputs.
        network: The converted network; its outputs before the readout are averaged from step 1 to t.
        data: Labelled batches, see :func:`spikesim.converters.data.pairs_of`; class scores on axis 1.
        like: Gives dtype and device.
        wait: Steps before the T that count.

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
    right_ann, right_snn, samples, right_settled = 0, torch.zeros(0), 0, 0.0
    expected = tuple(node.meta["shape"] for node in ann.graph.nodes if node.op == "placeholder")
    for raw, labels in pairs_of(data, len(expected)):
        x, y = as_given(raw, like), labels.to(like.device)
        if count(x) == 0:
            continue
        flat = tuple(ann.graph.process_inputs(x))
        if len(flat) == 1:
            check_shape(flat[0], expected[0], "evaluation")
        else:
            check_shape(flat, expected, "evaluation")
        scores = ann(x)
        if not isinstance(scores, Tensor):
            raise CalibrationError(
                f"evaluate= measures accuracy of one output [N, classes], and the model gives a "
                f"{type(scores).__name__}: leave it out, and compare network(x) with the labels by hand"
            )
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
        # The largest sum is the largest mean.
        right = (network.unread(x)[wait:].cumsum(0).argmax(2) == y).sum(1).double().cpu()
        if isinstance(network, SettlingNetwork):
            right_settled += right[-1].item()
            right = right[: network.timesteps]
        right_snn = right if samples == 0 else right_snn + right
        samples += len(y)
    if samples == 0:
        raise CalibrationError("evaluate= holds no labelled sample")
    settled = right_settled / samples if isinstance(network, SettlingNetwork) else None
    return Accuracy(samples=samples, ann=right_ann / samples, snn=(right_snn / samples).tolist(), settled=settled)
