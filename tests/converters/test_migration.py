"""Every row of docs/migration.md fires as it says."""

import inspect
import math
import re
from pathlib import Path

import pytest
import torch
from oracles import peer_neurons

from spikesim import neurons

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
CONSTANTS = {"a": 0.9, "b": 0.8, "t": 3.0, "exp": math.exp}
PEERS = ("snnTorch", "SpikingJelly", "Norse", "Sinabs")


def _rows():
    for peer in PEERS:
        table = PAGE.read_text().partition(f"| {peer} | spikesim |\n")[2].partition("\n\n")[0]
        for theirs, later, ours in re.findall(r"^\| `(.+?)`( \*)? \| `(.+?)` \|$", table, flags=re.MULTILINE):
            yield peer, theirs, bool(later), ours


ROWS = list(_rows())


def _stepped(module, x):
    return torch.stack([module(row) for row in x])


def _snntorch(text, x):
    snn = pytest.importorskip("snntorch")
    module = eval(text[:-1] + ", init_hidden=True)", {**vars(snn), **CONSTANTS})
    return _stepped(module, x.float()).to(x)


def _spikingjelly(text, x):
    module = eval(text, {**vars(pytest.importorskip("spikingjelly.activation_based.neuron")), **CONSTANTS})
    return _stepped(module.double(), x)


def _norse(text, x):
    return eval(text, {**vars(peer_neurons), **CONSTANTS})(x)


def _sinabs(text, x):
    def make(tau_mem=None, *, spike_fn, norm_input=True):
        return peer_neurons.Sinabs(tau_mem, norm_input, most=spike_fn)

    names = {"IAF": make, "LIF": make, "SingleSpike": 1, "MaxSpike": int}
    return eval(text, {**names, **CONSTANTS})(x)


@pytest.mark.parametrize("peer,theirs,later,ours", ROWS, ids=str)
def test_the_row_holds(peer, theirs, later, ours):
    torch.manual_seed(0)
    x = torch.randn(40, 300, dtype=torch.float64) * 3 + 0.7
    if peer == "snnTorch":  # which computes in float32
        x = x.float()
    expected = {"snnTorch": _snntorch, "SpikingJelly": _spikingjelly, "Norse": _norse, "Sinabs": _sinabs}[peer](
        theirs, x
    )
    assert 0.03 < (expected > 0).double().mean() < 0.9
    module = eval(ours, {**vars(neurons), **CONSTANTS}).to(x.dtype)
    given = torch.cat([torch.zeros_like(x[:1]), x[:-1]]) if later else x
    found = module(given).detach()
    # Where equations are equal but rounded in another order, a spike may hang on the last bit.
    apart = (found != expected).any(0).double().mean()
    assert apart <= (0.01 if x.dtype == torch.float32 else 0), f"{apart:.0%} of the neurons fire otherwise"


def test_every_table_was_read():
    assert {peer for peer, *_ in ROWS} == set(PEERS) and len(ROWS) > 25


def test_defaults_are_as_the_page_says():
    assert str(neurons.IF().surrogate) == "ATan(alpha=2.0)" and not neurons.IF().detach_reset
    assert neurons.IF().reset_rule == "subtract" and not neurons.IF().strict
    snn = pytest.importorskip("snntorch")
    leaky = snn.Leaky(0.9)
    assert inspect.getclosurevars(leaky.spike_grad).nonlocals["alpha"] == 2.0 and leaky.reset_delay
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    assert neuron.IFNode().surrogate_function.alpha == 4.0 and neuron.IFNode().v_reset == 0.0
    assert not neuron.IFNode().detach_reset and neuron.IFNode().step_mode == "s"
