"""Layers that mix time are counted as loops over their equations count them, or refused with the remedy."""

import copy

import pytest
import torch
from torch import nn

from spikesim.energy import Ledger
from spikesim.errors import LedgerError
from spikesim.neurons import LIF
from spikesim.nn import BNTT, PSN, DelayedLinear, MaskedPSN, Network, SlidingPSN

T, N, INPUTS, FEATURES = 5, 3, 4, 6
MASK = torch.arange(T).unsqueeze(1) < torch.tensor([5, 3, 4])


def _counts(layer, x, mask=None, kind="events"):
    network = Network(nn.Sequential(layer, LIF(threshold=0.1))).eval()
    ledger = Ledger.record(network, x, input=kind, mask=mask)
    fired = network(x, mask)  # what is counted is what it does
    assert ledger.layers["1"].counts["spikes_out"].sum() == fired.sum() > 0
    return ledger.layers["0"].counts


@pytest.fixture
def x():
    torch.manual_seed(3)
    return (torch.rand(T, N, INPUTS) < 0.4).float()


@pytest.mark.parametrize("mask", [None, MASK])
def test_an_event_crosses_a_delayed_synapse_once(x, mask):
    layer = DelayedLinear(INPUTS, FEATURES, max_delay=2, bias=True)
    layer.rounded()
    assert layer.delay.max() > 0
    layer.weight.data.abs_()
    counts = _counts(layer, x, mask)
    wanted = torch.zeros(T, N, dtype=torch.int64)
    for t in range(T):
        for n in range(N):
            if mask is None or mask[t, n]:
                for i in range(INPUTS):
                    for _ in range(FEATURES):
                        wanted[t, n] += int(x[t, n, i] != 0)
    crossed = sum(count for name, count in counts.items() if name.startswith("synops"))
    assert torch.equal(crossed, wanted.sum(1)) and wanted.sum() > 0
    assert counts["bias_adds"].sum() == FEATURES * (T * N if mask is None else mask.sum())


def test_delays_between_steps_are_refused_with_the_remedy(x):
    layer = DelayedLinear(INPUTS, FEATURES, max_delay=2)
    gauss = copy.deepcopy(layer)
    gauss.delay.data.round_()
    gauss.shape = "gauss"
    for refused in (layer, gauss):
        with pytest.raises(LedgerError, match=r"DelayedLinear '0' has delays between .* layer.rounded\(\)"):
            _counts(refused, x)


@pytest.mark.parametrize(
    ("layer", "terms"),
    [(PSN(T), lambda t: T), (MaskedPSN(T, 2), lambda t: 2), (SlidingPSN(3), lambda t: 3)],
    ids=["psn", "masked", "sliding"],
)
def test_parallel_neurons_are_charged_for_every_weight_over_time(x, layer, terms):
    """h(t) = b + sum of w x: a product and a sum for each of its weights, for every value."""
    layer.weight.data.abs_()
    layer.bias.data.fill_(-0.1)
    network = Network(nn.Sequential(nn.Linear(INPUTS, FEATURES), layer)).eval()
    network.module[0].weight.data.abs_()
    ledger = Ledger.record(network, x, input="events")
    products = sums = 0
    for t in range(T):
        for _ in range(N * FEATURES):
            for _ in range(terms(t)):
                products += 1
                sums += 1
    counts = ledger.layers["1"].counts
    assert counts["op_mul"].sum() == products
    found = [counts[name].sum() for name in ("op_add", "bias_adds", "residual_adds") if name in counts]
    assert sum(found) == sums
    assert ledger.layers["1.neuron"].counts["spikes_out"].sum() == network(x).sum() > 0


@pytest.mark.parametrize("mask", [None, MASK])
def test_bntt_is_a_product_and_a_sum_for_every_value(x, mask):
    layer = BNTT(INPUTS, T)
    layer.running_mean.uniform_(-1, 0)
    counts = _counts(layer, x + 0.5, mask, "analog")
    values = 0
    for t in range(T):
        for n in range(N):
            values += INPUTS * (mask is None or bool(mask[t, n]))
    assert counts["op_mul"].sum() == values
    found = [counts[name].sum() for name in ("op_add", "bias_adds", "residual_adds") if name in counts]
    assert sum(found) == values
