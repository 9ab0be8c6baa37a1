"""Layers that see time: against loops, in pieces, under masks, and their gradients."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import layers as oracle
from torch import nn

from spikesim.dynamics import Sigmoid
from spikesim.errors import ConfigError, ShapeError, StateError, TimestepsError
from spikesim.neurons import LI, LIF, EscapeLIF
from spikesim.nn import (
    BNTT,
    PSN,
    TEBN,
    DelayedLinear,
    HeldDropout,
    MaskedPSN,
    Network,
    Recurrent,
    SlidingPSN,
    SpikeMaxPool2d,
    td_batch_norm,
)

T, N, F = 7, 3, 4


def _double(layer):
    layer = layer.double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    if isinstance(layer, DelayedLinear):  # between whole steps, where the kernel has no corner
        layer.delay.data = torch.rand_like(layer.delay) * 0.8 + torch.randint_like(layer.delay, 3) + 0.1
    return layer


def _x(*shape):
    return torch.randn(*(shape or (T, N, F)), dtype=torch.float64)


def _equal(ours, loops):
    assert torch.allclose(ours.detach(), torch.tensor(loops, dtype=torch.float64), atol=1e-10)


BUILD = {
    "TEBN": lambda: TEBN(F, T, dims=1).eval(),
    "BNTT": lambda: BNTT(F, T).eval(),
    "DelayedLinear": lambda: DelayedLinear(F, F, max_delay=3, bias=True),
    "DelayedLinear, gauss": lambda: DelayedLinear(F, F, max_delay=3, shape="gauss"),
    "MaskedPSN": lambda: MaskedPSN(T, order=3),
    "MaskedPSN, first order": lambda: MaskedPSN(T, order=1),
    "SlidingPSN": lambda: SlidingPSN(order=3),
    "Recurrent": lambda: Recurrent.dense(F, LIF(3.0, 0.3)),
    "HeldDropout": lambda: HeldDropout(0.4).eval(),
}
SEE_PAST = [k for k in BUILD if k != "HeldDropout"]


@pytest.mark.parametrize("kind", BUILD)
@settings(max_examples=8)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=T))
def test_pieces_equal_the_whole(kind, sizes):
    torch.manual_seed(0)
    net, x = Network(nn.Sequential(_double(BUILD[kind]()), nn.Identity())), _x()
    whole = net.run(x)
    pieces, session = [], net.stream()
    rest = x
    for size in sizes:
        if len(rest):
            pieces.append(session(rest[:size]))
            rest = rest[size:]
    if len(rest):
        pieces.append(session(rest))
    assert torch.allclose(torch.cat(pieces), whole.output, atol=1e-10)
    for name, states in whole.state.items():
        for state, value in states.items():
            assert torch.allclose(session.state[name][state], value, atol=1e-10)


@pytest.mark.parametrize("kind", BUILD)
@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
def test_masked_steps_are_as_if_they_had_never_been(kind, seed):
    torch.manual_seed(seed)
    net, x = Network(nn.Sequential(_double(BUILD[kind]()))), _x()
    mask = torch.rand(T, N) > 0.4
    out = net.run(x, mask=mask)
    for n in range(N):
        real = x[mask[:, n], n : n + 1]
        if not len(real):
            continue
        alone = net.run(real)
        assert torch.allclose(out.output[mask[:, n], n], alone.output[:, 0], atol=1e-10)
        for name, states in alone.state.items():
            for state, value in states.items():
                assert torch.allclose(out.state[name][state][n], value[0], atol=1e-10)
    assert "NaN" not in str(out.output)


SMOOTH = {
    **{k: v for k, v in BUILD.items() if k not in ("Recurrent", "MaskedPSN", "MaskedPSN, first order", "SlidingPSN")},
    "TEBN, training": lambda: TEBN(F, T, dims=1),
    "BNTT, training": lambda: BNTT(F, T),
    "Recurrent": lambda: Recurrent.dense(F, LI(3.0)),
}


@pytest.mark.parametrize("kind", SMOOTH)
def test_gradients_of_smooth_layers_are_those_of_differences(kind, reference_path):
    layer = _double(SMOOTH[kind]())
    names, values = zip(*layer.named_parameters()) if list(layer.parameters()) else ((), ())

    def run(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters)), (x,))

    assert torch.autograd.gradcheck(run, (_x().requires_grad_(), *values), atol=1e-6)


@pytest.mark.parametrize("kind", ["PSN", "MaskedPSN", "SlidingPSN"])
def test_gradients_of_parallel_neurons_are_those_of_a_loop(kind):
    build = {
        "PSN": lambda s: PSN(T, s),
        "MaskedPSN": lambda s: MaskedPSN(T, 3, s),
        "SlidingPSN": lambda s: SlidingPSN(3, True, s),
    }
    surrogate = Sigmoid(2.0)
    layer = _double(build[kind](surrogate))
    x, g = _x().requires_grad_(), _x()
    found = torch.autograd.grad((layer(x) * g).sum(), [x, layer.weight, layer.bias])
    # The same by hand: potentials by a loop that autograd sees, and the surrogate's derivative at them.
    rows, w, b = list(x.unbind(0)), layer.weight, layer.bias
    h = []
    for t in range(T):
        if kind == "PSN":
            h.append(sum(w[t, u] * rows[u] for u in range(T)) + b[t])
        elif kind == "MaskedPSN":
            h.append(sum(w[t, t - j] * rows[t - j] for j in range(3) if t >= j) + b[t])
        else:
            h.append(sum(w[2 - j] * rows[t - j] for j in range(3) if t >= j) + b)
    h = torch.stack(h)
    upstream = g * 2.0 * torch.sigmoid(2 * h) * (1 - torch.sigmoid(2 * h))
    expected = torch.autograd.grad((h * upstream.detach()).sum(), [x, w, b])
    for ours, theirs in zip(found, expected):
        assert torch.allclose(ours, theirs, atol=1e-10)
    assert torch.equal(layer(x).detach(), (h >= 0).double())


def test_gradients_of_recurrent_neurons_are_those_of_a_loop():
    """Kernels of one step each against the equations written out, with a surrogate that autograd knows."""

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, u):
            ctx.save_for_backward(u)
            return (u >= 0).double()

        @staticmethod
        def backward(ctx, grad):
            s = torch.sigmoid(2 * ctx.saved_tensors[0])
            return grad * 2 * s * (1 - s)

    layer = Recurrent.dense(F, LIF(3.0, 0.4, surrogate=Sigmoid(2.0))).double()
    x, g, w = _x().requires_grad_(), _x(), layer.lateral.weight
    out = layer(x)
    found = torch.autograd.grad((out * g).sum(), [x, w])
    v = s = torch.zeros(N, F, dtype=torch.float64)
    spikes = []
    for row in x.unbind(0):
        u = v + (row + s @ w.T - v) / 3.0
        s = Spike.apply(u - 0.4)
        v = u - 0.4 * s
        spikes.append(s)
    expected = torch.autograd.grad((torch.stack(spikes) * g).sum(), [x, w])
    assert torch.equal(out, torch.stack(spikes)) and out.sum() > 5
    for ours, theirs in zip(found, expected):
        assert torch.allclose(ours, theirs, atol=1e-10)


def test_against_loops():
    x = _x()
    layer = _double(TEBN(F, T, dims=1))
    _equal(layer(x), oracle.tebn(x.tolist(), layer.p.tolist(), layer.norm.weight.tolist(), layer.norm.bias.tolist()))
    layer = _double(BNTT(F, T))
    _equal(layer(x), oracle.bntt(x.tolist(), layer.weight.tolist()))
    for shape, sigma in (("linear", None), ("gauss", 1.5)):
        layer = _double(DelayedLinear(F, 2, 3, shape=shape, sigma=1.5))
        with torch.no_grad():
            layer.delay.uniform_(-0.5, 3.5)
        for n in range(N):
            rows = [layer.weight.tolist(), layer.delay.tolist(), 3, sigma]
            _equal(layer(x)[:, n], oracle.delayed(x[:, n].tolist(), *rows))
    h = x[:, 0, 0].tolist()
    for layer, potentials in (
        (_double(PSN(T)), lambda m: oracle.parallel(h, m.weight.tolist(), m.bias.tolist())),
        (_double(MaskedPSN(T, 3)), lambda m: oracle.masked(h, m.weight.tolist(), m.bias.tolist(), 3)),
        (_double(SlidingPSN(3)), lambda m: oracle.sliding(h, m.weight.tolist(), m.bias.item())),
    ):
        _equal(layer(x)[:, 0, 0], [float(p >= 0) for p in potentials(layer)])
    layer = Recurrent.dense(F, LIF(3.0, 0.4)).double()
    for n in range(N):
        _equal(layer(x)[:, n], oracle.recurrent_lif(x[:, n].tolist(), layer.lateral.weight.tolist(), 3.0, 0.4))


def test_a_whole_delay_is_a_shift():
    layer = _double(DelayedLinear(F, F, 4, shape="gauss"))
    with torch.no_grad():
        layer.weight.copy_(torch.eye(F))
        layer.delay.fill_(2.3)
    layer.rounded()
    x = _x()
    assert torch.equal(layer(x), torch.cat([torch.zeros(2, N, F), x[:-2]]))


def test_convolutional_recurrence_by_hand():
    layer = Recurrent.convolutional(2, LIF(2.0, 0.2)).double()
    x = torch.rand(5, 2, 2, 6, 6, dtype=torch.float64)
    state, s, out = None, torch.zeros_like(x[0]), []
    for row in x:
        s, state = layer.neuron.run_rows(row + layer.lateral(s), 1, state=state)
        out.append(s)
    assert torch.equal(layer(x), torch.stack(out))
    assert torch.allclose(Network(nn.Sequential(layer))(x), torch.stack(out))
    layer(x).sum().backward()
    assert layer.lateral.weight.grad.abs().sum() > 0


def test_a_recurrent_layer_is_recorded_like_a_neuron():
    layer = Recurrent.dense(F, LIF(3.0, 0.3))
    net, x = Network(nn.Sequential(layer)), torch.randn(T, N, F)
    plain = net(x)
    with net.record("0.neuron", states="v") as recording:
        watched = net(x)
    assert torch.equal(watched, plain) and torch.equal(recording["0.neuron"].spikes, plain)
    assert torch.equal(recording["0.neuron"].states["v"][-1], net.run(x).state["0.neuron"]["v"])
    random = Network(nn.Sequential(Recurrent.dense(F, EscapeLIF())))
    assert random(x).shape == x.shape


@pytest.mark.parametrize("seed", range(5))
def test_the_busiest_neuron_speaks(seed):
    torch.manual_seed(seed)
    x = (torch.rand(8, 1, 1, 5, 6) < 0.4).double()
    pool = SpikeMaxPool2d(2)
    _equal(pool(x)[:, 0, 0], oracle.busiest(x[:, 0, 0].tolist(), 2))
    net = Network(pool)
    session = net.stream()
    assert torch.equal(torch.cat([session(x[:3]), session(x[3:])]), net(x))
    x.requires_grad_()
    pool(x).sum().backward()
    assert x.grad.sum() == 8 * 2 * 3
    mask = torch.rand(8, 1) > 0.4
    out = net.run(x.detach(), mask=mask)
    if mask.any():
        assert torch.equal(out.output[mask[:, 0]], net(x.detach()[mask[:, 0]]))


def test_held_dropout_holds_its_mask():
    net = Network(nn.Sequential(HeldDropout(0.5), nn.Identity()))
    x = torch.ones(6, 4, 50)
    session = net.stream()
    y = torch.cat([session(x[:2]), session(x[2:])])
    assert torch.equal(y, y[:1].expand_as(y)) and not torch.equal(y[0, 0], y[0, 1])
    assert 0.35 < (y[0] == 0).float().mean() < 0.65 and set(y.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), x)
    channels = HeldDropout(0.5, channels=True)(torch.ones(3, 2, 8, 5, 5))
    assert torch.equal(channels, channels[:1, :, :, :1, :1].expand_as(channels))
    with pytest.raises(StateError, match=r"unknown 0\.kept"):
        session(x)


def test_norms_under_a_mask_train_on_real_steps():
    x, lengths = _x(), [7, 4, 5]
    mask = torch.arange(T).unsqueeze(1) < torch.tensor(lengths)
    other = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e3))
    for kind in (lambda: BNTT(F, T), lambda: TEBN(F, T, dims=1)):
        one, two = kind().double(), kind().double()
        a, b = Network(one)(x, mask=mask), Network(two)(other, mask=mask)
        assert torch.allclose(a[mask], b[mask])
        for left, right in zip(one.buffers(), two.buffers()):
            assert torch.equal(left, right)
    layer = BNTT(F, T).double()
    out = Network(layer)(x, mask=mask)
    _equal(out[:4], oracle.bntt(x[:4].tolist(), [[1.0] * F] * 4))
    _equal(out[4, [0, 2]], oracle.bntt([x[4, [0, 2]].tolist()], [[1.0] * F])[0])
    # A step with one sample left has no variance of its own.
    assert torch.allclose(out[6, 0], x[6, 0] / (1 + 1e-4) ** 0.5)
    assert (layer.running_mean[6].abs().sum() == 0 and layer.running_mean[5].abs().sum() > 0) or lengths[2] < 6


def test_tdbn_starts_at_the_threshold():
    norm = td_batch_norm(16, threshold=0.5)
    y = norm(torch.randn(400, 16, 6, 6) * 3 + 1)
    assert abs(y.std().item() - 0.5) < 1e-3
    # A LIF with threshold 0.5 then fires at its first step with 1 - Phi(1).
    assert abs((y >= 0.5).float().mean().item() - 0.1587) < 0.005
    assert type(norm) is nn.BatchNorm2d and type(td_batch_norm(2, dims=1)) is nn.BatchNorm1d


@pytest.mark.parametrize(
    "build", [lambda: TEBN(F, 5, dims=1), lambda: BNTT(F, 5), lambda: PSN(5), lambda: MaskedPSN(5, 2)]
)
def test_another_length_is_refused_with_a_remedy(build):
    layer, x = build(), torch.randn(T, N, F)
    for run in (layer, Network(copy.deepcopy(layer))):
        with pytest.raises(TimestepsError, match=r"T = 5.*received 7.*timesteps"):
            run(x)
        assert run(x[:5]).shape == (5, N, F)
    session = Network(nn.Sequential(layer)).stream()
    with pytest.raises(TimestepsError, match=r"T = 5"):
        session(x[:3])
        session(x[3:])


def test_a_dense_psn_is_not_streamed():
    session = Network(PSN(4)).stream()
    session(torch.rand(4, 1, 2))
    with pytest.raises(TimestepsError, match=r"continues a recording.*SlidingPSN"):
        session(torch.rand(4, 1, 2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: TEBN(0, 3), ConfigError, "channels is 0"),
        (lambda: TEBN(3, 3, dims=4), ConfigError, "dims is 4"),
        (lambda: BNTT(3, 0), TimestepsError, "timesteps is 0"),
        (lambda: BNTT(3, 2)(torch.rand(2, 1, 5)), ShapeError, "3 channels"),
        (lambda: td_batch_norm(3, threshold=0.0), ConfigError, "threshold is 0.0"),
        (lambda: HeldDropout(1.0), ConfigError, "p is 1.0"),
        (lambda: DelayedLinear(3, 3, 0), TimestepsError, "max_delay: timesteps is 0"),
        (lambda: DelayedLinear(3, 3, 2, shape="box"), ConfigError, "'box'.*linear, gauss"),
        (lambda: DelayedLinear(3, 3, 2)(torch.rand(4, 1, 5)), ShapeError, r"\[T, N, 3\]"),
        (lambda: MaskedPSN(3, 4), TimestepsError, "order is 4"),
        (lambda: SlidingPSN(0), TimestepsError, "order"),
        (lambda: Recurrent(nn.ReLU(), nn.Identity()), ConfigError, "a neuron, not a ReLU"),
        (lambda: Recurrent(LIF(), LIF()), ConfigError, "lateral holds a LIF"),
        (lambda: Recurrent(LIF(), nn.BatchNorm1d(2)), ConfigError, "lateral holds a BatchNorm1d"),
        (lambda: Recurrent(LIF(), nn.Linear(4, 5))(torch.rand(3, 1, 4)), ShapeError, r"\(1, 5\).*\(1, 4\)"),
        (lambda: Recurrent.convolutional(2, LIF(), 4), ConfigError, "odd"),
        (lambda: SpikeMaxPool2d(0), ConfigError, "kernel_size is 0"),
        (lambda: SpikeMaxPool2d(2)(torch.rand(3, 1, 4)), ShapeError, r"\[T, N, C, H, W\]"),
    ],
)
def test_mistakes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
