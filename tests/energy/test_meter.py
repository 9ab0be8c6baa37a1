"""Ledgers by sample, batch after batch, and of several processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from spikesim.energy import COLUMNS, Ledger, Meter, gathered, merged
from spikesim.errors import LedgerError
from spikesim.neurons import IF, LIF
from spikesim.nn import Constant, Mean, Network


def network():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), LIF(threshold=0.2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3), IF(0.1)
    )
    return Network(module, readout=Mean())


def frames():
    return torch.randint(0, 3, (4, 5, 2, 6, 6), generator=torch.Generator().manual_seed(2)).float()


def test_every_sample_has_the_counts_of_its_own_run():
    net, x = network(), frames()
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[2:, 1] = False
    whole = Ledger.record(net, x, input="events", mask=mask)
    for n in range(5):
        alone = Ledger.record(net, x[:, n : n + 1], input="events", mask=mask[:, n : n + 1])
        for name, layer in whole.layers.items():
            for column in layer.counts:
                one = alone[name].counts.get(column, torch.zeros(4, dtype=torch.int64))
                assert torch.equal(layer.per_step_and_sample(column)[:, n], one), (name, column)
        for column in COLUMNS:
            assert int(whole.per_sample(column)[n]) == alone.total()[column]
    for column in COLUMNS:
        assert whole.per_sample(column).dtype == torch.int64
        assert int(whole.per_sample(column).sum()) == whole.total()[column]


def test_samples_that_are_mixed_are_named():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x):
            return self.inner(x.permute(1, 0, 2).reshape(-1, 4))

    ledger = Ledger.record(Mixed(), torch.rand(2, 3, 4), input="analog")
    assert ledger.total()["mac_effective"] == 2 * 3 * 12
    with pytest.raises(LedgerError, match="layer 'inner': mac_effective was not attributed to samples"):
        ledger.per_sample("mac_effective")


@pytest.mark.parametrize("connections", ["all", "nonzero"])
def test_a_meter_counts_batch_after_batch(connections):
    net, x = network(), frames()
    with torch.no_grad():
        net.module[0].weight[:, 0] = 0
    meter = Meter(net, input="events", connections=connections)
    outputs = torch.cat([meter(part) for part in x.split([2, 1, 2], 1)])
    with torch.no_grad():
        assert torch.allclose(outputs, net.eval()(x))
    whole, streamed = Ledger.record(net, x, input="events", connections=connections), meter.ledger
    assert streamed.total() == whole.total() and streamed.samples == 5
    assert streamed.connections == connections
    for column in COLUMNS:
        assert torch.equal(streamed.per_sample(column), whole.per_sample(column))
        assert torch.equal(streamed.per_step(column), whole.per_step(column))


def test_a_batch_that_fails_is_not_counted():
    meter = Meter(nn.Linear(3, 2), input="analog")
    with pytest.raises(LedgerError, match="no batch was counted"):
        meter.ledger  # noqa: B018
    meter(torch.rand(2, 3))
    with pytest.raises(LedgerError):
        meter(torch.full((1, 3), float("nan")))
    assert meter.ledger.samples == 2


def test_the_weights_of_a_meter_may_change_between_batches():
    layer = nn.Linear(4, 3, bias=False)
    meter = Meter(layer, input="analog", connections="nonzero")
    conv = Meter(nn.Conv1d(1, 1, 2, bias=False), input="analog", connections="nonzero")
    meter(torch.ones(1, 4))
    conv(torch.ones(1, 1, 4))
    with torch.no_grad():
        layer.weight[0] = 0
        conv.network.weight[0, 0, 0] = 0
    meter(torch.ones(1, 4))
    conv(torch.ones(1, 1, 4))
    assert meter.ledger.per_sample("mac_effective").tolist() == [12, 8]
    assert conv.ledger.per_sample("mac_effective").tolist() == [6, 3]


def test_a_layer_that_ran_for_some_batches_only():
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.b(self.a(x)) if float(x.sum()) > 1 else self.a(x)

    net = Sometimes()
    parts = [Ledger.record(net, torch.full((2, 2), v), input="analog") for v in (0.1, 2.0)]
    both = merged(parts)
    assert both["b"].per_sample("mac_dense").tolist() == [0, 0, 4, 4]
    with pytest.raises(LedgerError, match="no ledger to merge"):
        merged([])


def test_conventions_do_not_mix():
    layer, x = nn.Linear(2, 2), torch.ones(1, 2)
    ledger = Ledger.record(layer, x, input="analog")
    with pytest.raises(LedgerError, match=r"connections 'all'.*connections 'nonzero'"):
        ledger + Ledger.record(layer, x, input="analog", connections="nonzero")
    with pytest.raises(LedgerError, match="'all' or 'nonzero'"):
        Ledger.record(layer, x, input="analog", connections="some")


RANK = """
import sys, torch
from torch import nn
import torch.distributed as dist
from spikesim.energy import Ledger, gathered
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
torch.manual_seed(0)
layer, x = nn.Linear(3, 4), torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
mine = Ledger.record(layer, x[:1] if rank == 0 else x[1:], input="analog")
print(gathered(mine).per_sample("mac_effective").tolist(), gathered(mine).samples)
dist.destroy_process_group()
"""


def test_ledgers_of_processes_are_one(tmp_path):
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"} if Path("/sys/class/net/lo").exists() else os.environ
    command = [sys.executable, str(script)]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "store")], env=environment, stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    for rank in ranks:
        out, _ = rank.communicate(timeout=120)
        assert rank.returncode == 0 and out.split("\n")[0] == "[8, 4, 12] 3"


def test_one_process_is_left_alone():
    ledger = Ledger.record(nn.Linear(2, 2), torch.ones(1, 2), input="analog")
    assert gathered(ledger) is ledger


def test_the_first_layer_may_be_declared():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3), IF(0.3), nn.Linear(3, 2))
    x = torch.rand(2, 4)
    hoisted, repeated = Network(module, encoder=Constant(5)), Network(module, encoder=Constant(5, hoist=False))
    once = Ledger.record(hoisted, x, input="analog")
    each = Ledger.record(repeated, x, input="analog")
    assert once["0"]["mac_dense"] == 24 and each["0"]["mac_dense"] == 120
    for net in (hoisted, repeated):
        declared = Ledger.record(net, x, input="analog_once")
        assert declared.total() == once.total() and declared["0"].input_type == "analog_once"
        every = Ledger.record(net, x, input="analog_each_step")
        assert every.total() == each.total() and every["0"].input_type == "analog"
        assert every["0"].counts["bias_adds"].tolist() == [6] * 5
    held = Ledger.record(Network(module), x.expand(5, 2, 4), input="analog_once")
    assert held.total() == once.total()
    with pytest.raises(LedgerError, match="says that the input does not change"):
        Ledger.record(Network(module), torch.rand(5, 2, 4), input="analog_once")
    mask = torch.ones(5, 2, dtype=torch.bool)
    mask[3:, 0] = False
    assert Ledger.record(hoisted, x, input="analog_each_step", mask=mask)["0"]["mac_dense"] == 8 * 12
    assert Ledger.record(repeated, x, input="analog_once", mask=mask)["0"]["mac_dense"] == 2 * 12
