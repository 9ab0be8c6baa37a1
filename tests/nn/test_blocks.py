"""Residual blocks and spiking self-attention, against the same written out, and in pieces."""

import pytest
import torch
from oracles import layers as oracle
from torch import nn

from spikesim.errors import ConfigError, ShapeError
from spikesim.nn import MSBlock, Network, SEWBlock, SpikingSelfAttention, td_batch_norm


def _lively(module):
    """Norms at other values than they begin with, so that every part shows."""
    for m in module.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(m.weight, 0.5, 2.0)
            nn.init.uniform_(m.bias, -0.2, 0.6)
    return module


@pytest.mark.parametrize("connect", ["add", "and", "iand"])
def test_sew_connects_spikes_element_by_element(connect):
    block = _lively(SEWBlock(3, 3, connect=connect))
    spikes = (torch.rand(4, 2, 3, 6, 6) < 0.5).float()
    out = Network(block)(spikes)
    branch = Network(block.residual)(spikes)
    assert branch.sum() > 10
    for o, a, s in zip(out.flatten().tolist(), branch.flatten().tolist(), spikes.flatten().tolist()):
        assert o == {"add": a + s, "and": float(a and s), "iand": float(not a and s)}[connect]


@pytest.mark.parametrize(("inside", "outside", "stride"), [(3, 3, 2), (2, 4, 1), (2, 4, 2)])
def test_shortcuts_follow_shape(inside, outside, stride):
    x = torch.rand(3, 2, inside, 8, 8)
    for block in (SEWBlock(inside, outside, stride), MSBlock(inside, outside, stride)):
        assert Network(block)(x).shape == (3, 2, outside, 8 // stride, 8 // stride)
        assert any(isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1) for m in block.shortcut)


def test_ms_begins_as_the_identity_and_convolves_spikes_only():
    block = MSBlock(3, 3)
    seen = []
    for m in block.modules():
        if isinstance(m, nn.Conv2d):
            m.register_forward_pre_hook(lambda m, i: seen.append(set(i[0].unique().tolist())))
    x = torch.randn(4, 2, 3, 6, 6)
    assert torch.equal(Network(block)(x), x)
    assert len(seen) == 2 and all(values <= {0.0, 1.0} for values in seen)
    lively = Network(_lively(block))
    assert not torch.equal(lively(x), x)


BLOCKS = {
    "sew": (lambda: SEWBlock(3, 4, 2), (6, 2, 3, 8, 8)),
    "ms": (lambda: MSBlock(3, 4, 2), (6, 2, 3, 8, 8)),
    "ssa": (lambda: SpikingSelfAttention(8, 2, scale=2.0), (6, 2, 8, 5)),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_pieces_equal_the_whole_and_all_learns(kind):
    build, shape = BLOCKS[kind]
    net, x = Network(_lively(build()).double()), torch.rand(*shape, dtype=torch.float64) * 2
    (net(x) + 1.0).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    # A convolution's bias before a batch-norm has the gradient zero up to rounding, by construction.
    assert sum(p.grad.abs().max() > 1e-8 for p in net.parameters()) >= len(list(net.parameters())) - 1
    session = net.eval().stream()
    assert torch.allclose(torch.cat([session(x[:1]), session(x[1:4]), session(x[4:])]), net(x), atol=1e-10)


def test_attention_by_loops():
    layer = _lively(SpikingSelfAttention(8, heads=2, scale=0.25)).double().eval()
    x = torch.rand(6, 1, 8, 5, dtype=torch.float64) * 3
    seen = {}
    for name in ("query", "key", "value"):
        getattr(layer, name).register_forward_hook(lambda m, i, o, n=name: seen.update({n: o}))
    layer.attend.register_forward_pre_hook(lambda m, i: seen.update(attended=i[0]))
    Network(layer)(x)
    q, k, v = (seen[n].reshape(6, 2, 4, 5) for n in ("query", "key", "value"))
    assert set(q.unique().tolist()) == {0.0, 1.0} and v.sum() > 0
    for t in range(6):
        for h in range(2):
            expected = oracle.attention(q[t, h].T.tolist(), k[t, h].T.tolist(), v[t, h].T.tolist(), 0.25)
            ours = seen["attended"].reshape(6, 2, 4, 5)[t, h].T
            assert torch.allclose(ours, torch.tensor(expected, dtype=torch.float64))


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match=r"'or'.*add, and, iand"):
        SEWBlock(2, 2, connect="or")
    with pytest.raises(ConfigError, match=r"6 features.*4 heads"):
        SpikingSelfAttention(6, 4)
    with pytest.raises(ShapeError, match=r"\[T\*N, 8, tokens\]"):
        Network(SpikingSelfAttention(8, 2))(torch.rand(3, 1, 5, 8))
    with pytest.raises(ConfigError, match="dims"):
        td_batch_norm(2, dims=0)
