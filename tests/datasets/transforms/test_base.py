"""What holds for every transform: forms in and out, empty recordings, accounts, and where randomness comes from."""

import itertools

import numpy as np
import pytest
import tonic
from hypothesis import given
from hypothesis import strategies as st
from oracles.streams import DTYPES, GESTURE, stream
from torch.utils.data import DataLoader

from spikesim.datasets import Events
from spikesim.datasets.records import kept_of
from spikesim.datasets.transforms import (
    Denoise,
    Draw,
    EventTransform,
    Pipeline,
    RefractoryPeriod,
    ToFrame,
    sample_at,
)
from spikesim.datasets.transforms.base import Applied
from spikesim.errors import ConfigError, EventError

SIZE = (24, 16, 2)


class Shuffled(EventTransform):
    """A random transform in its shortest form."""

    random = True

    def apply(self, stream, draw):
        return Applied(stream.data[draw.order(len(stream.data))])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_arrays_keep_their_dtype_and_recordings_their_sensor(dtype):
    data = stream(500, dtype)
    before = data.copy()
    found = Denoise(5000)(data)
    assert found.dtype == dtype and np.array_equal(data, before)
    events = Events(data, SIZE)
    kept = Denoise(5000)(events)
    assert kept.sensor_size == SIZE
    assert kept == Events(found, SIZE)


def test_odd_arrays_become_canonical_first():
    plain = stream(50)
    columns = np.zeros((50, 1), [("x", "i8"), ("y", "i8"), ("t", "i8"), ("p", "i8")])
    for name in "xytp":
        columns[name][:, 0] = plain[name]
    assert np.array_equal(Denoise(5000)(columns)["t"], Denoise(5000)(plain)["t"])
    titled = np.zeros(50, [(("title", "x"), "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])
    for name in "xytp":
        titled[name] = plain[name]
    found = Denoise(5000)(titled)
    assert found.dtype == titled.dtype and np.array_equal(found["t"], Denoise(5000)(plain)["t"])
    assert np.array_equal(ToFrame(SIZE, n_time_bins=4)(titled), ToFrame(SIZE, n_time_bins=4)(plain))


def test_events_without_a_y_stay_without_one():
    data = np.zeros(3, [("t", "i8"), ("x", "i8"), ("p", "i8")])
    data["t"], data["x"], data["p"] = [0, 10, 20], [5, 6, 6], 1
    found = RefractoryPeriod(100)(data)
    assert found.dtype.names == ("t", "x", "p") and found["x"].tolist() == [5, 6]
    assert ToFrame((700, 1, 2), n_time_bins=4)(data).shape == (4, 2, 700)


@pytest.mark.parametrize(
    "given", [np.zeros(3), [1, 2], None, np.zeros(3, [("x", "i2")])], ids=["plain", "list", "none", "x"]
)
def test_what_is_no_recording_is_refused(given):
    with pytest.raises(EventError, match="x"):
        Denoise()(given)


def test_two_sensor_sizes_are_refused():
    with pytest.raises(EventError, match=r"sensor \(34, 34, 2\), but the recording is of \(24, 16, 2\)"):
        ToFrame((34, 34, 2), n_time_bins=2)(Events(stream(5), SIZE))


@pytest.mark.parametrize(
    "transform", [Denoise(), RefractoryPeriod(10), ToFrame(n_time_bins=2)], ids=lambda t: type(t).__name__
)
def test_events_outside_of_the_sensor_are_named(transform):
    data = stream(10)
    data["y"][7] = 16
    small = type(transform)(**{**transform.__dict__, "sensor_size": SIZE})
    with pytest.raises(EventError, match=r"event 7 has y = 16; expected 0 <= y < 16"):
        small(data)


def test_an_account_adds_up_and_empty_recordings_pass():
    pipeline = Pipeline([Denoise(4000), RefractoryPeriod(2000), ToFrame(SIZE, n_time_bins=4)])
    for n in (0, 1, 300):
        assert pipeline(stream(n)).shape == (4, 2, 16, 24)
    rows = pipeline.account()
    assert [row.recordings for row in rows] == [3, 3, 3]
    assert rows[0].events == 301
    for row, after in itertools.pairwise(rows):
        assert row.events + row.added == row.kept + sum(row.dropped.values())
        assert row.kept == after.events
    pipeline.reset_account()
    assert pipeline.account()[0].events == 0


class _Streams:
    def __init__(self, pipeline):
        self.pipeline = pipeline

    def __len__(self):
        return 6

    def __getitem__(self, index):
        with sample_at(epoch=1, sample=index):
            return self.pipeline(stream(40, seed=index))["t"].copy()


def test_workers_change_no_sample_and_their_events_are_counted():
    found = []
    for workers in (0, 2):
        pipeline = Pipeline([Denoise(50_000), Shuffled()], seed=3)
        found.append([batch[0].numpy() for batch in DataLoader(_Streams(pipeline), num_workers=workers)])
        assert pipeline.account()[0].events == 240
    assert all(np.array_equal(a, b) for a, b in zip(*found))


def test_randomness_follows_seed_epoch_sample_and_place():
    data = stream(40)

    def drawn(seed, epoch, index, place=0):
        with sample_at(epoch, index):
            pipeline = Pipeline([lambda e: e] * place + [Shuffled()], seed=seed)
            pipeline(data)  # an earlier call changes nothing
            return pipeline(data)["t"].tolist()

    base = drawn(0, 0, 0)
    assert drawn(0, 0, 0) == base
    others = [drawn(1, 0, 0), drawn(0, 1, 0), drawn(0, 0, 1), drawn(0, 0, 0, place=1)]
    assert len({tuple(o) for o in [base, *others]}) == 5


def test_without_a_sample_each_call_draws_anew_and_a_seed_repeats_them():
    data = stream(40)
    first, second = Shuffled(), Shuffled()
    first.seed = second.seed = 5
    calls = [first(data)["t"].tolist() for _ in range(3)]
    assert calls == [second(data)["t"].tolist() for _ in range(3)]
    assert calls[0] != calls[1]


def test_a_compose_of_tonics_takes_them():
    composed = tonic.transforms.Compose([Denoise(5000), ToFrame(SIZE, n_time_bins=3)])
    assert composed(stream(100)).shape == (3, 2, 16, 24)


def test_what_cannot_be_called_is_named():
    with pytest.raises(ConfigError, match="transform 1 of the pipeline is 3"):
        Pipeline([Denoise(), 3])
    with pytest.raises(ConfigError, match=r"transform 0 of the pipeline is <class .*Denoise'>"):
        Pipeline([Denoise])


@given(st.integers(0, 60), st.integers(0, 1000))
def test_compaction_is_indexing(n, seed):
    data = stream(n, seed=seed)
    keep = np.random.default_rng(seed).random(n) < 0.5
    assert np.array_equal(kept_of(data, keep), data[keep])


def test_draws_have_their_distributions():
    draw = Draw(0)
    uniform, normal, whole = draw.uniform(20_000, 2, 4), draw.normal(20_000), draw.integers(-2, 3, 20_000)
    assert abs(uniform.mean() - 3) < 0.02 and uniform.min() >= 2 and uniform.max() < 4
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.03
    assert set(whole.tolist()) == {-2, -1, 0, 1, 2}
    assert sorted(draw.order(9).tolist()) == list(range(9))
    assert GESTURE.itemsize == 13
