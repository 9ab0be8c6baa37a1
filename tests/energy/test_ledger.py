"""Properties of the ledger: scale, conservation, splits, masks, hoisting and typed errors."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikesim.dynamics import Neuron, SpikeType, State, where
from spikesim.energy import COLUMNS, Ledger, fan_out
from spikesim.errors import LedgerError
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Constant, Count, DelayedMean, Last, Max, Mean, Network


class Scaled(IF):
    """Emits 0.3 instead of 1."""

    emits = SpikeType("binary", scale=0.3)

    def step(self, x, *, v, threshold):
        s, new = super().step(x, v=v, threshold=threshold)
        return 0.3 * s, new


class Signed(Neuron):
    states = {"v": State()}
    emits = SpikeType("signed")

    def step(self, x, *, v):
        u = v + x
        s = where(u >= 0.5, 1.0, where(u <= -0.5, -1.0, 0.0))
        return s, {"v": u - s}


class Liar(IF):
    """Declares spikes and emits its potential."""

    def step(self, x, *, v, threshold):
        return v + x, super().step(x, v=v, threshold=threshold)[1]


def conv_net(neuron=IF, pool=None, scale=1.0):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        neuron(threshold=0.3),
        *([pool] if pool else []),
        nn.Conv2d(4, 3, 3, stride=2, padding=1),
        IF(0.3),
        nn.Flatten(),
        nn.LazyLinear(5),
        LI(),
    )
    network = Network(module, readout=Mean())
    with torch.no_grad():
        network(torch.zeros(1, 1, 2, 8, 8))
        module[3 if pool else 2].weight /= scale
    return network


def same_counts(a, b):
    assert list(a.layers) == list(b.layers)
    for name in a.layers:
        for column in COLUMNS:
            zero = torch.zeros(a.timesteps, dtype=torch.int64)
            assert torch.equal(a[name].counts.get(column, zero), b[name].counts.get(column, zero)), (name, column)


def frames(steps=4, samples=3):
    return torch.randint(0, 3, (steps, samples, 2, 8, 8), generator=torch.Generator().manual_seed(1)).float()


@pytest.mark.parametrize("pool", [None, nn.AvgPool2d(2), nn.MaxPool2d(2), nn.AvgPool2d(3, 2, 1)])
def test_scaled_spikes_count_as_binary(pool):
    binary = Ledger.record(conv_net(pool=pool), frames(), input="events")
    scaled = Ledger.record(conv_net(Scaled, pool, 0.3), frames(), input="events")
    assert binary.total()["synops_binary"] > 0
    # The emitted constant is one multiplication by a spike, which the update does not charge either.
    same_counts(binary, scaled)


def test_spikes_out_times_fan_out_is_the_next_layers_work():
    network = conv_net()
    ledger = Ledger.record(network, frames(), input="events")
    with torch.no_grad():
        spikes = network.module[1](network.module[0](frames().flatten(0, 1)).unflatten(0, (4, 3)))
    fan = fan_out(network.module[2], (4, 8, 8))
    assert ledger["1"]["spikes_out"] == int(spikes.sum()) == ledger["2"]["events_in_binary"]
    assert ledger["2"]["synops_binary"] == int((spikes.to(torch.int64) * fan).sum())
    assert ledger["3"]["spikes_out"] * 5 == ledger["5"]["synops_binary"] > 0


@settings(max_examples=15)
@given(cut=st.integers(1, 4), seed=st.integers(0, 99))
def test_batches_add_up(cut, seed):
    torch.manual_seed(seed)
    network, x = conv_net(LIF), torch.randint(0, 4, (3, 5, 2, 8, 8)).float()
    whole = Ledger.record(network, x, input="events")
    parts = Ledger.record(network, x[:, :cut], input="events") + Ledger.record(network, x[:, cut:], input="events")
    same_counts(whole, parts)
    assert parts.samples == 5 and torch.equal(parts.active, whole.active)


@pytest.mark.parametrize("readout", [Mean(), Count(), DelayedMean(1), Last(), Max()])
def test_masked_steps_count_nothing(readout):
    network, x = conv_net(), frames(5, 2)
    network.readout = readout
    mask = torch.tensor([[True, True], [True, True], [True, True], [True, False], [True, False]])
    masked = Ledger.record(network, x, input="events", mask=mask)
    long = Ledger.record(network, x[:, :1], input="events")
    short = Ledger.record(network, x[:3, 1:], input="events")
    assert masked.active.tolist() == [2, 2, 2, 1, 1]
    for name in masked.layers:
        for column in COLUMNS:
            assert masked[name][column] == long[name][column] + short[name][column], (name, column)


def test_time_adds_up_for_a_memoryless_layer():
    layer, x = nn.Sequential(nn.Conv2d(2, 3, 3), IF()), frames(4)
    whole = Ledger.record(Network(layer), x, input="events")
    for t in range(4):
        step = Ledger.record(Network(layer), x[t : t + 1], input="events")
        assert whole["0"].counts["synops_graded"][t] == step["0"]["synops_graded"]


def test_a_hoisted_input_is_charged_once():
    torch.manual_seed(0)
    module, x = (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), IF(0.2), nn.Conv2d(2, 2, 3), IF()),
        torch.rand(2, 1, 6, 6),
    )
    once = Ledger.record(Network(module, encoder=Constant(4)), x, input="analog")
    each = Ledger.record(Network(module, encoder=Constant(4, hoist=False)), x, input="analog")
    assert once["0"].input_type == "analog_once" and each["0"].input_type == "analog"
    assert once["0"].counts["mac_dense"].tolist() == [2 * 16 * 2 * 9, 0, 0, 0]
    assert each["0"]["mac_dense"] == 4 * once["0"]["mac_dense"]
    assert once["1"]["op_mul"] == once["1"]["op_add"] == 2 * 2 * 16
    assert once["2"].counts["neuron_updates"].tolist() == [64] * 4
    assert once["3"]["synops_binary"] == each["3"]["synops_binary"] > 0
    assert once["3"].input_type == "binary"


def test_an_all_zero_analog_input_still_costs_dense_operations():
    ledger = Ledger.record(nn.Conv2d(1, 2, 3), torch.zeros(1, 1, 5, 5), input="analog")
    assert (ledger.total()["mac_dense"], ledger.total()["mac_effective"]) == (162, 0)


def test_signed_spikes_do_not_cancel():
    torch.manual_seed(0)
    network = Network(
        nn.Sequential(
            nn.Linear(6, 8), Signed(), nn.Unflatten(1, (2, 2, 2)), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 3)
        )
    )
    ledger = Ledger.record(network, torch.randn(4, 5, 6), input="analog")
    spikes = ledger["1"]["spikes_out"]
    assert ledger["5"]["synops_signed"] == 3 * spikes > 0


def test_an_encoder_may_declare_what_it_emits():
    x = (torch.rand(3, 2, 4) < 0.5).float()
    ledger = Ledger.record(Network(nn.Sequential(nn.Linear(4, 2), IF())), x, input=SpikeType("binary"))
    assert ledger["0"]["synops_binary"] == 2 * int(x.sum())


def test_integer_frames_are_cast():
    x = frames().to(torch.uint8)
    same_counts(Ledger.record(conv_net(), x, input="events"), Ledger.record(conv_net(), x.float(), input="events"))


def test_the_network_is_left_as_it_was():
    network = conv_net().train()
    network.module[1].eval()
    Ledger.record(network, frames(), input="events")
    assert network.training and not network.module[1].training and network.module[0].training
    assert not network.module[0]._forward_hooks and not network.module[0]._forward_pre_hooks


def test_values_must_obey_the_declared_type():
    with pytest.raises(LedgerError, match=r"'1'.*binary.*\{0, 1\}.*emits"):
        Ledger.record(
            Network(nn.Sequential(nn.Linear(4, 3), Liar(), nn.Linear(3, 2))), torch.rand(2, 2, 4), input="analog"
        )
    with pytest.raises(LedgerError, match=r"input.*graded.*input='analog'"):
        Ledger.record(conv_net(), frames() * 0.5, input="events")
    with pytest.raises(LedgerError, match="graded"):
        Ledger.record(conv_net(), -frames(), input="events")
    with pytest.raises(LedgerError, match=r"\{-1, 0, 1\}"):
        Ledger.record(nn.Linear(2, 2), torch.full((1, 2), 2.0), input=SpikeType("signed"))


@pytest.mark.parametrize("through", [lambda s: s, lambda s: s.data, lambda s: s.view(-1, 2)])
def test_spikes_that_are_overwritten_are_caught(through):
    class Tamper(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.after = IF(), nn.Linear(4, 2)

        def forward(self, x):
            s = self.neuron(x)
            through(s)[:, 0] = 0.7
            return self.after(s)

    with pytest.raises(LedgerError, match="'after'"):
        Ledger.record(Network(Tamper()), torch.rand(2, 2, 4), input="analog")


def test_unpriced_operations_are_listed_and_refused_when_strict():
    network = Network(nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1), IF()))
    ledger = Ledger.record(network, torch.rand(2, 3, 4), input="analog")
    assert ledger.unpriced == {("1", "_softmax"): 24}
    with pytest.raises(LedgerError, match="_softmax in '1'"):
        Ledger.record(network, torch.rand(2, 3, 4), input="analog", strict=True)


@pytest.mark.parametrize(
    "network,x,options,message",
    [
        (conv_net(), torch.zeros(2, 0, 2, 8, 8), {}, "no sample"),
        (conv_net(), torch.zeros(0, 2, 2, 8, 8), {}, "no time step"),
        (conv_net(), torch.zeros(3), {}, r"\[T, N, ...\]"),
        (conv_net(), "x", {}, "must be a tensor"),
        (conv_net(), frames(), {"input": "spikes"}, "'analog', .*'events' or a SpikeType"),
        (conv_net(), frames(), {"mask": torch.ones(2, 2, dtype=torch.bool)}, r"mask has shape \(2, 2\)"),
        (conv_net(), frames(), {"mask": torch.ones(4, 3)}, "must be bool"),
        (nn.Sequential(nn.Flatten(), IF()), frames(), {}, "wrap it: Network"),
        (
            nn.Linear(2, 2),
            torch.ones(1, 2),
            {"mask": torch.ones(1, 1, dtype=torch.bool), "input": "analog"},
            "plain module",
        ),
    ],
)
def test_bad_input_is_named(network, x, options, message):
    with pytest.raises(LedgerError, match=message):
        Ledger.record(network, x, **{"input": "events", **options})


def test_rows_that_lose_time_are_refused():
    class Mixer(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.inner = IF(), nn.Linear(6, 6)

        def forward(self, x):
            s = self.neuron(x)
            return self.inner(s.flatten().reshape(-1, 6)).reshape(x.shape)

    with pytest.raises(LedgerError, match=r"'inner'.*steps"):
        Ledger.record(Network(Mixer()), torch.rand(3, 5, 4), input="analog")


def test_ledgers_of_different_runs_do_not_add():
    a = Ledger.record(conv_net(), frames(4), input="events")
    with pytest.raises(LedgerError, match=r"T = 4.*T = 2"):
        a + Ledger.record(conv_net(), frames(2), input="events")
    with pytest.raises(LedgerError, match="no layer 'x'"):
        a["x"]
    with pytest.raises(LedgerError, match="no column 'macs'"):
        a["0"]["macs"]


def test_views_of_the_ledger_agree():
    ledger = Ledger.record(conv_net(), frames(), input="events")
    total = ledger.total()
    for column in COLUMNS:
        assert int(ledger.per_step(column).sum()) == total[column]
        assert sum(row.get(column, 0) for _, _, row in ledger.rows()) == total[column]
    assert [layer["name"] for layer in ledger.to_dict()["layers"]] == list(ledger.layers)


@pytest.mark.parametrize("declared", ["analog", "events"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_input_that_is_not_finite_is_refused(declared, value):
    network = Network(nn.Sequential(nn.Linear(4, 2), IF()))
    with pytest.raises(LedgerError, match=r"network input of shape \[2, 1, 4\] holds NaN or infinite"):
        Ledger.record(network, torch.full((2, 1, 4), value), input=declared)


@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_an_input_that_is_no_count_is_blamed_itself(value):
    network = Network(nn.Sequential(nn.Linear(4, 2), IF()))
    with pytest.raises(LedgerError, match=r"network input is declared as graded.*correct x") as raised:
        Ledger.record(network, torch.full((2, 1, 4), value), input="events")
    assert "emits" not in str(raised.value)


@pytest.mark.parametrize("module", [nn.Linear(4, 2), nn.BatchNorm2d(4), nn.Conv1d(2, 3, 9)])
def test_an_input_that_the_model_does_not_take_is_named(module):
    with pytest.raises(LedgerError, match=rf"{type(module).__name__} fails on its input of shape \[2, 3\]: .+"):
        Ledger.record(module, torch.rand(2, 3), input="analog")


def test_a_failure_of_the_recorder_is_not_blamed_on_the_input(monkeypatch):
    def broken(recorder, op):
        raise RuntimeError("a defect")

    monkeypatch.setattr("spikesim.energy.rules.apply_rule", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        Ledger.record(nn.Linear(4, 2), torch.rand(2, 4), input="analog")
