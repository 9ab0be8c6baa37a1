"""Learning rules against their papers' equations, written out as loops."""

import math
import weakref

import pytest
import torch
from oracles import rules as oracle
from torch import nn

from spikesim.errors import ConfigError, ShapeError, TimestepsError
from spikesim.neurons import IF, LIF, Izhikevich
from spikesim.nn import Network, Recurrent
from spikesim.training import CrossEntropy, TrainConfig, train
from spikesim.training.rules import eprop, online_loss, stdp

TAU, THRESHOLD = 2.5, 0.375  # exact in binary: constants of neurons begin as float32


def close(found, wanted):
    return torch.allclose(found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-10, atol=1e-13)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.rand(9, 3, 4, dtype=torch.float64) * 2, torch.tensor([0, 2, 1])


def two_layers():
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6, bias=False), LIF(TAU, threshold=THRESHOLD), nn.Linear(6, 3, bias=False)]
    with torch.no_grad():
        layers[2].weight.abs_()
    return Network(nn.Sequential(*layers, LIF(TAU, threshold=THRESHOLD)).double())


def psi_of(neuron):
    return lambda u: float(neuron.surrogate.derivative(u))


@pytest.mark.parametrize("rule", ["ottt", "sltt"])
def test_online_gradients_are_those_of_the_paper(rule, batch):
    x, labels = batch
    net = two_layers()
    first, second = net.module[0], net.module[2]
    loss, scores = online_loss(net, x, labels, CrossEntropy(), rule=rule)
    loss.backward()
    wanted = oracle.online(
        x.transpose(0, 1).tolist(), labels.tolist(), first.weight.tolist(), second.weight.tolist(), TAU, THRESHOLD,
        psi_of(net.module[1]), rule == "ottt",
    )  # fmt: skip
    assert close(first.weight.grad, wanted[0]) and close(second.weight.grad, wanted[1])
    assert first.weight.grad.abs().max() > 1e-4
    assert torch.equal(scores, net.unread(x)) and 0 < scores.mean() < 1
    each = nn.functional.cross_entropy(scores.flatten(0, 1), labels.repeat(9))
    assert math.isclose(loss.item(), each.item(), rel_tol=1e-12)


# Padded at the end, whole, and with a hole: 6, 9 and 7 of 9 steps.
REAL = torch.tensor([[1, 1, 0]] * 2 + [[1, 1, 1]] * 4 + [[0, 1, 1]] * 3, dtype=torch.bool)


def shortened(x):
    return [x[REAL[:, n], n].tolist() for n in range(3)]


@pytest.mark.parametrize("rule", ["ottt", "sltt"])
def test_online_rules_leave_masked_steps_out(rule, batch):
    x, labels = batch
    net = two_layers()
    first, second = net.module[0], net.module[2]
    junk = torch.where(REAL.unsqueeze(2), x, 7.0)
    loss, scores = online_loss(net, junk, labels, CrossEntropy(), rule=rule, mask=REAL)
    loss.backward()
    wanted = oracle.online(
        shortened(x), labels.tolist(), first.weight.tolist(), second.weight.tolist(), TAU, THRESHOLD,
        psi_of(net.module[1]), rule == "ottt",
    )  # fmt: skip
    assert close(first.weight.grad, wanted[0]) and close(second.weight.grad, wanted[1])
    assert first.weight.grad.abs().max() > 1e-4
    steps = nn.functional.cross_entropy(scores.flatten(0, 1), labels.repeat(9), reduction="none").reshape(9, 3)
    assert math.isclose(loss.item(), ((steps * REAL).sum(0) / REAL.sum(0)).mean().item(), rel_tol=1e-12)


def test_a_recording_without_a_real_step_teaches_nothing(batch):
    x, labels = batch
    alone, beside = two_layers(), two_layers()
    mask = torch.ones(9, 3, dtype=torch.bool)
    mask[:, 2] = False
    mask[4] = False  # nor does a step without a real recording
    online_loss(beside, x, labels, CrossEntropy(), mask=mask).loss.backward()
    kept = x[:, :2][mask[:, 0]]
    online_loss(alone, kept, labels[:2], CrossEntropy()).loss.backward()
    for one, other in zip(alone.parameters(), beside.parameters()):
        assert torch.allclose(one.grad * 2 / 3, other.grad)


