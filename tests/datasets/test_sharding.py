"""Samples shared out among processes: the union of all shares is the order of one, whatever the sizes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikesim.datasets import EpochSampler, ShardedBatches, event_loader
from spikesim.errors import ConfigError


def shares(count, batch_size, ranks, epoch=0, drop_last=False):
    found = []
    for rank in range(ranks):
        order = EpochSampler(range(count), shuffle=True, seed=3)
        order.set_epoch(epoch)
        batches = ShardedBatches(order, batch_size, rank, ranks, drop_last)
        found.append([[key.sample for key in batch] for batch in batches])
        assert len(batches) == len(found[-1])
    return found


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5), st.integers(0, 3))
def test_no_sample_is_lost_or_repeated_and_all_ranks_step_together(count, batch_size, ranks, epoch):
    if count < ranks:
        with pytest.raises(ConfigError, match="cannot be shared out"):
            shares(count, batch_size, ranks)
        return
    found = shares(count, batch_size, ranks, epoch)
    assert sorted(sample for share in found for batch in share for sample in batch) == list(range(count))
    assert len({len(share) for share in found}) == 1
    sizes = [[len(batch) for batch in share] for share in found]
    assert all(1 <= size <= batch_size + 1 for share in sizes for size in share)
    for step in zip(*sizes):
        assert max(step) - min(step) <= 1


@given(st.integers(5, 60), st.integers(1, 9), st.integers(2, 5))
def test_a_step_holds_the_samples_of_one_process_with_the_larger_batch(count, batch_size, ranks):
    common = batch_size * ranks
    order = [key.sample for key in EpochSampler(range(count), shuffle=True, seed=3)]
    alone = [set(order[first : first + common]) for first in range(0, count, common)]
    if len(alone) > 1 and len(alone[-1]) < ranks:  # too few for a batch of their own
        alone[-2:] = [alone[-2] | alone[-1]]
    together = [set().union(*step) for step in zip(*shares(count, batch_size, ranks))]
    assert together == alone


def test_incomplete_batches_can_be_left_out():
    assert [len(share) for share in shares(11, 2, 2, drop_last=True)] == [2, 2]
    assert shares(3, 2, 2, drop_last=True) == [[], []]


@pytest.mark.parametrize(("rank", "ranks"), [(2, 2), (-1, 2)])
def test_a_rank_that_there_is_not(rank, ranks):
    with pytest.raises(ConfigError, match="must be from 0 to 1"):
        ShardedBatches(EpochSampler(range(4), shuffle=False, seed=0), 2, rank, ranks)


def test_the_loader_gives_the_share_of_each_process_whatever_the_workers():
    samples = [(torch.full((2, 1, 1, 1), n, dtype=torch.uint8), n) for n in range(7)]

    def labels(workers, rank):
        loader = event_loader(samples, 2, shuffle=True, seed=1, num_workers=workers, shard=(rank, 2))
        loader.batch_sampler.sampler.set_epoch(4)
        return [batch.y.tolist() for batch in loader]

    both = [labels(0, rank) for rank in range(2)]
    assert sorted(label for share in both for batch in share for label in batch) == list(range(7))
    assert labels(1, 0) == both[0]
