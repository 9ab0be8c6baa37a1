"""NIR without the package: the message names the extra."""

import sys

import pytest
from torch import nn

from spikesim.converters import from_nir, to_nir
from spikesim.errors import ConversionError
from spikesim.neurons import LIF
from spikesim.nn import Network


@pytest.fixture(autouse=True)
def _without(monkeypatch):
    monkeypatch.setitem(sys.modules, "nir", None)  # importing it now raises ImportError


def test_export_names_the_extra():
    with pytest.raises(ConversionError, match=r"pip install 'spikesim\[nir\]'"):
        to_nir(Network(nn.Sequential(nn.Linear(2, 3), LIF())))


def test_import_names_the_extra(tmp_path):
    (tmp_path / "x.nir").write_bytes(b"")
    for graph in (tmp_path / "x.nir", object()):
        with pytest.raises(ConversionError, match=r"pip install 'spikesim\[nir\]'"):
            from_nir(graph)
