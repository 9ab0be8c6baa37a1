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
