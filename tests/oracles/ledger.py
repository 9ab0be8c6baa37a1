"""Operation counts by scalar loops: slow, obvious, sharing nothing with the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product


@dataclass
class Work:
    """What one layer does on one sample at one step."""

    connections: int = 0  # in range, whatever crosses them
    padded: int = 0  # padding positions included
    events: int = 0  # additions caused by events, with multiplicity
    nonzero: int = 0  # connections whose input is not zero


def convolution(
    counts: list,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    out_size: Sequence[int],
    transposed: bool = False,
) -> Work:
    """Counts of one convolution; ``counts`` is the input as nested lists ``[C][...]`` of events."""
    work = Work()
    channels, size = len(counts), shape(counts)[1:]
    ins, outs = channels // groups, out_channels // groups
    for co in range(out_channels):
        for ci in range((co // outs) * ins, (co // outs + 1) * ins):
            for tap in product(*map(range, kernel)):
                if transposed:
                    for i in product(*map(range, size)):
                        o = [i[d] * stride[d] - padding[d] + tap[d] * dilation[d] for d in range(len(size))]
                        work.padded += 1
                        if all(0 <= o[d] < out_size[d] for d in range(len(size))):
                            _cross(work, at(counts[ci], i))
                    continue
                for o in product(*map(range, out_size)):
                    i = [o[d] * stride[d] - padding[d] + tap[d] * dilation[d] for d in range(len(size))]
                    work.padded += 1
                    if all(0 <= i[d] < size[d] for d in range(len(size))):
                        _cross(work, at(counts[ci], i))
    return work


def linear(counts: Sequence[float], out_features: int) -> Work:
    """Counts of one fully connected layer."""
    work = Work()
    for value in counts:
        for _ in range(out_features):
            work.padded += 1
            _cross(work, value)
    return work


def pooled(counts: list, kernel: int, stride: int, padding: int) -> list:
    """Events per window of a two-dimensional pool, channel by channel."""
    size = shape(counts)[1:]
    out = [(n + 2 * padding - kernel) // stride + 1 for n in size]
    result = []
    for channel in counts:
        rows = []
        for oy in range(out[0]):
            row = []
            for ox in range(out[1]):
                total = 0
                for ky, kx in product(range(kernel), range(kernel)):
                    y, x = oy * stride - padding + ky, ox * stride - padding + kx
                    if 0 <= y < size[0] and 0 <= x < size[1]:
                        total += channel[y][x]
                row.append(total)
            rows.append(row)
        result.append(rows)
    return result


def total(nested: object) -> float:
    """Sum of all numbers in nested lists."""
    return sum(leaves(nested))


def leaves(nested: object) -> Iterator[float]:
    """All numbers of nested lists."""
    if isinstance(nested, list):
        for inner in nested:
            yield from leaves(inner)
    else:
        yield nested


def shape(nested: object) -> list[int]:
    """Sizes of nested lists."""
    return [len(nested), *shape(nested[0])] if isinstance(nested, list) else []


def at(nested: list, place: Sequence[int]) -> float:
    """One number of nested lists."""
    for index in place:
        nested = nested[index]
    return nested


def _cross(work: Work, value: float) -> None:
    work.connections += 1
    work.events += int(value)
    work.nonzero += value != 0


@dataclass
class Weighted(Work):
    """The same where zero weights may be no connections."""

    arrived: int = 0  # events that reach the layer
    driven: int = 0  # outputs that at least one event reaches


def weighted_convolution(layer: object, values: list, pruned: bool) -> Weighted:
    """Counts of one sample of a convolution module; zero weights are no connections if ``pruned``."""
    weight, groups, transposed = layer.weight.tolist(), layer.groups, layer.transposed
    size, kernel, d = shape(values)[1:], layer.kernel_size, range(len(layer.kernel_size))
    if layer.padding == "same":
        before = [(layer.dilation[a] * (kernel[a] - 1)) // 2 for a in d]
        out_size = size
    else:
        before = list(layer.padding)
        reach = [layer.dilation[a] * (kernel[a] - 1) for a in d]
        out_size = (
            [(size[a] - 1) * layer.stride[a] - 2 * before[a] + reach[a] + layer.output_padding[a] + 1 for a in d]
            if transposed
            else [(size[a] + 2 * before[a] - reach[a] - 1) // layer.stride[a] + 1 for a in d]
        )
    ins, outs = layer.in_channels // groups, layer.out_channels // groups
    work, driven = Weighted(), set()
    work.arrived = int(total(values))
    for co, ci in product(range(layer.out_channels), range(layer.in_channels)):
        if co // outs != ci // ins:
            continue
        taps = weight[ci][co % outs] if transposed else weight[co][ci % ins]
        for tap in product(*map(range, kernel)):
            if pruned and at(taps, tap) == 0:
                continue
            for place in product(*map(range, size if transposed else out_size)):
                if transposed:
                    i, o = place, tuple(place[a] * layer.stride[a] - before[a] + tap[a] * layer.dilation[a] for a in d)
                else:
                    i, o = tuple(place[a] * layer.stride[a] - before[a] + tap[a] * layer.dilation[a] for a in d), place
                if all(0 <= i[a] < size[a] and 0 <= o[a] < out_size[a] for a in d):
                    value = at(values[ci], i)
                    _cross(work, value)
                    if value != 0:
                        driven.add((co, o))
    work.driven = len(driven)
    return work


def padded(channel: list, mode: str) -> list:
    """A border of one position around a picture, copied as torch's padding modes do."""
    height, width = shape(channel)

    def source(i: int, n: int) -> int:
        if mode == "circular":
            return i % n
        if mode == "replicate":
            return min(max(i, 0), n - 1)
        return -i if i < 0 else 2 * (n - 1) - i if i >= n else i

    return [[channel[source(y, height)][source(x, width)] for x in range(-1, width + 1)] for y in range(-1, height + 1)]
