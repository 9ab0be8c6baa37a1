"""Every example in a public docstring runs, through the installed names."""

import doctest
import importlib
import pkgutil

import pytest

import spikesim


def _modules():
    found = ["spikesim"]
    for info in pkgutil.walk_packages(spikesim.__path__, "spikesim."):
        found.append(info.name)
    # converters and datasets stand beside the package in a source checkout
    for name in ("spikesim.converters", "spikesim.datasets"):
        found += [name, *(m.name for m in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."))]
    return sorted(name for name in set(found) if not name.endswith("__main__"))


@pytest.mark.parametrize("name", _modules())
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    count = sum(len(t.examples) > 0 for n in _modules() for t in finder.find(importlib.import_module(n)))
    assert count > 50
