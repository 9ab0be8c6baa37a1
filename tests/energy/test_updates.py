"""Operations of one neuron update follow its equations."""

import pytest
import torch

from spikesim.dynamics import Neuron, SpikeType, State, exp
from spikesim.energy import Ledger, update_mix
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Network


@pytest.mark.parametrize(
    "neuron,per_update,per_spike",
    [
        (IF(), {"add": 1, "cmp": 1}, {"add": 1}),
        (IF(strict=True, detach_reset=True), {"add": 1, "cmp": 1}, {"add": 1}),
        (IF(reset="zero"), {"add": 1, "cmp": 1}, {}),
        (IF(reset="none"), {"add": 1, "cmp": 1}, {}),
        # v + (x - v) / tau: a difference, a product with 1/tau, a sum.
        (LIF(), {"add": 2, "mul": 1, "cmp": 1}, {"add": 1}),
        (LIF(scale_input=False, reset="zero", detach_reset=True), {"add": 2, "mul": 1, "cmp": 1}, {}),
        (LI(), {"add": 2, "mul": 1}, {}),
    ],
)
def test_mix(neuron, per_update, per_spike):
    mix = update_mix(neuron)
    assert (mix.per_update, mix.per_spike, mix.unpriced) == (per_update, per_spike, {})


def test_a_reset_is_charged_per_spike():
    x = torch.rand(5, 2, 3)
    ledger = Ledger.record(Network(IF()), x, input="analog")
    row = ledger["(root)"]
    assert row["neuron_updates"] == 30 and row["spikes_out"] > 0
    assert (row["update_add"], row["update_cmp"]) == (30 + row["spikes_out"], 30)


def test_what_no_profile_prices_is_listed():
    class Exponential(Neuron):
        states = {"v": State()}
        emits = SpikeType("analog")

        def step(self, x, *, v):
            v = exp(v - 1.0) + x
            return v, {"v": v}

    mix = update_mix(Exponential())
    assert (mix.per_update, mix.unpriced) == ({"add": 2}, {"exp": 1})
    ledger = Ledger.record(Network(Exponential()), torch.rand(2, 3, 4), input="analog")
    assert ledger.unpriced == {("(root)", "neuron exp"): 24}
