"""The table of docs/surrogates.md: which setting of ours is which of snnTorch's and SpikingJelly's."""

import importlib
import importlib.metadata
import math
import re
from pathlib import Path

import pytest
import torch

from spikesim.dynamics import ops, surrogates

PAGE = Path(__file__).parents[2] / "docs" / "surrogates.md"
PEERS = {"snnTorch": "snntorch.surrogate", "SpikingJelly": "spikingjelly.activation_based.surrogate"}
CONSTANTS = [{"a": 2.0, "b": 0.25}, {"a": 4.0, "b": 0.5}, {"a": 2.7, "b": 0.3}]
OURS = {**vars(surrogates), **{name: getattr(ops, name) for name in ("absolute", "exp", "log", "where")}}


def _rows():
    """Our expression, the peer, its expression, and whether the row excepts u = 0."""
    table = PAGE.read_text().partition("| spikesim | snnTorch | SpikingJelly |")[2]
    for ours, *theirs in re.findall(r"^\| `(.+?)` \|(.*?)\|(.*?)\|$", table, flags=re.MULTILINE):
        for peer, cell in zip(PEERS, theirs):
            if cell.strip():
                yield ours, peer, re.search(r"`(.+)`", cell).group(1), "*" in cell


ROWS = list(_rows())


def _peer(name):
    return vars(pytest.importorskip(PEERS[name], reason=f"{name} is not installed"))


def _grid(a, b):
    """Points on both sides of the threshold, with every bend and jump that a row may have."""
    bends = [0.0, *(sign * x for x in (1 / a, 0.5 / a, a, 1.0, b, a / 2) for sign in (-1, 1))]
    return torch.tensor(sorted({*bends, *torch.linspace(-3, 3, 241).tolist()}), dtype=torch.float64)


def _backward(function, u):
    leaf = u.clone().requires_grad_()
    function(leaf).sum().backward()
    return leaf.grad


@pytest.mark.parametrize("constants", CONSTANTS, ids=str)
@pytest.mark.parametrize("ours,peer,theirs,but_zero", ROWS, ids=str)
def test_the_row_holds(ours, peer, theirs, but_zero, constants):
    u = _grid(**constants)
    if but_zero:
        u = u[u != 0]
    expected = _backward(eval(theirs, {**_peer(peer), "sqrt": math.sqrt, **constants}), u)
    found = _backward(lambda x: ops.spike(x, eval(ours, {**OURS, **constants, "sqrt": math.sqrt})), u)
    assert expected.abs().max() > 0  # two zeros would agree too
    # Spikes of snnTorch are float32, and so is the product of gradient and slope, whatever dtype u has.
    torch.testing.assert_close(found, expected, rtol=1e-6 if peer == "snnTorch" else 1e-12, atol=1e-15)


def test_the_table_was_read():
    assert len(ROWS) > 20
    assert {peer for _, peer, _, _ in ROWS} == set(PEERS)


@pytest.fixture
def snntorch():
    peer = pytest.importorskip("snntorch.surrogate", reason="snnTorch is not installed")
    if importlib.metadata.version("snntorch") != "1.0.0":
        pytest.skip("the page describes snnTorch 1.0.0")
    return peer


def test_what_the_page_says_of_snntorch(snntorch):
    """Where this fails, the peer has changed and the page must follow."""
    u = torch.tensor([-3.5, -1.0, 0.0, 1.0])
    assert _backward(snntorch.sigmoid(slope=25), u).isnan().tolist() == [True, False, False, False]
    assert _backward(snntorch.triangular(threshold=0.5), u).tolist() == [0.5, 0.5, -0.5, -0.5]
    assert _backward(snntorch.heaviside(), u).tolist() == [0.0, 0.0, 0.0, 1.0]
    with pytest.raises(TypeError):
        snntorch.LSO()(u)


def test_our_sigmoid_is_finite_where_theirs_is_not():
    u = torch.tensor([-1e30, -100.0, -3.5, 3.5, 100.0, 1e30])
    found = surrogates.Sigmoid(alpha=25.0).derivative(u)
    assert found.isfinite().all() and (found >= 0).all() and found[2] > 0