def test_without_a_past_every_rule_is_backpropagation(batch):
    x, labels = batch[0][:1], batch[1]
    found = []
    for rule in ("ottt", "sltt", "bptt"):
        net = two_layers()
        loss = CrossEntropy()(net.unread(x), labels) if rule == "bptt" else online_loss(
            net, x, labels, CrossEntropy(), rule=rule).loss  # fmt: skip
        loss.backward()
        found.append([p.grad for p in net.parameters()])
    for grads in found[:2]:
        assert all(torch.allclose(a, b, rtol=1e-12, atol=0) for a, b in zip(grads, found[2]))


def test_convolutions_learn_from_traces(batch):
    torch.manual_seed(0)
    x, labels = torch.rand(5, 2, 1, 3, 3).double(), torch.tensor([0, 1])
    net = Network(nn.Sequential(nn.Conv2d(1, 2, 3), IF(0.3), nn.Flatten()).double())
    online_loss(net, x, labels, CrossEntropy(), rule="ottt").loss.backward()
    conv = net.module[0]
    # One place: the convolution is a matrix of 2 x 9.
    flat = Network(nn.Sequential(nn.Flatten(), nn.Linear(9, 2), IF(0.3)).double())
    flat.module[1].weight.data = conv.weight.detach().flatten(1)
    flat.module[1].bias.data = conv.bias.detach().clone()
    online_loss(flat, x, labels, CrossEntropy(), rule="ottt", decay=1.0).loss.backward()
    assert torch.allclose(conv.weight.grad.flatten(1), flat.module[1].weight.grad)
    assert torch.allclose(conv.bias.grad, flat.module[1].bias.grad)


class _Held:
    """A saved tensor and when it is let go."""

    def __init__(self, tensor, sizes):
        self.tensor = tensor
        size = tensor.numel()
        sizes["now"] += size
        sizes["most"] = max(sizes["most"], sizes["now"])

        def forget():
            sizes["now"] -= size

        weakref.finalize(self, forget)


def most_kept(rule, steps):
    net, sizes = two_layers(), {"now": 0, "most": 0}
    x = torch.rand(steps, 3, 4, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2])
    with torch.autograd.graph.saved_tensors_hooks(lambda t: _Held(t, sizes), lambda held: held.tensor):
        if rule == "bptt":
            CrossEntropy()(net.unread(x), labels).backward()
        else:
            online_loss(net, x, labels, CrossEntropy(), rule=rule).loss.backward()
    return sizes["most"]


@pytest.mark.parametrize("rule", ["ottt", "sltt"])
def test_what_is_kept_does_not_grow_with_time(rule):
    assert most_kept(rule, 40) == most_kept(rule, 10)
    assert most_kept("bptt", 40) > 2 * most_kept("bptt", 10)


@pytest.mark.parametrize("kind", ["symmetric", "random"])
@pytest.mark.parametrize("readout_tau", [1.0, 3.0])
def test_eprop_is_that_of_the_paper(kind, readout_tau, batch):
    x, labels = batch
    torch.manual_seed(2)
    inputs, outputs = nn.Linear(4, 5, bias=False).double(), nn.Linear(5, 3).double()
    recurrent = Recurrent.dense(5, LIF(TAU, threshold=THRESHOLD)).double()
    back = torch.randn(5, 3, dtype=torch.float64) if kind == "random" else None
    loss, scores = eprop(inputs, recurrent, outputs, x, labels, readout_tau=readout_tau, feedback=back)
    wanted = oracle.eprop(
        x.transpose(0, 1).tolist(), labels.tolist(), inputs.weight.tolist(), recurrent.lateral.weight.tolist(),
        outputs.weight.tolist(), outputs.bias.tolist(), (outputs.weight.T if back is None else back).tolist(),
        TAU, THRESHOLD, 1 - 1 / readout_tau, psi_of(recurrent.neuron),
    )  # fmt: skip
    for parameter, gradient in zip((inputs.weight, recurrent.lateral.weight, outputs.weight, outputs.bias), wanted):
        assert close(parameter.grad, gradient) and parameter.grad.abs().max() > 1e-5
    # The readout's gradients are exact: those of autograd.
    spikes = Network(nn.Sequential(inputs, recurrent))(x).detach()
    y, steps = torch.zeros(3, 3, dtype=torch.float64), []
    for row in spikes:
        y = y + (outputs(row) - y) / readout_tau
        steps.append(y)
    assert torch.allclose(torch.stack(steps), scores)
    exact = nn.functional.cross_entropy(torch.cat(steps), labels.repeat(9))
    assert torch.allclose(exact, loss)
    for mine, theirs in zip(torch.autograd.grad(exact, list(outputs.parameters())), (outputs.weight, outputs.bias)):
        assert torch.allclose(mine, theirs.grad)


