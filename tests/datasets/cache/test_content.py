"""What a cache gives: the same as without one."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import batches
from torch.utils.data import DataLoader, Subset

from spikesim.datasets import CachedFrames, Events, FrameDataset, Frames, collate, event_loader, load
from spikesim.datasets.cache import StoredFrames, cache_entries
from spikesim.datasets.transforms import Denoise, MixedLabel, Pipeline, ToFrame, ToTimesurface, ToVoxelGrid
from spikesim.errors import ConfigError, EventError, ShapeError

TRANSFORM = Pipeline([Denoise(10_000), ToFrame(n_time_bins=4)])


def forbidden(*_):
    raise AssertionError("the recordings were read again")


def test_frames_labels_and_account_are_those_of_the_recordings(train, root):
    cached = CachedFrames(train, TRANSFORM, root=root)
    assert len(cached) == len(train) == 32 and cached.classes == train.classes
    pipeline = Pipeline(TRANSFORM.transforms)
    for index in range(len(train)):
        events, label = train[index]
        frames, found = cached[index]
        assert np.array_equal(frames.numpy(), pipeline(events)) and (found, type(found)) == (label, int)
    assert list(cached.account) == pipeline.account() and cached.account[0].dropped["isolated"] > 0
    assert TRANSFORM.account()[0].recordings == 0  # the caller's own pipeline counts its own calls


def test_a_second_time_nothing_is_read(train, root, monkeypatch):
    first = CachedFrames(train, TRANSFORM, root=root)
    monkeypatch.setattr(type(train), "events", forbidden)
    monkeypatch.setattr("spikesim.datasets.cache.disk.fill", forbidden)
    second = CachedFrames(train, TRANSFORM, root=root)
    assert np.array_equal(first.steps, second.steps) and np.array_equal(first.labels, second.labels)
    assert second.account == first.account and second.path == first.path
    assert isinstance(second.steps.base, np.memmap) and not second.steps.flags.writeable
    assert "32 samples" in repr(second) and str(root) in repr(second)


def test_the_transform_may_be_the_datasets_own(recordings, train, root):
    own = CachedFrames(load("nmnist", recordings, "train", transform=TRANSFORM), root=root)
    both = CachedFrames(
        load("nmnist", recordings, "train", transform=Denoise(10_000)), ToFrame(n_time_bins=4), root=root
    )
    apart = CachedFrames(train, TRANSFORM, root=root)
    assert own.account == both.account == apart.account
    assert np.array_equal(own.steps, apart.steps) and np.array_equal(both.steps, apart.steps)


def test_what_comes_out_belongs_to_the_caller(train, root):
    cached = CachedFrames(train, TRANSFORM, root=root)
    frames, _ = cached[3]
    frames += 1
    batch = cached.batch([3])
    batch.x.add_(1)
    assert np.array_equal(cached[3][0].numpy(), Pipeline(TRANSFORM.transforms)(train[3][0]))


def test_lengths_vary_without_padding(made, root):
    samples = made()
    cached = CachedFrames(samples, ToFrame(time_window=700), root=root)
    expected = [ToFrame(time_window=700)(events) for events, _ in samples]
    assert cached.lengths.tolist() == [len(frames) for frames in expected] and len(set(cached.lengths.tolist())) > 3
    assert len(cached.steps) == sum(len(frames) for frames in expected)
    assert all(np.array_equal(cached[n][0].numpy(), frames) for n, frames in enumerate(expected))
    memory = FrameDataset(samples, ToFrame(time_window=700))
    assert np.array_equal(memory.steps, cached.steps) and memory.lengths.tolist() == cached.lengths.tolist()
    with pytest.raises(ShapeError, match="use steps and lengths"):
        _ = memory.x


@st.composite
def stored(draw):
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.int16, np.float16, np.float32]))
    steps = np.random.default_rng(0).integers(0, 200, (sum(lengths), 2, 3, 4)).astype(dtype)
    indices = draw(st.lists(st.integers(-len(lengths), len(lengths) - 1), min_size=1, max_size=8))
    frames = StoredFrames()
    frames._hold(steps, np.array(lengths), np.arange(len(lengths)) * 7, ())
    return frames, indices


@given(stored())
def test_a_batch_is_its_samples_side_by_side(case):
    frames, indices = case
    batch = frames.batch(indices)
    x, lengths, mask = batches.batch([frames[index][0].numpy() for index in indices])
    assert batch.x.numpy().dtype == x.dtype and np.array_equal(batch.x.numpy(), x)
    assert batch.lengths.tolist() == lengths and batch.y.tolist() == [frames[index][1] for index in indices]
    assert mask.all() if batch.mask is None else np.array_equal(batch.mask.numpy(), mask)
    collated = collate([frames[index] for index in indices])
    assert torch.equal(collated.x, batch.x) and torch.equal(collated.y, batch.y)
    assert (collated.mask is None) == (batch.mask is None) and torch.equal(collated.lengths, batch.lengths)


def test_samples_that_are_not_there(train, root):
    cached = CachedFrames(train, TRANSFORM, root=root)
    assert cached[-1][1] == cached[31][1] == cached.labels[31]
    for ask in (lambda: cached[32], lambda: cached.batch([0, 32]), lambda: cached.batch([-33])):
        with pytest.raises(IndexError, match="the dataset has 32"):
            ask()
    with pytest.raises(TypeError):
        cached["3"]
    with pytest.raises(ShapeError, match="batch of no samples"):
        cached.batch([])


def test_values_keep_their_dtype_or_are_converted(made, root):
    samples = made()
    grid, surface = ToVoxelGrid(n_time_bins=3), ToTimesurface(dt=500, tau=300)
    assert CachedFrames(samples, grid, root=root).steps.dtype == np.float32
    for transform in (grid, surface):
        half = CachedFrames(samples, transform, root=root, dtype="float16")
        expected = np.concatenate([transform(events) for events, _ in samples]).astype(np.float16)
        assert half.steps.dtype == np.float16 and np.array_equal(half.steps, expected)
        assert half.batch([0, 5]).x.dtype == torch.float16
    counts = CachedFrames(samples, ToFrame(n_time_bins=3, dtype="int16"), root=root, dtype="uint8")
    assert np.array_equal(counts.steps, CachedFrames(samples, ToFrame(n_time_bins=3), root=root).steps)
    assert len(cache_entries(root)) == 5


def test_values_that_do_not_fit_are_refused(root):
    crowded = [(Events.from_columns([1] * 3001, [1] * 3001, [0] * 3001, [1] * 3001, (4, 4, 2)), 0)]
    wide = ToFrame(n_time_bins=1, dtype="int32")
    for dtype in ("uint8", "float16"):
        with pytest.raises(EventError, match=f"sample 0 holds 3001, which {dtype} cannot"):
            CachedFrames(crowded, wide, root=root, dtype=dtype)
    assert int(CachedFrames(crowded, wide, root=root, dtype="float32").steps.max()) == 3001
    with pytest.raises(EventError, match="holds 100000"):
        CachedFrames([(np.full((1, 1, 2, 2), 1e5, np.float32), 0)], root=root, dtype="float16")
    with pytest.raises(ConfigError, match="dtype is 'int8'; expected one of uint8, float16, float32"):
        CachedFrames(crowded, wide, root=root, dtype="int8")


@pytest.mark.parametrize("store", [lambda s, root: CachedFrames(s, root=root), lambda s, root: FrameDataset(s, None)])
def test_labels_may_be_mixed_or_soft(store, root):
    frames = np.ones((2, 1, 3, 3), np.uint8)
    mixed = [MixedLabel(0, 2, 0.75), 1, MixedLabel(1, 1, 1.0)]
    kept = store([(frames, label) for label in mixed], root)
    assert kept[0][1] == mixed[0] and kept[1][1] == MixedLabel(1, 1, 1.0)
    assert kept.batch([0, 1], classes=3).y.tolist() == [[0.75, 0, 0.25], [0, 1, 0]]
    with pytest.raises(ShapeError, match="number of classes is not known"):
        kept.batch([0])
    soft = store([(frames, [0.5, 0.5]), (frames, np.array([1.0, 0.0]))], root)
    assert soft.batch([1, 0]).y.tolist() == [[1, 0], [0.5, 0.5]] and soft[0][1].tolist() == [0.5, 0.5]
    numbers = store([(frames, np.int64(3)), (frames, torch.tensor(1))], root)
    assert numbers.batch([0, 1]).y.tolist() == [3, 1]
    for labels, message in (
        (["cat"], "label of sample 0 is 'cat'"),
        ([[0.5, 0.5], [1.0]], r"vectors of \[1, 2\] classes"),
    ):
        with pytest.raises(ShapeError, match=message):
            store([(frames, label) for label in labels], root)


def test_workers_fill_the_same(train, root, made):
    alone = CachedFrames(train, TRANSFORM, root=root / "a")
    done = []
    shared = CachedFrames(train, TRANSFORM, root=root / "b", workers=2, advance=done.append)
    assert np.array_equal(alone.steps, shared.steps) and alone.account == shared.account and sum(done) == 32
    assert FrameDataset(train, TRANSFORM).account == alone.account
    with pytest.raises(ConfigError, match="workers is -1"):
        CachedFrames(made(), TRANSFORM, root=root, workers=-1)


def test_other_processes_open_it_anew(train, root):
    cached = CachedFrames(train, TRANSFORM, root=root)
    sent = pickle.dumps(cached)
    assert len(sent) < 1000
    copy = pickle.loads(sent)
    assert np.array_equal(copy.steps, cached.steps) and copy.account == cached.account and copy.path == cached.path
    loader = DataLoader(cached, batch_size=8, num_workers=1, multiprocessing_context="spawn")
    assert torch.equal(
        torch.cat([x for x, _ in loader]), torch.from_numpy(cached.steps.copy()).reshape(32, 4, 2, 34, 34)
    )


def test_a_plain_loader_of_torchs_works(train, root):
    x, y = next(iter(DataLoader(Subset(CachedFrames(train, TRANSFORM, root=root), [4, 2]), batch_size=2)))
    assert x.shape == (2, 4, 2, 34, 34) and y.tolist() == train.labels[[4, 2]].tolist()


def test_nothing_is_a_dataset_too(root):
    for _ in range(2):
        empty = CachedFrames([], Frames(4), root=root)
        assert len(empty) == 0 and list(event_loader(empty, 4, shuffle=True, seed=0)) == []
    assert FrameDataset([], Frames(4)).x.shape == (0, 4, 0, 0, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_samples_are_named_and_nothing_is_left(root, workers):
    events = Events.empty((4, 4, 2))
    cases = [
        ([(events, 0), (Events.empty((4, 5, 2)), 0)], Frames(2), EventError, "sample 1 has frames"),
        ([(events, 0)], None, ShapeError, "sample 0 is Events"),
        ([(events, 0)], lambda events: np.zeros((0, 1, 2, 2), np.uint8), ShapeError, "T of 1 or more"),
    ]
    for samples, transform, error, message in cases:
        with pytest.raises(error, match=message):
            CachedFrames(samples, transform, root=root, workers=workers)
    assert not list(root.glob("*.part")) and cache_entries(root) == []
