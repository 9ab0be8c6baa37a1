"""Layers that carry state and are no neurons: state travels as that of neurons does."""

import pytest
import torch
from torch import nn

from spikesim.dynamics import Stateful
from spikesim.errors import ConfigError, ReuseError, ShapeError, StateError, TimestepsError
from spikesim.neurons import LIF
from spikesim.nn import Constant, Network, NetworkState


class Total(Stateful):
    """Sum of all real steps so far."""

    def state_names(self):
        return ("total",)

    def run_steps(self, x, state, mask):
        if mask is not None:
            x = x * mask.reshape(*mask.shape, *[1] * (x.dim() - 2))
        sums = self.carried(state, "total", x[0]) + x.cumsum(0)
        return sums, {"total": sums[-1]}


def test_alone_and_in_a_network():
    x = torch.rand(6, 2, 3, 4, 4)
    assert torch.equal(Total()(x), x.cumsum(0))
    assert torch.equal(Network(nn.Sequential(Total()))(x), x.cumsum(0))
    assert Network(Total())(torch.zeros(3, 0, 2)).shape == (3, 0, 2)


def test_state_is_streamed_saved_and_restored(tmp_path):
    net, x = Network(nn.Sequential(Total(), nn.Linear(3, 4), LIF())), torch.rand(6, 2, 3)
    whole = net.run(x)
    session = net.stream()
    assert torch.allclose(torch.cat([session(x[:1]), session(x[1:4]), session(x[4:])]), whole.output)
    assert set(whole.state) == {"0", "2"}
    first = net.run(x[:4]).state
    loaded = NetworkState.load(first.save(tmp_path / "s.safetensors"))
    assert torch.allclose(net.run(x[4:], loaded).output, whole.output[4:])


def test_masked_steps_freeze_it():
    net, x = Network(Total()), torch.rand(5, 2, 3)
    mask = torch.tensor([[True, True], [True, False], [False, True], [True, False], [True, False]])
    run = net.run(x, mask=mask)
    for n in range(2):
        assert torch.allclose(run.state[""]["total"][n], x[mask[:, n], n].sum(0))


def test_a_hoisted_input_is_repeated():
    x = torch.rand(2, 3)
    assert torch.allclose(Network(Total(), Constant(4))(x)[-1], 4 * x)


def test_mistakes_are_named():
    layer = Total()
    with pytest.raises(ReuseError, match="Total '0' was reached twice"):
        Network(nn.Sequential(layer, layer))(torch.rand(2, 1, 3))
    with pytest.raises(TimestepsError, match="T = 0"):
        layer(torch.zeros(0, 2, 3))
    with pytest.raises(ShapeError, match=r"x\.float"):
        layer(torch.zeros(2, 2, 3, dtype=torch.int64))
    net = Network(Total())
    with pytest.raises(StateError, match=r"\(2, 3\).*needs \(5, 3\)"):
        net.run(torch.rand(2, 5, 3), net.run(torch.rand(2, 2, 3)).state)
    with pytest.raises(StateError, match=r"missing \.total"):
        net.run(torch.rand(2, 5, 3), {})


class Rows(nn.Module):
    def forward(self, x):
        return x.repeat_interleave(2, 0)


@pytest.mark.parametrize("dims", [1, 2])
def test_norms_train_on_real_steps_only(dims):
    """The same as a batch-norm over the real rows, gathered by hand."""
    kind = nn.BatchNorm1d if dims == 1 else nn.BatchNorm2d
    x = torch.randn(6, 3, 4, *[5] * (2 * (dims - 1))).double()
    mask = torch.arange(6).unsqueeze(1) < torch.tensor([6, 2, 4])
    norm, hand = kind(4).double(), kind(4).double()
    net = Network(nn.Sequential(norm, LIF()))
    rows = x.clone().requires_grad_()
    y = net.module[0]
    seen = []
    y.register_forward_hook(lambda m, i, o: seen.append(o))
    net(rows, mask=mask).mul(torch.arange(6.0).reshape(6, *[1] * (rows.dim() - 1))).sum().backward()
    expected = hand(x[mask])
    assert torch.allclose(seen[0].unflatten(0, (6, 3))[mask], expected)
    assert torch.allclose(norm.running_mean, hand.running_mean) and torch.allclose(norm.running_var, hand.running_var)
    assert norm.num_batches_tracked == 1
    assert rows.grad[~mask].abs().sum() == 0 and rows.grad[mask].abs().sum() > 0
    assert "forward" not in norm.__dict__
    # What stands in masked steps cannot matter.
    torch.manual_seed(0)
    other = torch.where(mask.reshape(6, 3, *[1] * (x.dim() - 2)), x, torch.full_like(x, 1e6))
    again = Network(nn.Sequential(kind(4).double(), LIF()))
    assert torch.equal(again(x, mask=mask), Network(nn.Sequential(kind(4).double(), LIF()))(other, mask=mask))


def test_norms_without_a_real_step_stay_as_they_are():
    norm = nn.BatchNorm1d(4)
    y = Network(nn.Sequential(norm, LIF()))(torch.rand(3, 2, 4), mask=torch.zeros(3, 2, dtype=torch.bool))
    assert y.abs().sum() == 0 and norm.num_batches_tracked == 0


def test_norms_that_cannot_leave_steps_out_are_named():
    mask = torch.ones(3, 2, dtype=torch.bool)

    class Own(nn.BatchNorm1d):
        pass

    with pytest.raises(ConfigError, match=r"'0' \(Own\) is in training mode.*\.eval"):
        Network(nn.Sequential(Own(4), LIF()))(torch.rand(3, 2, 4), mask=mask)
    assert Network(nn.Sequential(Own(4), LIF()).eval())(torch.rand(3, 2, 4), mask=mask).shape == (3, 2, 4)
    with pytest.raises(ShapeError, match="BatchNorm1d received 12 rows"):
        Network(nn.Sequential(Rows(), nn.BatchNorm1d(4)))(torch.rand(3, 2, 4), mask=mask)
