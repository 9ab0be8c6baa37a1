"""When an entry is found again, and when another one is made."""

import functools
import importlib.util
import logging
import os
import random
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass

import numpy as np
import pytest
import tonic
import torch
from torch.utils.data import ConcatDataset, Subset

from spikesim.datasets import CachedFrames, EventFolder, Events, FrameDataset, Frames, load, read_bin
from spikesim.datasets import transforms as T
from spikesim.datasets.cache import cache_entries
from spikesim.datasets.cache.digests import content_digests
from spikesim.datasets.cache.identity import Describer
from spikesim.errors import ConfigError, DatasetError

ONE = (np.ones((2, 1, 3, 3), np.uint8), 0)


def keys(root, *cases, **options):
    """The key of each case: a dataset, or a dataset and a transform."""
    return [
        CachedFrames(*(case if isinstance(case, tuple) else (case,)), root=root, **options).path.name for case in cases
    ]


def test_other_transforms_are_other_entries(train, root):
    denoise, frame = T.Denoise(10_000), T.ToFrame(n_time_bins=3)
    found = keys(
        root,
        (train, frame),
        (train, T.ToFrame(n_time_bins=4)),
        (train, T.ToFrame(n_time_bins=3, dtype="int16")),
        (train, T.ToFrame(n_time_bins=3, remainder="tonic")),
        (train, T.Pipeline([denoise, frame])),
        (train, T.Pipeline([T.Denoise(5_000), frame])),
        (train, T.Pipeline([frame, np.flip])),
        (train, Frames(3)),
        (train, Frames(3, by="count")),
    )
    assert len(set(found)) == len(found) == len(cache_entries(root))
    assert keys(root, (train, T.Pipeline([T.Denoise(10_000), T.ToFrame(n_time_bins=3)], seed=9)))[0] == found[4]
    assert keys(root, (train, frame), dtype="float32")[0] not in found
    assert keys(root, (train, frame), key="mine")[0] not in found


def test_other_recordings_are_other_entries(recordings, train, root):
    frames = Frames(2)
    found = keys(
        root,
        (train, frames),
        (load("nmnist", recordings, "test"), frames),
        (load("nmnist", recordings, "train", validation=0.25), frames),
        (Subset(train, [0, 1, 2]), frames),
        (Subset(train, [0, 2, 1]), frames),
        (ConcatDataset([train, train]), frames),
        (EventFolder(recordings, "Train", reader=functools.partial(read_bin, sensor_size=(40, 34, 2))), frames),
        (EventFolder(recordings, "Train", classes=[str(n) for n in range(11)]), frames),
    )
    assert len(set(found)) == len(found)
    assert keys(root, (load("nmnist", recordings, "train"), frames), (Subset(train, range(3)), frames)) == [
        found[0],
        found[3],
    ]
    train.labels[5] += 1
    assert keys(root, (train, frames))[0] not in found


class Cut(EventFolder):
    """A user's own dataset, which reads in its own way."""

    def __init__(self, root, until):
        super().__init__(root)
        self.until = until

    def __getitem__(self, index):
        events, label = super().__getitem__(index)
        return events.select(events.t < self.until), label


def test_settings_of_the_users_own_datasets_count(recordings, root):
    found = keys(root, *((Cut(recordings, until), Frames(2)) for until in (10_000, 200_000, 10_000)))
    assert found[0] == found[2] != found[1]
    assert keys(root, (EventFolder(recordings), Frames(2)))[0] not in found


def test_classes_are_found_through_subsets(train, root):
    for dataset in (train, Subset(train, [3, 1]), ConcatDataset([Subset(train, [3]), train])):
        assert CachedFrames(dataset, Frames(1), root=root).classes == train.classes
        assert FrameDataset(dataset, Frames(1)).classes == train.classes


def test_content_counts_and_not_where_or_when(recordings, root, tmp_path):
    shutil.copytree(recordings, tmp_path / "data")
    frames, elsewhere = Frames(2), tmp_path / "elsewhere" / "nmnist"
    first = CachedFrames(load("nmnist", tmp_path / "data"), frames, root=root)
    shutil.move(tmp_path / "data", elsewhere)
    file = load("nmnist", elsewhere).files[3]
    os.utime(file)
    assert CachedFrames(load("nmnist", elsewhere), frames, root=root).path == first.path
    status, content = file.stat(), bytearray(file.read_bytes())
    content[4] ^= 1  # an event a microsecond off: same size, and the time of change put back
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    changed = CachedFrames(load("nmnist", elsewhere), frames, root=root)
    assert changed.path != first.path
    listed = load("nmnist", elsewhere)
    file.unlink()
    with pytest.raises(DatasetError, match=rf"{file.name}: cannot be read"):
        CachedFrames(listed, frames, root=root)


