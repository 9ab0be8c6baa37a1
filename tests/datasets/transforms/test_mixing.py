"""Recordings mixed from two, the labels that come of it, and the dataset that does it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles.mixing import blurred, mixture
from oracles.streams import DTYPES, stream
from torch.utils.data import DataLoader, default_collate

from spikesim.datasets import EpochSampler, EventBatch, Events
from spikesim.datasets import transforms as T
from spikesim.datasets.transforms.draw import Draw
from spikesim.datasets.transforms.eventmix import density
from spikesim.datasets.transforms.mixing import Box, Region, drawn_beta
from spikesim.errors import ConfigError, EventError

SIZE = (24, 16, 2)
MIXERS = [T.CutMix, T.EventMix]


def rows(data):
    return [(int(e["x"]), int(e["y"]), int(e["t"]), int(e["p"])) for e in data]


class LeftHalf(T.EventMixer):
    """The second recording replaces the first in the left half."""

    def region(self, box, volume, draw):
        return Region(lambda data: data["x"] < box.size[0] // 2, 0.5)


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 9), (9, 0), (1, 1), (300, 200)])
@pytest.mark.parametrize("align", ["start", "duration", "none"])
def test_form_account_and_input_hold(mixer, dtype, n, m, align):
    a, b = stream(n, dtype, first=50), stream(m, DTYPES["nmnist"], first=900, seed=1)
    before = a.copy(), b.copy()
    mixed = mixer(SIZE, align=align, seed=3)((a, 4), (b, 7))
    assert mixed.result.dtype == dtype and np.array_equal(a, before[0]) and np.array_equal(b, before[1])
    assert len(mixed.result) == sum(mixed.kept)
    assert mixed.kept[0] + mixed.dropped[0] == n and mixed.kept[1] + mixed.dropped[1] == m
    assert (np.diff(mixed.result["t"].astype(np.int64)) >= 0).all()
    assert mixed.label[:2] == (4, 7) and 0 <= mixed.label.weight <= 1
    again = mixer(align=align, seed=3)((Events(a, SIZE), 4), (Events(b, SIZE), 7))
    assert isinstance(again.result, Events) and rows(again.result.data) == rows(mixed.result)
    assert again.label == mixed.label


def test_the_weight_is_what_is_left():
    a, b = stream(1000), stream(10, seed=1)
    b["x"] = np.arange(10) * 2  # six of ten in the left half
    left = int((a["x"] >= 12).sum())
    share, count, volume = (LeftHalf(SIZE, weigh=w)((a, 0), (b, 1)) for w in ("share", "count", "volume"))
    assert share.kept == count.kept == (left, 6)
    assert share.label.weight == pytest.approx((left / 1000) / (left / 1000 + 6 / 10))
    assert count.label.weight == pytest.approx(left / (left + 6))  # the busy one takes nearly all
    assert volume.label.weight == 0.5


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 5), st.integers(0, 99))
def test_distance_is_the_loop(n, m, bins, seed):
    size = (6, 5, 2)
    a, b = stream(n, size=size[:2], span=300, seed=seed), stream(m, size=size[:2], span=200, seed=seed + 1)
    mixed = LeftHalf(size, weigh="distance", align="none", bins=bins)((a, 0), (b, 1))
    both = np.concatenate([a, b])["t"]
    start = int(both.min()) if len(both) else 0
    length = int(both.max()) + 1 - start if len(both) else 1
    one, other, found = (blurred(data, size, start, length, bins) for data in (a, b, mixed.result))
    far = ((one - found) ** 2).mean() ** 2, ((other - found) ** 2).mean() ** 2
    expected = far[1] / sum(far) if sum(far) > 0 else 0.5
    assert mixed.label.weight == pytest.approx(expected)


def test_nothing_to_go_by_leaves_the_volume():
    empty = stream(0)
    assert LeftHalf(SIZE)((empty, 0), (empty, 1)).label.weight == 0.5
    assert LeftHalf(SIZE)((stream(50), 0), (empty, 1)).label.weight == 1.0
    assert LeftHalf(SIZE)((empty, 0), (stream(50), 1)).label.weight == 0.0


def test_recordings_begin_together_or_last_equally_long():
    a, b = stream(100, span=1000, first=50), stream(100, span=5000, first=90_000, seed=1)
    everything = LeftHalf(SIZE, align="start")((a[a["x"] < 0], 0), (b, 1)).result
    assert everything["t"][0] >= 90_000  # nothing to align to
    both = LeftHalf(SIZE, align="start")((a, 0), (b, 1)).result["t"]
    assert both.min() >= a["t"].min() and both.max() <= a["t"].min() + 5000
    stretched = LeftHalf(SIZE, align="duration")((a, 0), (b, 1)).result["t"]
    assert stretched.max() <= a["t"].max()
    apart = LeftHalf(SIZE, align="none")((a, 0), (b, 1)).result["t"]
    assert apart.max() > 90_000


def test_a_cutmix_takes_a_rectangle_of_pixels():
    x, y = np.tile(np.arange(24), 16), np.repeat(np.arange(16), 24)
    a, b = (Events.from_columns(x, y, np.arange(384), np.full(384, p), SIZE) for p in (0, 1))
    areas = []
    for seed in range(100):
        mixed = T.CutMix(weigh="volume", seed=seed)((a, 0), (b, 1))
        taken = mixed.result.data[mixed.result.p == 1]
        assert len(mixed.result) == 384
        if len(taken):
            width, height = (int(np.ptp(taken[k])) + 1 for k in ("x", "y"))
            assert width * height == len(taken)
        assert mixed.label.weight == pytest.approx(1 - len(taken) / 384)
        areas.append(len(taken) / 384)
    assert min(areas) < 0.05 and max(areas) > 0.5


@given(st.integers(0, 9999))
def test_a_mixture_is_the_loop(seed):
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(0.05, 1, (rng.integers(1, 5), 7))
    point = rng.uniform(0, 1, 3)
    assert density(*point, drawn) == pytest.approx(mixture(*point, drawn))


def test_an_eventmix_fills_the_volume_that_was_drawn():
    rng = np.random.default_rng(0)
    points = stream(20_000, span=50_000)
    points["t"] = np.sort(rng.integers(0, 50_000, 20_000))
    for seed, volume in enumerate([0.0, 0.1, 0.5, 0.9, 1.0]):
        region = T.EventMix().region(Box(SIZE, 0, 50_000), volume, Draw(seed))
        assert region.volume == pytest.approx(volume, abs=1e-4)
        assert region.holds(points).mean() == pytest.approx(volume, abs=0.03)


def test_beta_numbers_have_its_moments():
    for alpha in (0.2, 1.0, 4.0):
        drawn = np.array([drawn_beta(alpha, Draw(0, k)) for k in range(3000)])
        assert drawn.mean() == pytest.approx(0.5, abs=0.03)
        assert drawn.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
    assert 0 <= drawn_beta(1e-3, Draw(0)) <= 1


def test_soft_targets_of_all_kinds():
    plain = T.soft_targets(torch.tensor([1, 0]), 3)
    assert plain.tolist() == [[0, 1, 0], [1, 0, 0]]
    pairs = [T.MixedLabel(0, 2, 0.25), T.MixedLabel(1, 1, 0.4)]
    expected = [[0.25, 0, 0.75], [0, 1, 0]]
    assert torch.allclose(T.soft_targets(pairs, 3), torch.tensor(expected))
    assert torch.allclose(T.soft_targets(default_collate(pairs), 3), torch.tensor(expected))
    assert T.soft_targets([], 3).shape == (0, 3)
    with pytest.raises(ConfigError, match="from 0 to 2; expected 0 to 1"):
        T.soft_targets(pairs, 2)


def test_a_mixed_dataset_follows_seed_epoch_and_sample():
    data = [(Events(stream(200, seed=k), SIZE), k) for k in range(6)]
    mixed = T.MixedDataset(data, T.EventMix(), transform=T.ToFrame(n_time_bins=3), seed=1)
    other = T.MixedDataset(data, T.EventMix(), transform=T.ToFrame(n_time_bins=3), seed=1)
    mixed[4]
    assert np.array_equal(mixed[2][0], other[2][0]) and mixed[2][1] == other[2][1]
    first = mixed[2][1]
    other.set_epoch(1)
    assert other[2][1] != first
    with T.sample_at(1, 2):
        assert mixed[2][1] == other[2][1]
    never = T.MixedDataset(data, T.CutMix(), probability=0)
    assert never[3][1] == (3, 3, 1.0) and never[3][0] is data[3][0]


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_do_not_matter(workers):
    data = [(Events(stream(200, seed=k), SIZE), k) for k in range(8)]
    mixed = T.MixedDataset(data, T.CutMix(), transform=T.ToFrame(n_time_bins=3), seed=1)
    sampler = EpochSampler(mixed, shuffle=True, seed=0)
    loader = DataLoader(mixed, batch_size=4, sampler=sampler, num_workers=workers)
    batches = list(loader)
    expected = [mixed[key] for key in EpochSampler(mixed, shuffle=True, seed=0)]
    assert np.array_equal(torch.cat([x for x, _ in batches]), np.stack([x for x, _ in expected]))
    weights = torch.cat([label.weight for _, label in batches]).tolist()
    assert weights == [label.weight for _, label in expected]


def batch_of(n, lengths=None):
    generator = torch.Generator().manual_seed(n)
    x = torch.randint(0, 3, (5, n, 2, 8, 6), generator=generator, dtype=torch.uint8)
    mask = None
    if lengths is not None:
        mask = torch.arange(5)[:, None] < torch.tensor(lengths)
        x = x * mask[..., None, None, None]
    lengths = torch.tensor(lengths or [5] * n)
    return EventBatch(x, lengths, mask, torch.arange(n))


@pytest.mark.parametrize("weigh", ["share", "count", "volume"])
def test_a_batch_is_mixed_in_one_rectangle(weigh):
    batch = batch_of(7)
    before = batch.x.clone()
    for seed in range(20):
        mixed, label = T.cutmix_batch(batch, torch.Generator().manual_seed(seed), weigh=weigh)
        assert torch.equal(batch.x, before) and mixed.x.dtype == torch.uint8
        for n in range(7):
            partner, weight = int(label.label_b[n]), float(label.weight[n])
            a, b, x = batch.x[:, n].float(), batch.x[:, partner].float(), mixed.x[:, n].float()
            assert bool(((x == a) | (x == b)).all())
            taken = (x != a).any(0).any(0)
            if weigh == "count" and partner != n:
                came = x.sum() - (x * ~taken).sum()
                assert weight == pytest.approx(float(1 - came / x.sum()), abs=0.2)
        assert ((label.weight >= 0) & (label.weight <= 1)).all()


def test_batch_weights_by_hand():
    x = torch.zeros(1, 2, 1, 4, 4, dtype=torch.uint8)
    x[0, 0], x[0, 1] = 1, 3
    batch = EventBatch(x, torch.tensor([1, 1]), None, torch.tensor([0, 1]))
    for seed in range(30):
        generators = [torch.Generator().manual_seed(seed) for _ in range(3)]
        made = {w: T.cutmix_batch(batch, g, weigh=w) for w, g in zip(("share", "count", "volume"), generators)}
        mixed, label = made["count"]
        if label.label_b.tolist() != [1, 0]:
            continue
        cut = int((mixed.x[0, 0] == 3).sum())
        assert float(label.weight[0]) == pytest.approx((16 - cut) / (16 - cut + 3 * cut))
        assert float(made["share"][1].weight[0]) == pytest.approx(1 - cut / 16)
        assert made["volume"][1].weight.tolist() == pytest.approx([1 - cut / 16] * 2)


def test_a_padded_batch_is_as_long_as_the_longer_of_two():
    batch = batch_of(4, [5, 2, 3, 1])
    mixed, label = T.cutmix_batch(batch, torch.Generator().manual_seed(1))
    expected = torch.maximum(batch.lengths, batch.lengths[label.label_b])
    assert torch.equal(mixed.lengths, expected)
    assert torch.equal(mixed.mask, torch.arange(5)[:, None] < expected)
    empty = EventBatch(torch.zeros(1, 2, 1, 4, 4, dtype=torch.uint8), batch.lengths[:2], None, torch.tensor([0, 1]))
    assert T.cutmix_batch(empty, torch.Generator().manual_seed(0))[1].weight.isfinite().all()


def test_refusals():
    a, b = Events(stream(3), SIZE), Events(stream(3), (30, 16, 2))
    with pytest.raises(EventError, match="of the sensors"):
        T.CutMix()((a, 0), (b, 1))
    outside = stream(9)
    outside["x"][4] = 30
    with pytest.raises(EventError, match="event 4 has x = 30"):
        T.CutMix(SIZE)((stream(3), 0), (outside, 1))
    late = stream(3, first=2**40)
    narrow = stream(3).astype([("x", "i2"), ("y", "i2"), ("p", "?"), ("t", "i4")])
    with pytest.raises(EventError, match="t of the second recording does not fit int32"):
        T.CutMix(SIZE, align="none")((narrow, 0), (late, 1))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: T.CutMix(alpha=0), "alpha is 0"),
        (lambda: T.CutMix(weigh="area"), "weigh is 'area'"),
        (lambda: T.CutMix(align="end"), "align is 'end'"),
        (lambda: T.CutMix(bins=0), "bins is 0"),
        (lambda: T.EventMix(components=0), "components is 0"),
        (lambda: T.EventMix(components=(3, 2)), "components is 2"),
        (lambda: T.EventMix(widths=(0, 1)), "widths is"),
        (lambda: T.MixedDataset([], T.CutMix(), probability=2), "probability is 2"),
        (lambda: T.cutmix_batch(batch_of(2), torch.Generator(), weigh="distance"), "weigh is 'distance'"),
    ],
)
def test_settings_that_make_no_sense(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
