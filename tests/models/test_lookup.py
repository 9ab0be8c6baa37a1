import sys

import pytest

from spikesim.errors import ConfigError
from spikesim.models import BUILT_IN, build, conv_snn, find_factory

_MODULE = """
import torch

NUMBER = 3

def good(width=2):
    return torch.nn.Linear(width, 1)

def not_a_module():
    return "text"

def breaks():
    raise KeyError("weights")

class Inner:
    @staticmethod
    def factory():
        return torch.nn.Identity()
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_networks.py").write_text(_MODULE)
    (tmp_path / "own_broken.py").write_text("def f(:\n")
    (tmp_path / "own_needs.py").write_text("import no_such_dependency\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield tmp_path
    assert sys.path == before
    for name in ("own_networks", "own_broken", "own_needs"):
        sys.modules.pop(name, None)


def test_built_in_names():
    assert find_factory("conv_snn") is conv_snn
    assert all(build(name) is not None for name in BUILT_IN)


def test_a_module_of_the_current_folder_is_found(own):
    assert build("own_networks:good", width=5).in_features == 5
    assert type(build("own_networks:Inner.factory")).__name__ == "Identity"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("alexnet", "names no network; give package.module:factory, or one of conv_snn, decoder"),
        ("own_networks:", "names no network"),
        (":good", "names no network"),
        ("no_such_module:f", "cannot import 'no_such_module': no module 'no_such_module'"),
        ("own_needs:f", "no module 'no_such_dependency'"),
        ("own_broken:f", "cannot import 'own_broken'"),
        ("own_networks:missing", "has no 'missing'; it offers: .*good"),
        ("own_networks:NUMBER", "is a int, not something to call"),
        ("own_networks:not_a_module", "returned a str, expected a torch.nn.Module"),
        ("own_networks:breaks", "called with no argument, raised KeyError: 'weights'"),
    ],
)
def test_what_cannot_be_found_or_built_is_named(own, name, message):
    with pytest.raises(ConfigError, match=message):
        build(name)


def test_unknown_options_are_named(own):
    with pytest.raises(ConfigError, match=r"called with depth, raised TypeError: .*depth"):
        build("own_networks:good", depth=2)
