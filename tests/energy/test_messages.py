"""Signed numbers of several bits are messages of their own class; sub-steps multiply updates."""

import pytest
import torch
from torch import nn

from spikesim.energy import Ledger, update_mix
from spikesim.errors import LedgerError
from spikesim.neurons import EIF, IF, MultiThresholdIF, SigmaDelta, TallyIF
from spikesim.nn import Network

NEURONS = [
    (lambda: MultiThresholdIF(0.5, levels=4), 4),
    (lambda: SigmaDelta(0.1, bits=6, rectify=False), 6),
    (lambda: TallyIF(0.25, burst=5, high=12, low=-12), 3),
]


@pytest.mark.parametrize("neuron,bits", NEURONS)
@pytest.mark.parametrize("between", [None, nn.AvgPool2d(2), nn.Flatten()])
def test_a_message_counts_once_whatever_it_holds(neuron, bits, between):
    torch.manual_seed(1)
    first, after = neuron(), nn.Conv2d(2, 3, 1) if not isinstance(between, nn.Flatten) else nn.Linear(32, 3)
    x = torch.randn(5, 2, 2, 4, 4)
    net = Network(nn.Sequential(first, *([between] if between else []), after))
    ledger = Ledger.record(net, x, input="analog")
    with torch.no_grad():
        sent = first(x)
    messages = int((sent != 0).sum())
    assert len(sent.unique()) > 3 and sent.min() < 0
    last = str(len(net.module) - 1)
    assert ledger[last]["synops_multibit"] == ledger[last]["weight_fetches"] == 3 * messages > 0
    assert ledger[last]["events_in_multibit"] == ledger["0"]["spikes_out"] == messages
    assert ledger[last].input_type == "multibit" and ledger[last]["mac_dense"] == 0
    assert ledger["0"]["message_bits"] == messages * (bits + 1)
    assert (ledger["0"]["activations"], ledger["0"]["activations_nonzero"]) == (x.numel(), messages)


def test_messages_are_checked():
    class Loud(TallyIF):
        def step(self, x, **values):
            s, new = super().step(x, **values)
            return 9.0 * s, new

    net = Network(nn.Sequential(Loud(burst=2), nn.Linear(3, 2)))
    with pytest.raises(LedgerError, match=r"'0'.*multibit.*whole numbers from -3 to 3"):
        Ledger.record(net, torch.ones(2, 1, 3), input="analog")


def test_messages_that_meet_spikes_stay_messages():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.after = TallyIF(0.3, burst=3), IF(0.4), nn.Linear(6, 2)

        def forward(self, x):
            return self.after(self.a(x) + self.b(x))

    net, x = Network(Sum()), torch.rand(3, 2, 6)
    ledger = Ledger.record(net, x, input="analog")
    sent = ledger["a"]["spikes_out"] + ledger["b"]["spikes_out"]
    assert ledger["after"]["synops_multibit"] == 2 * sent > 0


def test_sub_steps_multiply_updates_and_not_states():
    neuron = EIF(dt=1e-3, substeps=4)
    ledger = Ledger.record(Network(neuron), torch.rand(3, 2, 5), input="analog")["(root)"]
    mix = update_mix(neuron)
    assert ledger["neuron_updates"] == 3 * 2 * 5 * 4
    assert ledger["update_mul"] == mix.per_update["mul"] * 120
    assert ledger["state_reads_bits"] == ledger["state_writes_bits"] == 3 * 2 * 5 * len(neuron.states) * 32
    assert ledger.state_bytes == 5 * len(neuron.states) * 4


def test_rounding_is_priced():
    net = Network(nn.Sequential(TallyIF(), SigmaDelta()))
    ledger = Ledger.record(net, torch.rand(2, 2, 3), input="analog", strict=True)
    assert not ledger.unpriced
