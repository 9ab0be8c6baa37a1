"""Counting in one pass equals counting by torch, value for value, for every kind of message and layout."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.checked_process import run_checked

from spikesim.dynamics import SpikeType
from spikesim.energy.edges import Edge
from spikesim.energy.tally import _by_kernel, _by_torch, tally

EDGES = {
    "analog": Edge(),
    "binary": Edge.declared(SpikeType("binary")),
    "scaled": Edge.declared(SpikeType("binary", scale=0.3)),
    "signed": Edge.declared(SpikeType("signed")),
    "graded": Edge.declared(SpikeType("graded", bits=2)),
    "multibit": Edge.declared(SpikeType("signed", bits=3, scale=0.25)),
    "pooled": Edge("binary", scale=0.25, levels=None),
}


def drawn(kind, shape, seed, layout):
    generator = torch.Generator().manual_seed(seed)
    edge = EDGES[kind]
    low, high = {"signed": (-1, 1), "multibit": (-7, 7), "analog": (-2, 2)}.get(kind, (0, edge.levels or 4))
    x = torch.randint(low, high + 1, shape, generator=generator).float() * edge.scale
    return x.contiguous(memory_format=layout) if len(shape) == 4 else x


@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(EDGES)),
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple),
    seed=st.integers(0, 99),
    last=st.booleans(),
    double=st.booleans(),
)
def test_the_kernel_counts_what_torch_counts(kind, shape, seed, last, double):
    x = drawn(kind, shape, seed, torch.channels_last if last else torch.contiguous_format)
    x = x.double() if double else x
    ours, theirs = _by_kernel(x, EDGES[kind], True), _by_torch(x, EDGES[kind], True)
    assert torch.equal(ours.places.long(), theirs.places)
    assert torch.equal(ours.messages, theirs.messages)
    assert not ours.illegal and not (theirs.illegal is not None and theirs.illegal)
    unit = x.double() / EDGES[kind].scale
    by_hand = (x != 0) if kind in ("analog", "multibit") else unit.round().abs()
    assert ours.rows.tolist() == by_hand.flatten(1).sum(1).long().tolist()


BAD = {
    "binary": (2.0, 0.5, -1.0, float("nan"), float("inf")),
    "scaled": (0.5, 0.6, -0.3, float("nan")),
    "signed": (2.0, 0.5, float("nan")),
    "graded": (4.0, -1.0, 0.5, float("-inf")),
    "multibit": (2.0, -2.0, 0.3, float("nan")),
    "pooled": (0.3, -0.25, float("nan")),
}


@pytest.mark.parametrize("kind,value", [(kind, value) for kind, values in BAD.items() for value in values])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_one_stranger_is_told(kind, value, layout):
    x = drawn(kind, (2, 3, 4, 5), 0, layout)
    assert not tally(x, EDGES[kind], True).illegal
    x[1, 2, 3, 4] = value
    assert tally(x, EDGES[kind], True).illegal


def test_counts_that_do_not_fit_a_kernel_are_counted_by_torch():
    x = torch.full((1, 2, 3), 2.0**31)
    assert tally(x, Edge.declared(SpikeType("graded", bits=33)), True).rows.tolist() == [6 * 2**31]


def test_half_precision_and_strides():
    x = (torch.rand(4, 3, 6) < 0.5).to(torch.bfloat16)
    edge = EDGES["binary"]
    assert tally(x, edge, True).rows.tolist() == x.float().flatten(1).sum(1).long().tolist()
    y = x.float().transpose(0, 2)
    assert tally(y, edge, True).rows.tolist() == y.flatten(1).sum(1).long().tolist()


CHECKED = """
import torch
from spikesim.dynamics import SpikeType
from spikesim.energy.edges import Edge
from spikesim.energy.reach import reached
from spikesim.energy.tally import tally
for layout in (torch.contiguous_format, torch.channels_last):
    x = (torch.rand(3, 5, 4, 7) < 0.5).float().contiguous(memory_format=layout)
    for edge in (Edge(), Edge.declared(SpikeType("binary")), Edge.declared(SpikeType("signed", bits=3))):
        counted = tally(x, edge, True)
        assert counted.rows.tolist() == x.flatten(1).sum(1).long().tolist()
print(reached(counted.places, (4, 7), (2, 4), (3, 3), ((2, 2), (1, 1), (1, 1), False)).shape)
"""


def test_the_kernels_stay_within_their_arrays(tmp_path):
    assert "3" in run_checked(CHECKED, tmp_path)
