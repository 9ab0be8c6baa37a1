import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset

from spikesim.datasets import (
    EpochSampler,
    EventBatch,
    Events,
    FrameDataset,
    Frames,
    RandomShift,
    collate,
    event_loader,
    generate_ndigits,
    load_nmnist,
)
from spikesim.errors import ConfigError, EventError, ShapeError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return generate_ndigits(tmp_path_factory.mktemp("data") / "made", samples=40)


@pytest.fixture(scope="module")
def cached(root):
    return FrameDataset(load_nmnist(root).train, Frames(4))


def flat(batches):
    return [(batch.x, batch.y) for batch in batches]


def assert_same(first, second):
    assert len(first) == len(second)
    for (x, y), (other_x, other_y) in zip(first, second):
        assert torch.equal(x, other_x)
        assert torch.equal(y, other_y)


def test_batches_are_time_first(cached):
    batch = next(iter(event_loader(cached, 5, shuffle=False, seed=0)))
    assert isinstance(batch, EventBatch)
    assert (batch.x.dtype, tuple(batch.x.shape)) == (torch.uint8, (4, 5, 2, 34, 34))
    assert batch.mask is None
    assert batch.lengths.tolist() == [4] * 5
    assert batch.y.dtype == torch.int64
    assert batch.y.tolist() == cached.labels[:5].tolist()
    assert torch.equal(batch.x[:, 2], cached[2][0])


@pytest.mark.parametrize("augment", [None, RandomShift(3)])
def test_the_seed_fixes_the_batches_whatever_the_workers(root, cached, augment):
    decoded = load_nmnist(root, transform=Frames(4)).train
    here = event_loader(cached, 7, shuffle=True, seed=3, augment=augment)
    workers = event_loader(decoded, 7, shuffle=True, seed=3, num_workers=2, augment=augment)
    for _ in range(2):
        assert_same(flat(here), flat(workers))


def test_epochs_differ_and_can_be_named(cached):
    loader = event_loader(cached, 8, shuffle=True, seed=0, augment=RandomShift(2))
    first, second = flat(loader), flat(loader)
    assert [y.tolist() for _, y in first] != [y.tolist() for _, y in second]
    resumed = event_loader(cached, 8, shuffle=True, seed=0, augment=RandomShift(2))
    resumed.sampler.set_epoch(1)
    assert_same(flat(resumed), second)
    assert sorted(torch.cat([y for _, y in first]).tolist()) == sorted(cached.labels.tolist())


def test_other_seeds_give_other_orders(cached):
    orders = [list(EpochSampler(cached, shuffle=True, seed=seed)) for seed in range(3)]
    assert orders[0] != orders[1] != orders[2]


def test_augmentation_follows_the_sample_not_the_batch(cached):
    by_size = []
    for size in (3, 32):
        loader = event_loader(cached, size, shuffle=False, seed=1, augment=RandomShift(4))
        by_size.append(torch.cat([batch.x for batch in loader], dim=1))
    assert torch.equal(*by_size)
    assert not torch.equal(by_size[0][:, 0], cached[0][0])


def test_torchs_random_state_is_left_alone(cached):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    flat(event_loader(cached, 8, shuffle=True, seed=0, augment=RandomShift(2)))
    assert torch.equal(torch.get_rng_state(), before)


def test_subsets_and_last_batches(cached):
    part = Subset(cached, [5, 6, 7])
    assert [len(y) for _, y in flat(event_loader(part, 2, shuffle=False, seed=0))] == [2, 1]
    assert [len(y) for _, y in flat(event_loader(part, 2, shuffle=False, seed=0, drop_last=True))] == [2]
    assert flat(event_loader(Subset(cached, []), 2, shuffle=True, seed=0)) == []


def test_a_replaced_sampler_is_refused(cached):
    loader = event_loader(cached, 2, shuffle=False, seed=0)
    with pytest.raises(ConfigError, match="use_distributed_sampler=False"):
        next(iter(DataLoader(loader.dataset, batch_size=2, collate_fn=collate)))


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"num_workers": -1}])
def test_bad_options(cached, option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        event_loader(cached, **({"batch_size": 2} | option), shuffle=False, seed=0)


def test_shorter_samples_are_padded_and_masked():
    samples = [(np.full((t, 1, 2, 2), t, np.uint8), t) for t in (3, 1, 2)]
    batch = collate(samples)
    assert batch.mask.T.tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    for n, t in enumerate((3, 1, 2)):
        assert (batch.x[:t, n] == t).all()
        assert (batch.x[t:, n] == 0).all()
    assert batch.to("meta").mask.device.type == "meta"
    assert batch.to("cpu").x.dtype == torch.uint8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory needs CUDA")
def test_pinned_batches():
    batch = collate([(np.zeros((2, 1, 2, 2), np.uint8), 0), (np.zeros((1, 1, 2, 2), np.uint8), 0)]).pin_memory()
    assert all(part.is_pinned() for part in (batch.x, batch.lengths, batch.mask, batch.y))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "no samples"),
        ([(Events.empty((4, 4, 2)), 0)], "a sample is Events.*FrameDataset"),
        ([(np.zeros((2, 1, 2, 2)), 0)], "float64"),
        ([(np.zeros((0, 1, 2, 2), np.uint8), 0)], "T of 1 or more"),
        ([(np.zeros((2, 1, 2, 2), np.uint8), 0), (np.zeros((2, 1, 2, 3), np.uint8), 0)], "sizes"),
    ],
)
def test_bad_samples(samples, message):
    with pytest.raises(ShapeError, match=message):
        collate(samples)


