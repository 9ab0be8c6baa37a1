"""Operations beyond layers: functional forms, pads, joins, attention, norms, pooling."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikesim.energy import Ledger, fan_out
from spikesim.errors import LedgerError
from spikesim.neurons import IF
from spikesim.nn import Network


class Apply(nn.Module):
    """A function of spikes, with a convolution behind it."""

    def __init__(self, function, after, before=None):
        super().__init__()
        self.function, self.after, self.neuron = function, after, IF(0.2)
        self.before = before or nn.Identity()

    def forward(self, x):
        return self.after(self.function(self.neuron(self.before(x))))


def events(steps=2, samples=2, channels=2, size=6):
    generator = torch.Generator().manual_seed(3)
    return (torch.rand(steps, samples, channels, size, size, generator=generator) < 0.4).float()


def spikes_of(x):
    with torch.no_grad():
        return IF(0.2)(x).flatten(0, 1).to(torch.int64)


def record(function, after, x=None):
    return Ledger.record(Network(Apply(function, after)), events() if x is None else x, input="events")


@pytest.mark.parametrize(
    "function",
    [
        lambda s: s.clone().view(s.shape[0], 2, 6, 6),
        lambda s: s.permute(0, 1, 3, 2).transpose(2, 3).contiguous(),
        lambda s: s.unsqueeze(1).squeeze(1),
        lambda s: torch.cat(torch.split(s, 1, dim=1), dim=1),
        lambda s: torch.stack(s.unbind(1), dim=1),
        lambda s: s * 0.5 / 4 * torch.tensor(3.0),
        lambda s: s * torch.tensor([0.5, 2.0]).view(1, 2, 1, 1),
        lambda s: F.dropout(s, 0.5, training=False),
        lambda s: s.to(torch.float64).float(),
        lambda s: s.chunk(2, 1)[0].new_zeros(s.shape).copy_(s),
    ],
)
def test_movement_and_scale_keep_spikes(function):
    conv = nn.Conv2d(2, 3, 3, padding=1)
    ledger = record(function, conv)
    spikes = spikes_of(events())
    assert ledger["after"]["synops_binary"] == int((spikes * fan_out(conv, (2, 6, 6))).sum()) > 0
    assert ledger["after"]["mac_dense"] == 0
    assert not ledger.unpriced


@pytest.mark.parametrize("function", [torch.tanh, lambda s: s + 0.5, lambda s: 1.0 - s, lambda s: s.exp()])
def test_anything_else_is_analog(function):
    ledger = record(function, nn.Conv2d(2, 3, 3))
    assert ledger["after"].input_type == "analog" and ledger["after"]["mac_dense"] == 4 * 3 * 2 * 9 * 16


@pytest.mark.parametrize(
    "pool",
    [
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.AvgPool2d(2, divisor_override=3),
        nn.AdaptiveAvgPool2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.LPPool2d(1, 2),
    ],
)
def test_pooled_spikes_are_counted_through_the_composed_operator(pool):
    conv = nn.Conv2d(2, 3, 1)
    ledger = record(pool, conv)
    spikes = spikes_of(events())
    if isinstance(pool, nn.LPPool2d):  # a power and a sign: not folded, and said so
        assert ledger["after"].input_type == "analog"
        return
    # The adjoint of ones through pool (as a sum) and convolution.
    x = torch.ones(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    pooled = pool(x)
    paths = torch.zeros(6, 6, dtype=torch.int64)
    for cell in range(pooled[0, 0].numel()):
        (grad,) = torch.autograd.grad(pooled[0, 0].flatten()[cell], x, retain_graph=True)
        paths += grad[0, 0] != 0
    assert ledger["after"]["synops_binary"] == int((spikes * paths * 3).sum())
    assert ledger["function"]["op_add"] == 0


def test_mean_over_positions_folds_like_a_pool():
    ledger = record(lambda s: s.mean((2, 3)), nn.Linear(2, 5))
    assert ledger["after"]["synops_binary"] == 5 * int(spikes_of(events()).sum())


def test_max_pool_keeps_spikes_and_lists_comparisons():
    conv = nn.Conv2d(2, 3, 1)
    ledger = record(nn.MaxPool2d(3, 2, 1), conv)
    pooled = F.max_pool2d(spikes_of(events()).float(), 3, 2, 1)
    assert ledger["after"]["synops_binary"] == 3 * int(pooled.sum())
    # Nine windows per channel; corners and edges see padding: 4+6+6 + 6+9+9 + 6+9+9 positions.
    assert ledger["function"]["op_cmp"] == 4 * 2 * (64 - 9)


def test_a_pool_in_front_of_a_neuron_accumulates_each_spike():
    module = nn.Sequential(nn.AvgPool2d(2), IF())
    x = events()
    ledger = Ledger.record(Network(module), x, input="events")
    assert ledger["1"]["synops_graded"] == int(x.sum())


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_copied_padding_counts_with_multiplicity(mode):
    conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode)
    ledger = record(lambda s: s, conv)
    assert ledger["after"]["synops_binary"] == int((spikes_of(events()) * fan_out(conv, (2, 6, 6))).sum())


@pytest.mark.parametrize("kernel", [2, 3, (2, 4)])
def test_same_padding_excludes_zeros(kernel):
    conv = nn.Conv2d(2, 3, kernel, padding="same")
    fan = fan_out(conv, (2, 6, 6))
    spiking, analog = record(lambda s: s, conv), Ledger.record(conv, torch.rand(5, 2, 6, 6), input="analog")
    assert spiking["after"]["synops_binary"] == int((spikes_of(events()) * fan).sum())
    assert analog.total()["mac_dense"] == analog.total()["mac_effective"] == 5 * int(fan.sum())


def test_an_explicit_zero_pad_is_padding_too():
    conv = nn.Conv2d(2, 3, 3)
    inside = Ledger.record(nn.Conv2d(2, 3, 3, padding=1), torch.ones(1, 2, 5, 5), input="analog")
    outside = Ledger.record(nn.Sequential(nn.ZeroPad2d(1), conv), torch.ones(1, 2, 5, 5), input="analog")
    for column in ("mac_dense", "mac_effective", "synapses", "synapses_padded"):
        assert inside.total()[column] == outside.total()[column]


def test_functional_layers_are_attributed_to_their_module():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.neuron = nn.Parameter(torch.rand(3, 4)), IF()

        def forward(self, x):
            return F.linear(self.neuron(x), self.weight, torch.ones(3)) @ torch.ones(3, 2)

    x = (torch.rand(2, 3, 4) < 0.5).float()
    ledger = Ledger.record(Network(Functional()), x, input="events")
    assert ledger["(root)"]["synops_binary"] == 3 * int(x.sum())
    assert (ledger["(root)"]["mac_dense"], ledger["(root)"]["bias_adds"]) == (6 * 3 * 2, 6 * 3)


class Attention(nn.Module):
    """Spiking self-attention without softmax: (q k^T) v."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = IF(0.3), IF(0.5), IF(0.2)

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        return (q @ k.transpose(1, 2)) @ v


