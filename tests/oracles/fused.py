"""A fused layer as three plain layers over tensors: what the kernels must equal."""

import torch
from torch import nn

from spikesim.nn import Network

POOLS = {"none": None, "max": nn.MaxPool2d(2), "average": nn.AvgPool2d(2)}


def chain(x, norm, neuron, pool, timesteps):
    """Batch-norm, neuron and pool one after another, each by itself, on ``[T*N, C, H, W]``."""
    net = Network(nn.Sequential(norm, neuron, *([] if pool is None else [pool])), fuse=False)
    return net.unread(x.unflatten(0, (timesteps, -1))).flatten(0, 1)


def fused(x, norm, neuron, pool, timesteps):
    """The same three layers in a network that may fuse them."""
    net = Network(nn.Sequential(norm, neuron, *([] if pool is None else [pool])))
    return net.unread(x.unflatten(0, (timesteps, -1))).flatten(0, 1)


def statistics(x):
    """Mean and biased variance of each channel, by the textbook in float64."""
    values = x.double().transpose(0, 1).flatten(1)
    mean = values.mean(1)
    return mean, (values - mean[:, None]).square().mean(1)


def pooled_gradient(x, grad):
    """Gradient of torch's 2x2 maximum, by hand: the first largest value of a window, or its last NaN, gets it."""
    out = torch.zeros_like(x)
    for n, c, i, j in torch.cartesian_prod(*(torch.arange(s) for s in grad.shape)).tolist():
        places = [(2 * i, 2 * j), (2 * i, 2 * j + 1), (2 * i + 1, 2 * j), (2 * i + 1, 2 * j + 1)]
        best = places[0]
        for place in places[1:]:
            value = x[(n, c, *place)]
            if value > x[(n, c, *best)] or value.isnan():
                best = place
        out[(n, c, *best)] = grad[n, c, i, j]
    return out


def fused_layers(out):
    """How many fused layers stand in the graph behind ``out``."""
    pending, seen = [out.grad_fn], set()
    while pending:
        node = pending.pop()
        if node is not None and node not in seen:
            seen.add(node)
            pending += [following for following, _ in node.next_functions]
    return sum(node.name() == "FusedLayerBackward" for node in seen)
