"""Let Python in the root of a source checkout find ``spikesim.converters`` and ``spikesim.datasets``.

There ``./spikesim`` answers instead of an installed package, but the two folders stand beside it, not in it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_ROOT = Path(__file__).resolve().parents[1]


class _BesideThePackage(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = _ROOT / fullname.removeprefix("spikesim.")
        if fullname not in ("spikesim.converters", "spikesim.datasets") or not (folder / "__init__.py").is_file():
            return None
        return importlib.util.spec_from_file_location(
            fullname, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def serve() -> None:
    """Ask the finder last: an installed package answers first."""
    if (_ROOT / "pyproject.toml").is_file():
        sys.meta_path.append(_BesideThePackage())