def test_attention_between_spikes_counts_coincidences():
    x = torch.rand(3, 2, 4, 5)
    ledger = Ledger.record(Network(Attention()), x, input="analog")
    with torch.no_grad():
        q, k, v = (IF(t)(x).flatten(0, 1) for t in (0.3, 0.5, 0.2))
    meetings = sum(int(q[r, i, d] * k[r, j, d]) for r in range(6) for i in range(4) for j in range(4) for d in range(5))
    # The scores are analog: each spike of v is added once per row of scores.
    assert ledger["(root)"]["synops_binary"] == meetings + 4 * int(v.sum())


def test_an_anns_attention_is_seen():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)

    class Self(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, x, x, need_weights=False)[0]

    ledger = Ledger.record(Self(), torch.rand(3, 5, 8), input="analog")
    projections, scores = 3 * 5 * 8 * 8 * 4, 2 * 3 * 5 * 5 * 8
    assert ledger.total()["mac_dense"] == projections + scores
    assert any("softmax" in operation for _, operation in ledger.unpriced)


def test_concatenated_trains_of_different_scale():
    conv = nn.Conv2d(4, 3, 3)
    ledger = record(lambda s: torch.cat([s, 0.25 * s], 1), conv)
    doubled = torch.cat([spikes_of(events())] * 2, 1)
    assert ledger["after"]["synops_binary"] == int((doubled * fan_out(conv, (4, 6, 6))).sum())


def test_sums_of_spikes_with_unequal_scales_and_signs():
    conv = nn.Conv2d(2, 3, 3)
    work = int((spikes_of(events()) * fan_out(conv, (2, 6, 6))).sum())
    assert record(lambda s: s + s, conv)["after"]["synops_graded"] == 2 * work
    assert record(lambda s: s + 0.5 * s, conv)["after"]["synops_graded"] == 2 * work
    assert record(lambda s: s - s, conv)["after"]["synops_signed"] == 2 * work


def test_in_place_sums_and_analog_residuals():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.conv = IF(0.2), nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            s = self.neuron(x)
            y = self.conv(s)
            y += s
            return y.add_(y)

    ledger = Ledger.record(Network(Residual()), events(), input="events")
    # Each spike is one addition into the current; the current is then added to itself, densely.
    assert ledger["(root)"]["residual_adds"] == int(spikes_of(events()).sum()) + 4 * 2 * 36


def test_a_gate_of_two_spike_trains_is_binary():
    linear = nn.Linear(6, 4)
    ledger = record(lambda s: s * s.flip(3), linear)
    spikes = spikes_of(events())
    assert ledger["after"]["synops_binary"] == 4 * int((spikes * spikes.flip(3)).sum())


def test_norms_relu_and_analog_pools_are_priced():
    module = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(3, 2, 1), nn.ReLU6())
    total = Ledger.record(module, torch.rand(2, 2, 6, 6), input="analog", strict=True).total()
    outputs, windows = 2 * 2 * 36, 2 * 2 * 9
    assert total["op_mul"] == outputs + windows
    assert total["op_add"] == outputs + 2 * 2 * (64 - 9)
    assert total["op_cmp"] == outputs + 2 * windows


def test_an_activation_that_leaves_torch_is_not_passed_over():
    class Detour(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(torch.from_numpy(x.numpy().copy()))

    ledger = Ledger.record(Detour(), torch.rand(2, 3), input="analog")
    assert ledger.unpriced == {("linear", "addmm on a constant"): 1}
    with pytest.raises(LedgerError, match="on a constant"):
        Ledger.record(Detour(), torch.rand(2, 3), input="analog", strict=True)


def test_inference_mode_sees_the_same():
    after = nn.Sequential(
        nn.Conv2d(2, 3, 2, padding="same"), nn.ReLU(), nn.Linear(3, 4), nn.Flatten(), nn.Linear(36, 2)
    )
    network, x = Network(Apply(nn.AvgPool2d(2), after)), events()
    plain = Ledger.record(network, x, input="events").total()
    with torch.inference_mode():
        assert Ledger.record(network, x, input="events").total() == plain