@pytest.mark.parametrize("readout_tau", [1.0, 3.0])
def test_eprop_leaves_masked_steps_out(readout_tau, batch):
    x, labels = batch
    torch.manual_seed(2)
    inputs, outputs = nn.Linear(4, 5, bias=False).double(), nn.Linear(5, 3).double()
    recurrent = Recurrent.dense(5, LIF(TAU, threshold=THRESHOLD)).double()
    junk = torch.where(REAL.unsqueeze(2), x, 7.0)
    loss, scores = eprop(inputs, recurrent, outputs, junk, labels, readout_tau=readout_tau, mask=REAL)
    wanted = oracle.eprop(
        shortened(x), labels.tolist(), inputs.weight.tolist(), recurrent.lateral.weight.tolist(),
        outputs.weight.tolist(), outputs.bias.tolist(), outputs.weight.T.tolist(), TAU, THRESHOLD,
        1 - 1 / readout_tau, psi_of(recurrent.neuron),
    )  # fmt: skip
    for parameter, gradient in zip((inputs.weight, recurrent.lateral.weight, outputs.weight, outputs.bias), wanted):
        assert close(parameter.grad, gradient) and parameter.grad.abs().max() > 1e-5
    steps = nn.functional.cross_entropy(scores.flatten(0, 1), labels.repeat(9), reduction="none").reshape(9, 3)
    assert math.isclose(loss.item(), ((steps * REAL).sum(0) / REAL.sum(0)).mean().item(), rel_tol=1e-12)


def test_eprop_with_biases_learns_them_as_weights_of_a_constant_input(batch):
    x, labels = batch
    torch.manual_seed(2)
    inputs, outputs = nn.Linear(4, 5).double(), nn.Linear(5, 3).double()
    recurrent = Recurrent.dense(5, LIF(TAU, threshold=THRESHOLD)).double()
    eprop(inputs, recurrent, outputs, x, labels)
    wide = nn.Linear(5, 5, bias=False).double()
    wide.weight.data = torch.cat([inputs.weight.detach(), inputs.bias.detach().unsqueeze(1)], 1)
    eprop(wide, recurrent, outputs, torch.cat([x, torch.ones(9, 3, 1).double()], 2), labels)
    assert torch.allclose(wide.weight.grad, torch.cat([inputs.weight.grad, inputs.bias.grad.unsqueeze(1)], 1))


def test_stdp_counts_every_pair():
    torch.manual_seed(3)
    pre, post = ((torch.rand(11, 2, n) < 0.4).double() for n in (3, 4))
    layer = nn.Linear(3, 4).double()
    options = {"tau_pre": 3.0, "tau_post": 5.0, "plus": 0.7, "minus": 0.4}
    change, traces = stdp(layer, pre, post, **options)
    for j in range(4):
        for i in range(3):
            each = [oracle.pair_change(pre[:, n, i].tolist(), post[:, n, j].tolist(), 3, 5, 0.7, 0.4) for n in range(2)]
            assert math.isclose(change[j, i], sum(each) / 2, rel_tol=1e-12, abs_tol=1e-15)
    start, between = stdp(layer, pre[:4], post[:4], **options)
    end, last = stdp(layer, pre[4:], post[4:], traces=between, **options)
    assert torch.allclose(start + end, change) and torch.allclose(last.post, traces.post)


