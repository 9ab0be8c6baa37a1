"""What a transform is, as text: two that may give other frames never have the same one.

Settings alone do not say what a transform does; its code belongs to it. Of classes and functions of this package the
text has one digest over all sources that read, convert and transform events; of installed packages the version and
the file; of the standard library nothing. The user's own code (what is not installed) is followed: its bytecode,
defaults, closures and class attributes, base classes, and the global values, functions and classes that it names.
What cannot be written down (an open file, a compiled object) is refused, unless the caller vouches for it with a
key of his own.
"""

from __future__ import annotations

import functools
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikesim.datasets.cache.code import (
    bytecode,
    cells_of,
    digest,
    globals_of,
    held_by,
    is_installed,
    is_standard,
    members_of,
    own_code,
    plain_function,
    source_of,
)  # fmt: skip
from spikesim.datasets.transforms.pipeline import Pipeline
from spikesim.errors import ConfigError

_PLAIN = (type(None), bool, int, float, str)
_CONTAINERS = (list, tuple, set, frozenset, dict)
_NAMED = (np.dtype, torch.dtype, Path, slice, range)
_NO_SETTINGS = ("_counts", "seed")  # of a pipeline: what is kept draws nothing


class Describer:
    """Writes down values, transforms and functions as what ``json.dumps`` takes.

    Args:
        key: what the caller vouches with for code and values that cannot be told from here; code of others is then
            not looked at.

    Example:
        >>> from spikesim.datasets.transforms import Denoise
        >>> Describer()(Denoise(10_000))["has"]
        {'filter_time': 10000, 'sensor_size': None}
    """

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self._open: set[int] = set()
        self._written: set[int] = set()

    def __call__(self, value: Any, where: str = "transform") -> Any:
        """Describe a value.

        Args:
            value: anything that a transform may hold.
            where: how a message names it.

        Raises:
            ConfigError: it cannot be told from another one, and there is no key.
        """
        if type(value) in _PLAIN:
            return value
        if type(value) is bytes:
            return ["bytes", digest(value)]
        if isinstance(value, torch.Tensor):
            if value.layout is not torch.strided or value.dtype is torch.bfloat16:
                return self._vouched(value, where)  # NumPy has no such arrays
            value = value.detach().cpu().numpy()
        if isinstance(value, (np.ndarray, np.generic)):
            array = np.asarray(value)
            if array.dtype.hasobject:
                return self._vouched(value, where)
            return ["array", str(array.dtype.descr), list(array.shape), digest(array.tobytes())]
        if isinstance(value, _NAMED):
            return [type(value).__name__, str(value)]
        value = plain_function(value)
        if isinstance(value, (type, types.FunctionType, np.ufunc)):
            return self._code(value, where)
        if id(value) in self._open:
            return self._vouched(value, where)  # it holds itself
        self._open.add(id(value))
        try:
            return self._compound(value, where)
        finally:
            self._open.discard(id(value))

    def _compound(self, value: Any, where: str) -> Any:
        if isinstance(value, types.BuiltinFunctionType):
            if isinstance(value.__self__, (type(None), types.ModuleType)):
                return self._code(value, where)
            return ["method", value.__qualname__, self(value.__self__, where)]  # of an array, say
        if isinstance(value, types.MethodType):
            return ["method", value.__name__, self(value.__self__, where)]
        if isinstance(value, functools.partial):
            return ["partial", *(self(one, where) for one in (value.func, value.args, value.keywords))]
        kind, content = type(value), self._content(value, where)
        if kind in _CONTAINERS:
            return content
        settings = held_by(value)
        if content is None and (settings is None or is_standard(kind.__module__)):
            return self._vouched(value, where)
        skipped = _NO_SETTINGS if isinstance(value, Pipeline) else ()
        has = {name: self(held, f"{where}.{name}") for name, held in (settings or {}).items() if name not in skipped}
        return {"is": self._code(kind, where), **({"holds": content} if content is not None else {}), "has": has}

    def _content(self, value: Any, where: str) -> Any:
        """What a container or number holds, also one of a class of its own, which has more to it than that."""
        if isinstance(value, (list, tuple)):
            return [self(one, f"{where}[{n}]") for n, one in enumerate(value)]
        if isinstance(value, (set, frozenset)):
            return ["set", *sorted((self(one, where) for one in value), key=repr)]
        if isinstance(value, dict):
            return ["dict", *([self(k, where), self(v, f"{where}[{k!r}]")] for k, v in value.items())]
        base = next((one for one in (int, float, str, bytes) if isinstance(value, one)), None)
        return None if base is None else self(base(value), where)

    def _code(self, value: Any, where: str) -> Any:
        """A class or a function: its name, and the code that it stands in."""
        module, name = getattr(value, "__module__", None) or "builtins", getattr(value, "__qualname__", value.__name__)
        if id(value) in self._written:
            return [f"{module}.{name}"]  # a function that calls itself, or a class that its methods name
        self._written.add(id(value))
        try:
            return [f"{module}.{name}", *self._text(value, module, where)]
        finally:
            self._written.discard(id(value))

    def _text(self, value: Any, module: str, where: str) -> list[Any]:
        if module.startswith("spikesim.datasets."):
            return [own_code(), *self._around(value, where)]
        if self.key is not None or is_standard(module):
            return self._around(value, where)
        version = getattr(sys.modules.get(module.partition(".")[0]), "__version__", None)
        source = source_of(value, module)
        if source is None and version is None:
            return [self._vouched(value, where)]
        inside = self._around if is_installed(value, module) else self._inside
        return [version, source, *inside(value, where)]

    def _around(self, value: Any, where: str) -> list[Any]:
        """What a function was made with; several may stand in one file under one name."""
        if not isinstance(value, types.FunctionType) or not ("<" in value.__qualname__ or value.__closure__):
            return []
        return [bytecode(value.__code__), self([cells_of(value), value.__defaults__, value.__kwdefaults__], where)]

    def _inside(self, value: Any, where: str) -> list[Any]:
        """All that decides what the user's own code does: what it was made with, and the values that it looks up."""
        if isinstance(value, types.FunctionType):
            around = [self._seen(one, where) for one in cells_of(value)]
            made = self([value.__defaults__, value.__kwdefaults__, vars(value)], where)
            looked_up = {
                name: self._seen(one, f"{name}, which {where} uses,") for name, one in globals_of(value).items()
            }
            return [bytecode(value.__code__), around, made, looked_up]
        if not isinstance(value, type):
            return []
        parents = [self._code(parent, where) for parent in value.__mro__[1:-1]]
        has = {name: self._seen(one, f"{where}.{name}") for name, one in members_of(value).items()}
        return [parents, has]

    def _seen(self, value: Any, where: str) -> Any:
        """What code looks up by name; it may be the code itself."""
        return ["open"] if id(value) in self._open else self(value, where)

    def _vouched(self, value: Any, where: str) -> Any:
        if self.key is None:
            raise ConfigError(
                f"{where} is {value!r}, of which nobody can tell whether it is the same next time; make it a class "
                'or a function in a file, or pass key="..." and change the key whenever what it does changes'
            )
        kind = value if isinstance(value, type) else type(value)
        return [f"{kind.__module__}.{kind.__qualname__}"]
