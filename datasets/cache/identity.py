"""What a transform is, as text: two that may give other frames never have the same one.

Settings alone do not say what a transform does; its code belongs to it. Of classes and functions of this package the
text has one digest over all sources that read, convert and transform events; of others the digest of the file that
they are written in and the version of their package; of the standard library nothing. What they import is not followed.
What cannot be written down (an open file, a compiled object) is refused, unless the caller vouches for it with a
key of his own.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikesim.datasets.transforms.pipeline import Pipeline
from spikesim.errors import ConfigError

_PLAIN = (type(None), bool, int, float, str)
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

    def __call__(self, value: Any, where: str = "transform") -> Any:
        """Describe a value.

        Args:
            value: anything that a transform may hold.
            where: how a message names it.

        Raises:
            ConfigError: it cannot be told from another one, and there is no key.
        """
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, bytes):
            return ["bytes", digest(value)]
        if isinstance(value, (np.ndarray, np.generic, torch.Tensor)):
            array = np.asarray(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)
            if array.dtype.hasobject:
                return self._vouched(value, where)
            return ["array", str(array.dtype.descr), list(array.shape), digest(array.tobytes())]
        if isinstance(value, _NAMED):
            return [type(value).__name__, str(value)]
        if id(value) in self._open:
            return self._vouched(value, where)  # it holds itself
        self._open.add(id(value))
        try:
            return self._compound(value, where)
        finally:
            self._open.discard(id(value))

    def _compound(self, value: Any, where: str) -> Any:
        if isinstance(value, types.MethodType):
            return ["method", value.__name__, self(value.__self__, where)]
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)):
            return self._code(value, where)
        if isinstance(value, (list, tuple)):
            return [self(one, f"{where}[{n}]") for n, one in enumerate(value)]
        if isinstance(value, (set, frozenset)):
            return ["set", *sorted((self(one, where) for one in value), key=repr)]
        if isinstance(value, dict):
            return ["dict", *([self(k, where), self(v, f"{where}[{k!r}]")] for k, v in value.items())]
        if isinstance(value, functools.partial):
            return ["partial", *(self(one, where) for one in (value.func, value.args, value.keywords))]
        kind = type(value)
        package = kind.__module__.partition(".")[0]
        if not hasattr(value, "__dict__") or (package in sys.stdlib_module_names and package != "__main__"):
            return self._vouched(value, where)
        skipped = _NO_SETTINGS if isinstance(value, Pipeline) else ()
        has = {name: self(held, f"{where}.{name}") for name, held in vars(value).items() if name not in skipped}
        return {"is": self._code(kind, where), "has": has}

    def _code(self, value: Any, where: str) -> Any:
        """A class or a function: its name, and the code that it stands in."""
        module, name = getattr(value, "__module__", None) or "builtins", getattr(value, "__qualname__", value.__name__)
        written: list[Any] = [f"{module}.{name}"]
        if isinstance(value, types.FunctionType) and ("<" in name or value.__closure__):
            # Several of them may stand in one file under one name.
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            written += [_bytecode(value.__code__), self([cells, value.__defaults__, value.__kwdefaults__], where)]
        if module.startswith("spikesim.datasets."):
            return [*written, own_code()]
        package = module.partition(".")[0]
        if self.key is not None or (package in sys.stdlib_module_names and package != "__main__"):
            return written
        version = getattr(sys.modules.get(package), "__version__", None)
        source = _source(value, module)
        return self._vouched(value, where) if source is None and version is None else [*written, version, source]

    def _vouched(self, value: Any, where: str) -> Any:
        if self.key is None:
            raise ConfigError(
                f"{where} is {value!r}, of which nobody can tell whether it is the same next time; make it a class "
                'or a function in a file, or pass key="..." and change the key whenever what it does changes'
            )
        kind = value if isinstance(value, type) else type(value)
        return [f"{kind.__module__}.{kind.__qualname__}"]


@functools.cache
def own_code() -> str:
    """Digest of all sources here that read, convert and transform events."""
    base = Path(__file__).parents[1]
    files = [*(base / "transforms").glob("*.py"), *(base / "formats").glob("*.py"), base / "catalog" / "readers.py"]
    files += [base / f"{name}.py" for name in ("checks", "convert", "counter", "events", "folder", "frames", "labels")]
    files += [Path(__file__).with_name("fill.py")]
    return digest(*(part for file in sorted(files) for part in (file.name.encode(), file.read_bytes())))


def digest(*parts: bytes) -> str:
    """32 hexadecimal digits of the SHA-256 of the parts and of their lengths.

    >>> digest(b"a", b"bc") == digest(b"ab", b"c")
    False
    """
    made = hashlib.sha256()
    for part in parts:
        made.update(len(part).to_bytes(8, "little"))
        made.update(part)
    return made.hexdigest()[:32]


def _source(value: Any, module: str) -> str | None:
    """Digest of the file of a class or function, or of its text where there is no file, as in a notebook."""
    path = getattr(sys.modules.get(module), "__file__", None)
    try:
        return digest(Path(path).read_bytes() if path else inspect.getsource(value).encode())
    except (OSError, TypeError):
        return None


def _bytecode(code: types.CodeType) -> str:
    return digest(code.co_code, repr(code.co_names).encode(), *(_constant(one).encode() for one in code.co_consts))


def _constant(value: Any) -> str:
    if isinstance(value, types.CodeType):
        return _bytecode(value)
    # The order of a set differs from process to process.
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)
