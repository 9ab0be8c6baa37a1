"""Slow, obvious references for transformers: functions of running means by scalar loops; a model with levels."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, fx, nn

from spikesim.neurons import TallyIF

Rows = list[list[float]]


def telescoped(function: Callable[..., list[float]], operands: list[Rows], steps: int) -> Rows:
    """What a function hands on at each step: its value at the means so far, weighted, less what it has handed on.

    Args:
        function: of as many lists of numbers as there are operands.
        operands: of each the rows, one for each time step.
        steps: T; later rows correct the sums and count as no step.
    """
    sums = [[0.0] * len(rows[0]) for rows in operands]
    given: list[float] = []
    found: Rows = []
    for t in range(len(operands[0])):
        count = min(t + 1, steps)
        for total, rows in zip(sums, operands):
            for place, value in enumerate(rows[t]):
                total[place] += value
        value = function(*([v / count for v in total] for total in sums))
        given = given or [0.0] * len(value)
        found.append([count * v - before for v, before in zip(value, given)])
        given = [before + new for before, new in zip(given, found[-1])]
    return found


def signed_levels(current: Tensor, worth: Tensor, timesteps: int, most: int) -> Tensor:
    """Values in whole steps of ``worth / T``, at most ``most`` of either sign; channels on axis 1."""
    unit = worth.to(current).reshape(-1, *[1] * (current.dim() - 2)) / timesteps
    return (current / unit + 0.5).floor().clamp(-most, most) * unit


def quantised(model: nn.Module, worths: dict[str, Tensor], timesteps: int, most: int) -> nn.Module:
    """The model as it is written, with what its Linear layers read (features last) in levels.

    Args:
        model: Changed in place, by hooks on its layers.
        worths: What a spike is worth, by qualified name of the layer that reads it.
        timesteps: T.
        most: Largest tally.
    """
    for name, layer in model.named_modules():
        if name in worths:

            def levels(_: nn.Module, given: tuple[Tensor], worth: Tensor = worths[name]) -> tuple[Tensor]:
                return (signed_levels(given[0].movedim(-1, 1), worth, timesteps, most).movedim(1, -1),)

            layer.register_forward_pre_hook(levels)
    return model


def worths_of(graph: fx.GraphModule) -> dict[str, Tensor]:
    """What a spike of each signed neuron is worth, read off the 1x1 weights that bring its input to its unit."""
    found = {}
    for node in graph.graph.nodes:
        if node.op == "call_module" and isinstance(graph.get_submodule(str(node.target)), TallyIF):
            scaling = node.args[0]
            while scaling.op != "call_module" or not isinstance(graph.get_submodule(str(scaling.target)), nn.Conv1d):
                scaling = scaling.args[0]
            found[node.name.removesuffix("_spikes")] = 1 / graph.get_submodule(str(scaling.target)).weight.flatten()
    return found
