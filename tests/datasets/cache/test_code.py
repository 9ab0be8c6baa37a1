"""What the user's own code does decides the key, wherever its parts stand."""

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections import namedtuple
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numba import njit

from spikesim.datasets import transforms as T
from spikesim.datasets.cache.code import own_code
from spikesim.datasets.cache.identity import Describer
from spikesim.errors import ConfigError

FACTOR, HELPER = 1, None


def told(value):
    return repr(Describer()(value))


def scaled(frames):
    return frames * FACTOR


def helped(frames):
    return [HELPER(one) for one in frames]


class Scale:
    factor = 1

    def __call__(self, frames):
        return frames * self.factor


class Child(Scale):
    def __call__(self, frames):
        return super().__call__(frames) + 1


@njit
def compiled(frames):
    return frames + FACTOR


@lru_cache
def remembered(frames):
    return frames * FACTOR


@pytest.mark.parametrize(
    "value", [scaled, lambda frames: scaled(frames), compiled, remembered, Child.__call__, T.Pipeline([scaled])]
)
def test_a_global_value_that_changes_is_seen(value, monkeypatch):
    first = told(value)
    assert told(value) == first
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 2)
    assert (told(value) != first) == (value is not Child.__call__)


def test_a_function_that_is_exchanged_is_seen(monkeypatch):
    found = []
    for helper in (abs, np.square, lambda one: one + 1, lambda one: one + 2, scaled):
        monkeypatch.setattr(sys.modules[__name__], "HELPER", helper)
        found.append(told(helped))
    assert len(set(found)) == 5


def test_class_attributes_and_those_of_parents_count(monkeypatch):
    first = told(Scale()), told(Child())
    monkeypatch.setattr(Scale, "factor", 2)
    second = told(Scale()), told(Child())
    assert len({*first, *second}) == 4
    monkeypatch.setattr(Scale, "__call__", lambda self, frames: frames)
    assert len({*second, told(Scale()), told(Child())}) == 4


def test_what_is_defined_twice_is_told_apart():
    def made(twice):
        def times(frames, by=2 if twice else 3):
            return frames * by

        class Times:
            if twice:

                def __call__(self, frames):
                    return frames * 2
            else:

                def __call__(self, frames):
                    return frames * 3

        return told(times), told(Times())

    assert len({*made(True), *made(False)}) == 4
    assert made(True) == made(True)


class Add(NamedTuple):
    by: int

    def __call__(self, frames):
        return frames + self.by


class Times(NamedTuple):
    by: int

    def __call__(self, frames):
        return frames * self.by


class Whole(int):
    def __call__(self, frames):
        return frames + self


class Table(dict):
    def __call__(self, frames):
        return self[frames]


class Slotted:
    __slots__ = ("by",)

    def __init__(self, by):
        self.by = by


class Open(Slotted):
    pass


class Mode(Enum):
    FAST, SLOW = 1, 2


def test_values_of_a_class_of_their_own_are_told_apart():
    values = [
        1, (1,), {}, Add(1), Add(2), Times(1), Whole(1), Whole(2), Table(), Table(a=1), Slotted(1), Slotted(2), Open(1),
        Open(2),
        Mode.FAST, Mode.SLOW, namedtuple("Pair", "a b")(1, 2), np.arange(3).take, np.ones(3).take, np.float64(1),
    ]  # fmt: skip
    assert len({told(value) for value in values}) == len(values)
    assert [told(value) for value in values] == [told(value) for value in values]


class Base(ABC):
    @abstractmethod
    def __call__(self, frames): ...

    @property
    def one(self):
        return FACTOR

    @staticmethod
    def two():
        return 2


@dataclass(frozen=True)
class Rich(Base):
    by: list = field(default_factory=list)

    def __call__(self, frames):
        return Rich(self.by) if self.three else frames * len(Mode)

    @cached_property
    def three(self):
        return self.two() + self.one


class Own(T.EventTransform):
    def apply(self, stream, draw):
        return T.Applied(stream.data)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)


@pytest.mark.parametrize("value", [Rich(), Own(), torch.nn.Identity(), Net(), torch.relu, np.concatenate])
def test_what_people_write_can_be_told(value):
    assert told(value) == told(value)


def test_what_no_array_holds_wants_a_key():
    for value in (torch.ones(2, dtype=torch.bfloat16), torch.ones(2, 2).to_sparse()):
        with pytest.raises(ConfigError, match=r'pass key="\.\.\."'):
            told(value)


def module(folder, name, text):
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


def test_helpers_and_settings_in_other_files_count(tmp_path, monkeypatch):
    for name in ("own_helpers", "own_transforms"):
        monkeypatch.setitem(sys.modules, name, None)
    text = "import own_helpers\nfrom own_helpers import plus\n" + "def use(x):\n    return plus(x) * own_helpers.GAIN\n"
    found = []
    for body in ("x + 1", "x + 2"):
        helpers = module(tmp_path, "own_helpers", f"GAIN = 1\ndef plus(x):\n    return {body}\n")
        found.append(told(module(tmp_path, "own_transforms", text).use))
    helpers.GAIN = 5
    found.append(told(sys.modules["own_transforms"].use))
    assert len(set(found)) == 3


def test_the_code_of_every_reader_here_counts(tmp_path, monkeypatch):
    """Also of those in the catalogue, and of what turns columns into events."""
    from pathlib import Path

    read, real = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or real(path))
    own_code.__wrapped__()
    assert {"smnist.py", "ntidigits.py", "columns.py", "records.py", "stream.py", "bin40.py", "fill.py"} <= set(read)