def test_files_are_read_again_only_when_they_changed(tmp_path, monkeypatch):
    files = [tmp_path / name for name in "abc"]
    for file in files:
        file.write_bytes(file.name.encode())
    old = 1_000_000_000
    monkeypatch.setattr("spikesim.datasets.cache.digests._SETTLED_NS", -(10**12))  # as if all were changed long ago
    first = content_digests([*files, files[0]], tmp_path / "notes")
    assert first[0] == first[3] and len(set(first)) == 3
    read = []
    real = open
    monkeypatch.setattr(
        "builtins.open", lambda path, *rest, **more: read.append(str(path)) or real(path, *rest, **more)
    )
    assert content_digests([*files, files[0]], tmp_path / "notes") == first
    assert not [path for path in read if path in map(str, files)]
    files[1].write_bytes(b"B")
    os.utime(files[1], ns=(old, old))
    second = content_digests([*files, files[0]], tmp_path / "notes")
    assert [a == b for a, b in zip(first, second)] == [True, False, True, True]
    assert [path for path in read if path in map(str, files)] == [str(files[1])]
    next((tmp_path / "notes").glob("*.npy")).write_bytes(b"not notes")
    assert content_digests(files, tmp_path / "notes") == second[:3]


def test_a_file_that_has_just_changed_is_not_taken_for_settled(tmp_path):
    file = tmp_path / "a"
    found = []
    for content in (b"1", b"2", b"3"):
        file.write_bytes(content)
        os.utime(file, ns=(5, 5))
        found.append(content_digests([file], tmp_path / "notes")[0])
    assert len(set(found)) == 3


OWN = """
from dataclasses import dataclass
import numpy as np
@dataclass
class Mine:
    factor: int = 1
    def __call__(self, events):
        return np.full((1, 1, 2, 2), CODE, np.uint8) * self.factor
def plain(events):
    return Mine()(events)
"""


