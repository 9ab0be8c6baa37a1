"""Augmentation in the loader: on batches, on samples, on events, always the same for the same sample."""

import numpy as np
import pytest
import torch
from oracles import batches
from torch.utils.data import Subset

from spikesim.datasets import (
    CachedFrames,
    Events,
    FrameDataset,
    Frames,
    RandomErase,
    RandomMirror,
    RandomShift,
    event_loader,
    generate_ndigits,
    load_nmnist,
)
from spikesim.datasets import transforms as T
from spikesim.datasets.counter import key_of, keys_at, uniforms_at
from spikesim.errors import ConfigError, ShapeError

ON_BATCHES = [RandomShift(3), RandomMirror(0.5), RandomMirror(0.5, "y"), RandomErase(9)]


def brighter(frames, generator):
    """A user's own augmentation of single samples."""
    return frames + torch.randint(0, 3, (1,), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return load_nmnist(generate_ndigits(tmp_path_factory.mktemp("data") / "made", samples=30, threads=1)).train


@pytest.fixture(scope="module")
def ragged(recordings, tmp_path_factory):
    """Recordings cut at different times, so that they are of 3 to 8 steps."""
    samples = []
    for index in range(len(recordings)):
        events, label = recordings[index]
        samples.append((events.select(events.t < 100_000 + 8_000 * index), label))
    return CachedFrames(samples, T.ToFrame(time_window=40_000), root=tmp_path_factory.mktemp("cache"))


def by_sample(loader):
    """What the next epoch makes of each sample, by its index (the loader must not shuffle)."""
    made = []
    for batch in loader:
        made += [(batch.x[:length, n], batch.y[n]) for n, length in enumerate(batch.lengths.tolist())]
        padding = batch.x.clone()
        for n, length in enumerate(batch.lengths.tolist()):
            padding[:length, n] = 0
        assert not padding.any()
    return made


def assert_same(first, second):
    assert len(first) == len(second)
    assert all(torch.equal(a, b) and torch.equal(y, z) for (a, y), (b, z) in zip(first, second))


@pytest.mark.parametrize(
    "augment",
    [*ON_BATCHES, ON_BATCHES, brighter, [RandomShift(2), brighter, T.RandomTimeReversal(0.5)], T.RandomDropPixel(0.3)],
)
def test_a_sample_does_not_depend_on_its_batch(ragged, augment):
    options = {"shuffle": False, "seed": 5, "augment": augment}
    first = by_sample(event_loader(ragged, 24, **options))
    assert_same(first, by_sample(event_loader(ragged, 7, **options)))
    assert_same(first, by_sample(event_loader(ragged, 7, num_workers=2, **options)))
    plain = by_sample(event_loader(ragged, 24, shuffle=False, seed=5))
    assert sum(not torch.equal(a, b) for (a, _), (b, _) in zip(first, plain)) > 5
    shuffled = event_loader(ragged, 9, **{**options, "shuffle": True})
    order = [key.sample for key in shuffled.sampler]
    shuffled.sampler.set_epoch(0)
    assert_same([first[index] for index in order], by_sample(shuffled))
    other = by_sample(event_loader(ragged, 24, **{**options, "seed": 6}))
    assert not all(torch.equal(a, b) for (a, _), (b, _) in zip(first, other))


@pytest.mark.parametrize("augment", ON_BATCHES)
def test_one_call_of_a_sample_is_a_row_of_the_batch(augment):
    x = torch.randint(0, 255, (3, 5, 2, 11, 9), dtype=torch.uint8)
    keys = np.array([int(key_of(0, n)) for n in range(5)], np.uint64)
    before = x.clone()
    together = augment.on_batch(x, keys)
    assert torch.equal(x, before) and together.shape == x.shape
    for n in range(5):
        assert torch.equal(augment.on_batch(x[:, n : n + 1].contiguous(), keys[n : n + 1])[:, 0], together[:, n])
    assert not augment.on_batch(torch.zeros_like(x), keys).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_shifts_are_those_of_single_values(dtype):
    x = np.random.default_rng(0).integers(1, 99, (2, 40, 2, 5, 6)).astype(dtype)
    keys = keys_at(np.full(40, key_of(3), np.uint64), np.arange(40, dtype=np.uint64))
    drawn = np.floor(uniforms_at(keys, 2) * 7).astype(int) - 3
    moved = RandomShift(3).on_batch(torch.from_numpy(x), keys).numpy()
    for n, (down, right) in enumerate(drawn):
        assert np.array_equal(moved[:, n], batches.shifted(x[:, n], down, right))
    assert set(drawn.ravel()) == set(range(-3, 4))


def test_mirrors_and_holes():
    x = torch.arange(2 * 200 * 1 * 4 * 6).reshape(2, 200, 1, 4, 6).to(torch.int32) + 1
    keys = keys_at(np.full(200, key_of(1), np.uint64), np.arange(200, dtype=np.uint64))
    for axis, turned in (("x", x.flip(-1)), ("y", x.flip(-2))):
        found = RandomMirror(0.3, axis).on_batch(x, keys)
        mirrored = [torch.equal(found[:, n], turned[:, n]) for n in range(200)]
        assert 30 < sum(mirrored) < 90
        assert all(m or torch.equal(found[:, n], x[:, n]) for n, m in enumerate(mirrored))
    found = RandomErase(3).on_batch(x, keys)
    holes = (found == 0) & (x != 0)
    assert torch.equal(torch.where(holes, x, found), x) and torch.equal(holes[0], holes[1])
    sizes = {int(hole.sum()) for hole in holes[0]}
    assert sizes == {4, 6, 9}  # a corner, an edge, and away from both
    assert holes[0].any(0).all()


def test_keys_are_those_of_single_samples():
    samples = np.array([0, 7, 2**40], np.uint64)
    assert keys_at(np.full(3, key_of(1, 5, 9), np.uint64), samples).tolist() == [
        int(key_of(1, 5, 9, int(s))) for s in samples
    ]


@pytest.mark.parametrize(
    "transform",
    [
        T.Pipeline([T.RandomFlipLR(), T.DropEvent((0.1, 0.5)), T.ToFrame(n_time_bins=3)]),
        T.Compose([T.SpatialJitter(var_x=2.0), T.ToFrame(n_time_bins=3)]),
    ],
)
def test_events_are_augmented_by_seed_epoch_and_index(recordings, transform):
    recordings.transform = transform
    subset = Subset(recordings, list(range(20)))

    def epochs(size, workers, seed=4):
        loader = event_loader(subset, size, shuffle=False, seed=seed, num_workers=workers)
        return [by_sample(loader), by_sample(loader)]

    first, second = epochs(20, 0)
    for size, workers in ((7, 0), (3, 2)):
        torch.manual_seed(workers)  # which is what they would draw from otherwise
        again = epochs(size, workers)
        assert_same(first, again[0])
        assert_same(second, again[1])
    for other in (second, epochs(20, 0, seed=5)[0]):
        assert not any(torch.equal(a, b) for (a, _), (b, _) in zip(first, other))
    recordings.transform = None


@pytest.mark.parametrize("workers", [0, 2])
def test_mixed_samples_have_soft_labels(recordings, workers):
    mixed = T.MixedDataset(recordings, T.CutMix(), probability=0.7, transform=T.ToFrame(n_time_bins=3), seed=1)
    batches_ = list(event_loader(mixed, 8, shuffle=False, seed=0, num_workers=workers))
    y = torch.cat([batch.y for batch in batches_])
    assert y.shape == (len(recordings), 10) and y.dtype == torch.float32
    assert torch.allclose(y.sum(1), torch.ones(len(y)))
    labels = T.soft_targets([mixed[n][1] for n in range(len(mixed))], 10)
    assert torch.equal(y, labels) and (y.max(1).values < 1).any() and (y.max(1).values == 1).any()
    assert torch.equal(batches_[0].likeliest, labels[:8].argmax(1))
    assert batches_[0].x.shape == (3, 8, 2, 34, 34)


def test_mixed_samples_without_classes_want_their_number():
    events = Events.from_columns([1, 2], [1, 2], [0, 9], [0, 1], (4, 4, 2))
    mixed = T.MixedDataset([(events, 0), (events, 1)], T.CutMix(), transform=Frames(2))
    with pytest.raises(ShapeError, match=r"event_loader\(..., classes=10\)"):
        next(iter(event_loader(mixed, 2, shuffle=False, seed=0)))
    assert next(iter(event_loader(mixed, 2, shuffle=False, seed=0, classes=3))).y.shape == (2, 3)


@pytest.mark.parametrize("transform", [T.ToVoxelGrid(n_time_bins=4), T.ToTimesurface(dt=60_000, tau=50_000)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_values_are_samples_too(recordings, transform, dtype, tmp_path):
    cached = CachedFrames(recordings, transform, root=tmp_path, dtype=str(dtype)[6:])
    loader = event_loader(cached, 5, shuffle=False, seed=0, augment=RandomShift(1))
    batch = next(iter(loader))
    assert batch.x.dtype == dtype and batch.x.float().abs().sum() > 0
    plain = next(iter(event_loader(cached, 5, shuffle=False, seed=0)))
    for n in range(5):
        assert torch.equal(plain.x[: plain.lengths[n], n], torch.from_numpy(transform(recordings[n][0])).to(dtype))


def test_what_augments_no_frames_is_refused(recordings):
    framed = FrameDataset(Subset(recordings, range(4)), Frames(2))
    for augment, message in (
        (T.RandomFlipLR(), "RandomFlipLR, which works on events"),
        (3, "augment is 3; expected callables"),
        (RandomShift, r"augment is <class .*RandomShift'>; expected .* such as RandomShift\(2\)"),
        ([RandomShift(1), "no"], "augment is 'no'"),
    ):
        with pytest.raises(ConfigError, match=message):
            event_loader(framed, 2, shuffle=False, seed=0, augment=augment)
    for bad in (
        lambda: RandomErase(0),
        lambda: RandomMirror(2.0),
        lambda: RandomMirror(axis="z"),
        lambda: RandomShift(1.5),
    ):
        with pytest.raises(ConfigError):
            bad()