def test_stdp_of_a_convolution_adds_up_over_places():
    torch.manual_seed(4)
    pre, post = (torch.rand(6, 2, 2, 5) < 0.4).double(), (torch.rand(6, 2, 3, 3) < 0.4).double()
    change, _ = stdp(nn.Conv1d(2, 3, 2, stride=2, padding=1), pre, post, tau_pre=4.0, tau_post=4.0)
    padded = nn.functional.pad(pre, (1, 1))
    for o in range(3):
        for c in range(2):
            for k in range(2):
                wanted = [
                    oracle.pair_change(padded[:, n, c, 2 * p + k].tolist(), post[:, n, o, p].tolist(), 4, 4, 1, 1)
                    for n in range(2)
                    for p in range(3)
                ]
                assert math.isclose(change[o, c, k], sum(wanted) / 2, rel_tol=1e-12, abs_tol=1e-14)


def test_a_run_by_a_rule(tiny):
    result = train(tiny.but(rule="sltt", epochs=1))
    assert 0 <= result.test_accuracy <= 1
    assert "--rule sltt" in (result.folder / "README.md").read_text()


def test_mistakes_are_named(batch):
    x, labels = batch
    net, layer = two_layers(), nn.Linear(4, 3)
    with pytest.raises(ConfigError, match="rule is 'rtrl'"):
        online_loss(net, x, labels, CrossEntropy(), rule="rtrl")
    with pytest.raises(ConfigError, match=r"decay is 0.5, but it is for 'ottt' alone"):
        online_loss(net, x, labels, CrossEntropy(), rule="sltt", decay=0.5)
    with pytest.raises(ShapeError, match=r"mask is .* must be torch.bool \[T, N\]"):
        online_loss(net, x, labels, CrossEntropy(), mask=torch.zeros(9, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"mask is .* must be torch.bool \[T, N\]"):
        eprop(layer, Recurrent.dense(3, LIF()), nn.Linear(3, 3), x, labels, mask=torch.ones(9, 3))
    halved = Network(nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Flatten(0, 1), nn.Linear(2, 3), nn.Unflatten(0, (3, 2)),
        nn.Flatten(), LIF()).double())  # fmt: skip
    with pytest.raises(ShapeError, match=r"'module.2' sees rows of \(6, 2\), but with a mask its traces need"):
        online_loss(halved, x, labels, CrossEntropy(), mask=REAL)
    with pytest.raises(ShapeError, match="at least one step"):
        online_loss(net, x[:0], labels, CrossEntropy())
    odd = Network(nn.Sequential(nn.Linear(4, 3), Izhikevich()).double())
    with pytest.raises(ConfigError, match=r"Izhikevich\) does not tell one leak"):
        online_loss(odd, x, labels, CrossEntropy())
    with pytest.raises(ConfigError, match=r"takes Recurrent.dense of LIF neurons"):
        eprop(layer, Recurrent.dense(3, IF()), layer, x, labels)
    with pytest.raises(ShapeError, match="eprop: x is"):
        eprop(layer, Recurrent.dense(3, LIF()), nn.Linear(3, 3), x[..., :2], labels)
    with pytest.raises(ConfigError, match="not a ReLU"):
        stdp(nn.ReLU(), x, x)
    with pytest.raises(ConfigError, match="tau_pre is 0"):
        stdp(layer, x, x, tau_pre=0)
    with pytest.raises(ShapeError, match="of the same T and N"):
        stdp(layer, x, x[1:])
    with pytest.raises(ShapeError, match="but post has"):
        stdp(layer, x, x)
    with pytest.raises(TimestepsError):
        stdp(layer, x[:0], x[:0])
    with pytest.raises(ConfigError, match=r"rule is 'ottt', which .* compile, rate_penalty"):
        TrainConfig(data="d", rule="ottt", compile=True, rate_penalty=1.0)