def own_module(path, code):
    path.write_text(OWN.replace("CODE", code))
    spec = importlib.util.spec_from_file_location("a_users_module", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["a_users_module"] = module
    spec.loader.exec_module(module)
    return module


def test_code_of_the_users_own_counts(root, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "a_users_module", None)
    one = own_module(tmp_path / "own.py", "1")
    first = keys(root, ([ONE], one.Mine()), ([ONE], one.Mine(2)), ([ONE], one.plain))
    vouched = keys(root, ([ONE], one.Mine()), key="v1")
    assert len({*first, *vouched}) == 4
    two = own_module(tmp_path / "own.py", "2")
    assert not set(first) & set(keys(root, ([ONE], two.Mine()), ([ONE], two.Mine(2)), ([ONE], two.plain)))
    assert keys(root, ([ONE], two.Mine()), key="v1") == vouched  # whose key says that nothing changed
    assert keys(root, ([ONE], two.Mine()), key="v2") != vouched


def test_functions_without_a_name_are_told_apart():
    def scaled(factor, bias=0):
        return lambda frames: frames * factor + bias

    def again(frames):
        return again(frames) if len(frames) else frames

    describe = Describer()
    told = [scaled(1), scaled(2), scaled(1, 1), lambda frames: frames, lambda frames: frames + 1, again]
    assert len({repr(describe(one)) for one in told}) == 6
    assert describe(scaled(2)) == describe(scaled(2))


def test_values_are_told_apart():
    @dataclass
    class Holds:
        value: object

    values = [
        None, True, 0, 1, 1.5, "1", b"1", [1], {1}, {"a": 1}, {"a": 2}, np.zeros(2),
        np.zeros(2, np.float32), np.zeros((2, 1)), torch.ones(2),
        np.float32(1), np.dtype("u1"), torch.float16, np.flip, functools.partial(np.flip, axis=0),
        functools.partial(np.flip, axis=1), Events.empty((4, 4, 2)), Events.empty((4, 5, 2)), Holds(1), [Holds(1)],
        T.Pipeline([np.flip]), tonic.transforms.Compose([np.flip]), Holds(1).__eq__, range(3), slice(3),
    ]  # fmt: skip
    told = [repr(Describer()(Holds(value))) for value in values]
    assert len(set(told)) == len(values)
    assert [repr(Describer()(Holds(value))) for value in values] == told


def test_a_description_is_the_same_in_every_process():
    code = (
        "from spikesim.datasets.cache.identity import Describer; from spikesim.datasets.transforms import *\n"
        "import functools, numpy as np\n"
        "def made(): return lambda x: x in {'a', 'b', 'c', 'd'}\n"
        "print(Describer('k')([Denoise(), {'x', 'y', 'z'}, functools.partial(np.flip, axis=1), made()]))"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={**os.environ, "PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1] and "Denoise" in said[0]


def test_what_cannot_be_told_wants_a_key(root):
    class Cycle:
        def __call__(self, frames):
            return frames

    cycle, logs = Cycle(), Cycle()
    cycle.me, logs.logger = cycle, logging.getLogger("x")
    for held, where in (
        (functools.partial(lambda frames, lock: frames, lock=threading.Lock()), r"transform\['lock'\]"),
        (functools.partial(lambda frames, rng: frames, rng=np.random.default_rng()), r"transform\['rng'\]"),
        (cycle, "transform.me"),
        (logs, "transform.logger"),
    ):
        with pytest.raises(ConfigError, match=rf'{where} is .*pass key="..."'):
            CachedFrames([ONE], held, root=root)
        assert len(CachedFrames([ONE], held, root=root, key="1")) == 1

    class Own:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return ONE

    with pytest.raises(ConfigError, match=r'dataset is a Own, .*pass key="\.\.\."'):
        CachedFrames(Own(), root=root)
    assert len(CachedFrames(Own(), root=root, key="1")) == 1
    with pytest.raises(ConfigError, match="key is 1; expected a text"):
        CachedFrames(Own(), root=root, key=1)


@dataclass(frozen=True)
class Undeclared(T.EventTransform):
    def apply(self, stream, draw):
        return T.Applied(stream.data[: int(draw.integers(0, 5, 1)[0])])


@dataclass(frozen=True)
class RandomThing:
    def __call__(self, frames):
        return frames


flip = T.RandomFlipLR()
RANDOM = [
    flip,
    T.Pipeline([T.Denoise(), T.Pipeline([flip])]),
    tonic.transforms.Compose([tonic.transforms.Denoise(1000), tonic.transforms.DropEvent(p=0.1)]),
    functools.partial(flip.counted, seed=1),
    (lambda flip: lambda events: flip(events))(flip),
    T.Pipeline([T.NDA()]),
    T.CutMix(),
    RandomThing(),
]


@pytest.mark.parametrize("keep", [CachedFrames, FrameDataset])
def test_random_transforms_are_refused_wherever_they_stand(train, recordings, root, keep, monkeypatch):
    monkeypatch.setenv("SPIKESIM_CACHE_DIR", str(root))

    def refused(dataset, transform, match=r"draws random numbers.*event_loader\(cached, ..., augment="):
        with pytest.raises(ConfigError, match=match):
            keep(dataset, transform)

    for transform in RANDOM:
        refused(train, transform)
        refused(load("nmnist", recordings, transform=transform), T.ToFrame(n_time_bins=2))
        refused(Subset(load("nmnist", recordings, transform=transform), [0]), T.ToFrame(n_time_bins=2))
    refused(T.MixedDataset(train, T.CutMix(), transform=T.ToFrame(n_time_bins=2)), None)
    # What does not say so is found out.
    refused(train, T.Pipeline([Undeclared(), T.ToFrame(n_time_bins=2)]), "say so in its class: random = True")
    refused([ONE], lambda frames: T.RandomFlipLR()(Events.empty((3, 3, 2))), "draws random numbers for what is kept")
    for drawn in (
        lambda frames: np.random.permutation(frames),
        lambda frames: frames * random.randint(1, 2),
        lambda frames: frames[torch.randperm(len(frames)).numpy()],
    ):
        refused([ONE], lambda frames, drawn=drawn: drawn(frames), "sample 0 changed a global random generator")
    assert not list(root.rglob("*.part")) and cache_entries() == []


def test_tonics_datasets_are_told_by_their_files(recordings, root, tmp_path, monkeypatch):
    monkeypatch.setattr(tonic.datasets.NMNIST, "_check_exists", lambda self: True)
    shutil.copytree(recordings, tmp_path / "NMNIST")
    size = tonic.datasets.NMNIST.sensor_size
    frame = tonic.transforms.ToFrame(size, n_time_bins=3)

    def dataset(**options):
        return tonic.datasets.NMNIST(str(tmp_path), **options)

    first = CachedFrames(dataset(transform=frame), root=root)
    assert first.steps.dtype == np.int16 and np.array_equal(first[3][0].numpy(), dataset(transform=frame)[3][0])
    found = keys(
        root,
        dataset(transform=frame),
        dataset(transform=tonic.transforms.ToFrame(size, n_time_bins=4)),
        dataset(transform=frame, train=False),
        (dataset(), T.ToFrame(size, n_time_bins=3)),
        dataset(transform=frame, target_transform=lambda label: label + 1),
        dataset(transform=frame, first_saccade_only=True),
    )
    assert found[0] == first.path.name and len(set(found)) == 6
    file = dataset().data[0]
    with open(file, "ab") as grown:
        grown.write(bytes(5))
    assert keys(root, dataset(transform=frame)) != found[:1]
