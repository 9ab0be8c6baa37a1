"""Functions and classes taken apart: what decides what they do, beside the settings that they are called with."""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
import logging
import sys
import sysconfig
import types
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_UNDECIDED = (types.MemberDescriptorType, types.GetSetDescriptorType, logging.Logger)
"""What stands in a class or module and changes no result."""


@functools.cache
def own_code() -> str:
    """Digest of all sources here that read, convert and transform events."""
    base = Path(__file__).parents[1]
    files = [file for part in (".", "transforms", "formats", "catalog") for file in (base / part).glob("*.py")]
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


def is_standard(module: str) -> bool:
    """Whether a module belongs to Python itself."""
    package = module.partition(".")[0]
    return package in sys.stdlib_module_names and package != "__main__"


def is_installed(value: Any, module: str) -> bool:
    """Whether code comes with a package: its version then stands for it, and it is not followed."""
    if module.partition(".")[0] == "spikesim" or not isinstance(value, (type, types.FunctionType)):
        return True
    path = getattr(sys.modules.get(module), "__file__", None) or ""
    return not {"site-packages", "dist-packages"}.isdisjoint(Path(path).parts)


def source_of(value: Any, module: str) -> str | None:
    """Digest of the file of a class or function, or of its text where there is no file, as in a notebook."""
    path = getattr(sys.modules.get(module), "__file__", None)
    try:
        return digest(Path(path).read_bytes() if path else inspect.getsource(value).encode())
    except (OSError, TypeError):
        return None


def plain_function(value: Any) -> Any:
    """The Python function inside what Numba compiles, or what remembers results; anything else as it is."""
    for name, module in (("py_func", "numba."), ("__wrapped__", "functools")):
        if type(value).__module__.startswith(module) and isinstance(getattr(value, name, None), types.FunctionType):
            return getattr(value, name)
    return value


def held_by(value: Any) -> dict[str, Any] | None:
    """The attributes of an object, also those in slots; ``None`` if it shows none."""
    slots = [
        name
        for kind in type(value).__mro__
        for name, one in vars(kind).items()
        if isinstance(one, types.MemberDescriptorType) and hasattr(value, name)
    ]
    if not hasattr(value, "__dict__") and not slots:
        return None
    return {**{name: getattr(value, name) for name in slots}, **getattr(value, "__dict__", {})}


def cells_of(function: types.FunctionType) -> list[Any]:
    """What a function has from around it, without names that hold nothing yet."""
    cells = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):
            cells.append(cell.cell_contents)
    return cells


def globals_of(function: types.FunctionType) -> dict[str, Any]:
    """The global values that the code of a function names, and what it may take from the user's own modules."""
    names = sorted(set(_names(function.__code__)))
    found: dict[str, Any] = {}
    for name in names:
        if name not in function.__globals__:
            continue
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType):
            if is_standard(value.__name__) or is_installed(function, value.__name__):
                continue
            found |= {f"{name}.{one}": vars(value)[one] for one in names if one in vars(value)}
        elif not isinstance(value, _UNDECIDED):
            found[name] = value
    return {name: value for name, value in found.items() if not isinstance(value, types.ModuleType)}


def members_of(kind: type) -> dict[str, Any]:
    """The attributes and methods of a class that were written by hand, by name."""
    if isinstance(kind, enum.EnumMeta):
        members: dict[str, Any] = dict(kind.__members__)
        return {"members": {name: member.value for name, member in members.items()}}
    found: dict[str, Any] = {}
    for name, value in sorted(vars(kind).items()):
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if isinstance(value, property):
            found |= {f"{name}.{n}": one for n, one in enumerate((value.fget, value.fset)) if one is not None}
        elif isinstance(value, functools.cached_property):
            found[name] = value.func
        elif isinstance(value, types.FunctionType):
            if not _generated(value):
                found[name] = value
        elif not (name.startswith("__") or name == "_abc_impl" or isinstance(value, _UNDECIDED)):
            found |= {} if inspect.isdatadescriptor(value) else {name: value}
    return found


def bytecode(code: types.CodeType) -> str:
    """Digest of what a function does, without the names and the lines that it stands on."""
    return digest(code.co_code, repr(code.co_names).encode(), *(_constant(one).encode() for one in code.co_consts))


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from _names(one)


def _generated(function: types.FunctionType) -> bool:
    """Whether dataclasses or named tuples made it, from what stands in the class anyway."""
    file = function.__code__.co_filename
    return file == "<string>" or file.startswith(sysconfig.get_path("stdlib") + "/")


def _constant(value: Any) -> str:
    if isinstance(value, types.CodeType):
        return bytecode(value)
    # The order of a set differs from process to process.
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)
