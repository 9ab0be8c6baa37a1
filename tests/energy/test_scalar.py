"""More counts by scalar loops: zero weights, what is driven, padding that copies, joins, attention."""

import random

import pytest
import torch
from oracles import ledger as oracle
from torch import nn

from spikesim.energy import Ledger
from spikesim.neurons import IF
from spikesim.nn import Network

CASES = [
    nn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2),
    nn.Conv2d(4, 4, (3, 2), stride=(2, 1), padding=1),
    nn.Conv2d(4, 8, 3, padding=1, groups=4),
    nn.Conv2d(4, 2, 2, padding="same"),
    nn.Conv3d(4, 2, 2, padding=1, stride=2),
    nn.ConvTranspose1d(4, 2, 3, stride=2, padding=1, output_padding=1),
    nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2),
    nn.ConvTranspose3d(4, 2, 2, stride=2),
]
SIZES = {3: (7,), 4: (5, 4), 5: (3, 4, 3)}


@pytest.mark.parametrize("layer", CASES, ids=lambda layer: str(layer)[:40])
@pytest.mark.parametrize("kind", ["events", "analog"])
@pytest.mark.parametrize("connections", ["all", "nonzero"])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_zero_weights_and_driven_outputs(layer, kind, connections):
    rng = random.Random(0)
    torch.manual_seed(0)
    with torch.no_grad():
        layer.weight[torch.rand_like(layer.weight) < 0.4] = 0
    x = torch.rand(3, 4, *SIZES[layer.weight.dim()])
    x = x.mul(3).floor() if kind == "events" else x * (torch.rand_like(x) < 0.5)
    x[0] = 0
    x[0, rng.randrange(4), 1] = 1
    ledger = Ledger.record(layer, x, input=kind, connections=connections)["(root)"]
    pruned = connections == "nonzero"
    works = [oracle.weighted_convolution(layer, row.tolist(), pruned) for row in x]
    each = {
        "events_in_graded": [w.arrived for w in works],
        "synops_graded": [w.events for w in works],
        "weight_fetches": [w.events for w in works],
        "driven_neurons": [w.driven for w in works],
    }
    if kind == "analog":
        each = {
            "mac_dense": [w.connections for w in works],
            "mac_effective": [w.nonzero for w in works],
            "weight_fetches": [w.connections for w in works],
        }
    for column, expected in each.items():
        assert ledger.per_sample(column).tolist() == expected, column
    assert ledger.zero_weights == int((layer.weight == 0).sum()) > 0
    assert ledger.weights == layer.weight.numel() and ledger.params == ledger.weights + len(layer.bias)


@pytest.mark.parametrize("connections", ["all", "nonzero"])
@pytest.mark.parametrize("shape", [(3, 5), (3, 2, 5)])
def test_pruned_linear(connections, shape):
    torch.manual_seed(0)
    layer = nn.Linear(5, 4)
    with torch.no_grad():
        layer.weight[torch.rand(4, 5) < 0.5] = 0
        layer.weight[2] = 0
    x = torch.rand(shape).mul(2.5).floor()
    x[0] = 0
    ledger = Ledger.record(layer, x, input="events", connections=connections)["(root)"]
    for n in range(3):
        events = driven = 0
        for vector in x[n].reshape(-1, 5):
            for o in range(4):
                crossed = [int(v) for v, w in zip(vector, layer.weight[o]) if w != 0 or connections == "all"]
                events += sum(crossed)
                driven += any(crossed)
        assert ledger.per_sample("synops_graded")[n] == events
        assert ledger.per_sample("driven_neurons")[n] == driven


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_padding_that_copies(mode):
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode)
    x = torch.randint(0, 3, (2, 2, 4, 5)).float()
    ledger = Ledger.record(conv, x, input="events")["(root)"]
    for n in range(2):
        copied = [oracle.padded(channel, mode) for channel in x[n].int().tolist()]
        work = oracle.convolution(copied, 3, (3, 3), (1, 1), (0, 0), (1, 1), 1, (4, 5))
        assert ledger.per_sample("synops_graded")[n] == work.events


class Join(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.after = IF(0.3), IF(0.6), nn.Conv2d(4, 3, 2)

    def forward(self, x):
        return self.after(torch.cat([self.a(x), self.b(x)], 1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = IF(0.3), IF(0.5), IF(0.2)

    def forward(self, x):
        return (self.q(x) @ self.k(x).transpose(1, 2)) @ self.v(x)


def test_concatenated_spikes():
    x = torch.rand(2, 3, 2, 4, 4)
    net = Network(Join())
    ledger = Ledger.record(net, x, input="analog")["after"]
    with torch.no_grad():
        both = torch.cat([IF(0.3)(x), IF(0.6)(x)], 2)
    for n in range(3):
        rows = both[:, n].int().tolist()
        works = [oracle.convolution(row, 3, (2, 2), (1, 1), (0, 0), (1, 1), 1, (3, 3)) for row in rows]
        assert ledger.per_step_and_sample("synops_binary")[:, n].tolist() == [w.events for w in works]


def test_attention_by_loops():
    x = torch.rand(2, 3, 4, 5)
    ledger = Ledger.record(Network(Attention()), x, input="analog")["(root)"]
    with torch.no_grad():
        q, k, v = (IF(t)(x).tolist() for t in (0.3, 0.5, 0.2))
    for t in range(2):
        for n in range(3):
            met = sum(int(q[t][n][i][d] and k[t][n][j][d]) for i in range(4) for j in range(4) for d in range(5))
            # Scores are analog: each spike of v is added once per row of scores.
            summed = 4 * int(oracle.total(v[t][n]))
            assert ledger.per_step_and_sample("synops_binary")[t, n] == met + summed