class Recordings:
    classes = ("only",)

    def __init__(self, *recordings):
        self.recordings = recordings
        self.labels = np.zeros(len(recordings), np.int64)

    def __len__(self):
        return len(self.recordings)

    def __getitem__(self, index):
        return self.recordings[index], 0


def test_the_cache_counts_what_it_lost(caplog):
    crowded = Events.from_columns([1] * 300, [1] * 300, [0] * 300, [1] * 300, (4, 4, 2))
    cached = FrameDataset(Recordings(crowded, Events.empty((4, 4, 2))), Frames(2))
    assert cached.tally == (300, 255, 45)
    assert "45 of 300 events" in caplog.text
    assert int(cached[1][0].sum()) == 0


def test_the_cache_wants_one_sensor_size():
    mixed = Recordings(Events.empty((4, 4, 2)), Events.empty((4, 5, 2)))
    with pytest.raises(EventError, match="sample 1 has frames"):
        FrameDataset(mixed, Frames(2))
    assert len(FrameDataset(Recordings(), Frames(2))) == 0


@pytest.mark.parametrize("reach", [0, 1, 3, 9])
def test_shift_moves_all_steps_alike_and_invents_nothing(reach):
    frames = torch.zeros(3, 2, 5, 6, dtype=torch.uint8)
    frames[:, 1, 2, 3] = 7
    seen = set()
    for seed in range(60):
        moved = RandomShift(reach)(frames, torch.Generator().manual_seed(seed))
        where = moved.nonzero().tolist()
        seen.add(tuple(map(tuple, where)))
        assert len(where) in (0, 3)
        assert len({tuple(place[1:]) for place in where}) <= 1
        for _, channel, y, x in where:
            assert channel == 1
            assert abs(y - 2) <= reach
            assert abs(x - 3) <= reach
    assert len(seen) == 1 if reach == 0 else len(seen) > 2
    assert int(frames.sum()) == 21


def test_shift_refuses_a_negative_reach():
    with pytest.raises(ConfigError, match="max_pixels is -1"):
        RandomShift(-1)


def test_the_import_is_light_and_the_bare_name_is_refused(pytestconfig):
    light = (
        "import sys, spikesim.datasets; heavy = ('tonic', 'sklearn', 'lightning', 'matplotlib', 'scipy.ndimage'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    bare = subprocess.run(
        [sys.executable, "-c", "import datasets"], cwd=pytestconfig.rootpath, capture_output=True, text=True
    )
    assert "import that name" in bare.stderr


def test_recordings_without_events_are_named(tmp_path, caplog):
    train, _ = load_nmnist(generate_ndigits(tmp_path / "ndigits", samples=20))
    train.files[3].write_bytes(b"")
    framed = FrameDataset(train, Frames(4))
    assert framed.x[3].sum() == 0
    assert f"1 of 16 recordings hold no event and give empty frames: {train.files[3]}" in caplog.text


SAMPLES = [(np.ones((2, 1, 3, 3), np.uint8), 0)] * 3


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"batch_size": "4"}, "batch_size is '4'"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"batch_size": True}, "batch_size is True"),
        ({"num_workers": "2"}, "num_workers is '2'"),
        ({"seed": None}, "seed is None"),
        ({"seed": "0"}, "seed is '0'"),
        ({"classes": "x"}, "classes is 'x'"),
        ({"augment": lambda frames: frames}, r"does not take \(frames, generator\)"),
        ({"dataset": None}, "dataset is a NoneType"),
        ({"dataset": iter(SAMPLES)}, "dataset is a list_iterator"),
    ],
)
def test_wrong_options_are_named(wrong, match):
    with pytest.raises(ConfigError, match=match):
        event_loader(**{"dataset": SAMPLES, "batch_size": 2, "shuffle": False, "seed": 0, **wrong})


def test_whole_numbers_of_numpy_are_taken():
    loader = event_loader(SAMPLES, np.int64(2), shuffle=False, seed=np.int64(-3), num_workers=np.int64(0))
    assert [batch.x.shape[1] for batch in loader] == [2, 1]


class Gives:
    def __init__(self, made):
        self.made = made

    def on_batch(self, x, keys):
        return self.made(x)


@pytest.mark.parametrize("made", [lambda x: x[:1], lambda x: x[:, :1], lambda x: None, lambda x: x[..., 0]])
def test_an_augmentation_that_changes_steps_or_samples_is_named(made):
    with pytest.raises(ShapeError, match=r"augment <.*Gives.*expected \[T, N, C, H, W\] with the same T and N"):
        next(iter(event_loader(SAMPLES, 2, shuffle=False, seed=0, augment=Gives(made))))


@pytest.mark.parametrize("sample", [SAMPLES[0][0], (*SAMPLES[0], 1), None])
def test_a_sample_that_is_no_pair_is_named(sample):
    with pytest.raises(ShapeError, match=r"sample 0 of the dataset is a .*expected a pair of frames and label"):
        next(iter(event_loader([sample], 1, shuffle=False, seed=0)))
    with pytest.raises(ShapeError, match="sample 0 of the dataset is a"):
        FrameDataset([sample], None)


class Damaged:
    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 3:
            raise EventError(f"sample {index} is damaged")
        return SAMPLES[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_the_same_with_workers(workers):
    loader = event_loader(Damaged(), 2, shuffle=False, seed=0, num_workers=workers)
    for _ in range(2):  # workers stay for the next epoch
        batches = iter(loader)
        assert next(batches).x.shape[1] == 2
        with pytest.raises(EventError, match=r"^sample 3 is damaged$"):
            next(batches)
