"""Spikes kept as bits: the same gradients, less memory, and nothing else packed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikesim.dynamics.bits import pack_bits, unpack_bits
from spikesim.errors import ConfigError
from spikesim.neurons import LIF
from spikesim.nn import Mean, Network

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


@settings(max_examples=40)
@given(st.lists(st.booleans(), max_size=70), st.sampled_from(DTYPES))
def test_bits_hold_exactly_the_spikes(pattern, dtype):
    spikes = torch.tensor(pattern, dtype=dtype)
    bits = pack_bits(spikes)
    assert bits.numel() == (len(pattern) + 7) // 8
    assert bits.tolist() == [
        sum(int(s) << k for k, s in enumerate(pattern[i : i + 8])) for i in range(0, len(pattern), 8)
    ]
    assert torch.equal(unpack_bits(bits, torch.full_like(spikes, 7.0)), spikes)


def test_large_and_channels_last_tensors_survive():
    spikes = (torch.rand(40, 16, 33, 35) < 0.2).float().to(memory_format=torch.channels_last)
    back = torch.empty_like(spikes)
    assert torch.equal(unpack_bits(pack_bits(spikes), back), spikes)


def _pair():
    layers = [
        nn.Conv2d(2, 16, 3, padding=1),
        LIF(),
        nn.Conv2d(16, 16, 3, padding=1),
        LIF(),
        nn.Flatten(),
        nn.Linear(4096, 10),
    ]
    plain = Network(nn.Sequential(*layers), readout=Mean())
    packed = Network(plain.module, readout=Mean(), pack_spikes=True)
    return plain, packed


def test_gradients_are_the_same_bit_for_bit():
    plain, packed = _pair()
    x = torch.rand(4, 2, 2, 16, 16) * 3
    found = []
    for net in (plain, packed):
        plain.zero_grad()
        net(x).square().sum().backward()
        found.append([p.grad.clone() for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found))
    assert any(g.abs().sum() > 0 for g in found[0])


def test_less_is_kept():
    layers = [nn.Linear(64, 128), LIF(), nn.Linear(128, 128), LIF(), nn.Linear(128, 10)]
    x = torch.rand(4, 16, 64) * 3

    def kept(pack):
        y = Network(nn.Sequential(*layers), pack_spikes=pack)(x)
        return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in _saved(y.grad_fn)}.values())

    spikes = 2 * 4 * 16 * 128 * 4
    assert kept(False) - kept(True) == spikes * 31 // 32


def _saved(root):
    """Every tensor that the nodes of a graph hold, packed or not, without unpacking."""
    pending, seen = [root], set()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        pending += [n for n, _ in node.next_functions]
        for name in dir(node):
            if name.startswith("_raw_saved_"):
                raw = getattr(node, name)
                for item in raw if isinstance(raw, tuple) else (raw,):
                    yield from _held(item)


def _held(item):
    data = getattr(item, "data", None)
    if isinstance(data, torch.Tensor):
        yield data
    elif hasattr(data, "bits"):
        yield data.bits


def test_what_was_changed_in_place_is_not_packed():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif, self.out = LIF(), nn.Linear(64, 64)

        def forward(self, x):
            return self.out(self.lif(x).mul_(0.5))

    module = Scaled()
    x = torch.rand(8, 32, 64) * 3
    found = []
    for pack in (False, True):
        module.zero_grad()
        Network(module, pack_spikes=pack)(x).square().sum().backward()
        found.append(module.out.weight.grad.clone())
    assert torch.equal(*found) and found[0].abs().sum() > 0


def test_spikes_that_are_none_are_refused():
    class Loud(LIF):
        def step(self, x, *, v, tau, threshold):
            s, new = super().step(x, v=v, tau=tau, threshold=threshold)
            return 3.0 * s, new

    net = Network(nn.Sequential(Loud(), nn.Linear(2048, 4)), pack_spikes=True)
    with pytest.raises(ConfigError, match="declares binary spikes"):
        net(torch.rand(3, 4, 2048) * 4)
