import copy
import threading

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from spikesim.errors import ConfigError, GradientError, ReuseError, ShapeError, StateError, TimestepsError
from spikesim.neurons import IF, LI, LIF
from spikesim.nn import Constant, Count, DelayedMean, Last, Mean, Network, NetworkState


class Residual(nn.Module):
    """A block in plain torch: functional pooling, a residual add, two neurons."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.lif1, self.lif2 = LIF(), LIF(reset="zero")
        self.head = nn.Linear(4 * 4 * 4, 5)

    def forward(self, x):
        y = self.lif1(self.conv1(x))
        y = self.lif2(self.conv2(y) + y)
        return self.head(nn.functional.avg_pool2d(y, 2).flatten(1))


def _by_hand(model, x):
    """The same network stepped one time step at a time, with explicit states."""
    v1 = v2 = None
    out = []
    for row in x:
        a, s1 = model.lif1.run_rows(model.conv1(row), 1, state=v1)
        b, s2 = model.lif2.run_rows(model.conv2(a) + a, 1, state=v2)
        v1, v2 = s1, s2
        out.append(model.head(nn.functional.avg_pool2d(b, 2).flatten(1)))
    return torch.stack(out)


def test_folding_equals_stepping_through_time():
    model, x = Residual(), torch.rand(5, 3, 2, 8, 8)
    assert torch.allclose(Network(model)(x), _by_hand(model, x), atol=1e-5)


def test_calls_are_stateless_and_leave_nothing_behind():
    net, x = Network(Residual()), torch.rand(5, 3, 2, 8, 8)
    first = net(x)
    first.sum().backward()
    second = net(x)
    second.sum().backward()
    assert torch.equal(first, second)
    assert all(
        m.timesteps is None and getattr(m, "call", None) is None for m in net.modules() if hasattr(m, "timesteps")
    )


@pytest.mark.parametrize("sizes", [[1, 1, 1, 1, 1, 1], [2, 4], [5, 1], [3, 3]])
def test_chunked_equals_whole_bit_for_bit_for_neurons(sizes):
    net, x = Network(nn.Sequential(LIF(3.0), IF(0.4, initial={"v": 0.1}), LI())), torch.rand(6, 2, 7)
    session = net.stream()
    chunks = torch.cat([session(c) for c in x.split(sizes)])
    assert torch.equal(chunks, net(x))


def test_chunked_equals_whole_for_a_network():
    net, x = Network(Residual().eval()), torch.rand(6, 2, 2, 8, 8)
    whole = net.run(x)
    state, parts = None, []
    for chunk in x.split([1, 2, 3]):
        run = net.run(chunk, state)
        state, parts = run.state, [*parts, run.output]
    assert torch.allclose(torch.cat(parts), whole.output, rtol=1e-5, atol=1e-6)
    for name, states in whole.state.items():
        assert torch.allclose(state[name]["v"], states["v"], rtol=1e-5, atol=1e-6)


def test_stream_detaches_at_borders_unless_told_otherwise():
    net = Network(LI())
    x = torch.rand(2, 1, 3, requires_grad=True)
    for detach in (True, False):
        x.grad = None
        session = net.stream(detach=detach)
        session(x)
        session(torch.zeros(1, 1, 3)).sum().backward() if not detach else session(x.detach())
        assert (x.grad is None) == detach


def test_stream_names_layer_shapes_and_remedy_when_the_batch_changes():
    session = Network(nn.Sequential(nn.Linear(3, 4), LIF())).stream()
    session(torch.rand(2, 5, 3))
    with pytest.raises(StateError, match=r"LIF '1'.*\(5, 4\).*\(2, 4\).*new stream"):
        session(torch.rand(2, 2, 3))
    session.reset()
    assert session(torch.rand(2, 2, 3)).shape == (2, 2, 4)


def test_a_state_of_another_network_is_refused():
    net = Network(nn.Sequential(nn.Linear(3, 4), LIF()))
    with pytest.raises(StateError, match=r"missing 1\.v; unknown lif\.v"):
        net.run(torch.rand(2, 5, 3), {"lif": {"v": torch.zeros(5, 4)}})
    with pytest.raises(StateError, match="version 99"):
        net.run(torch.rand(2, 5, 3), NetworkState({"1": {"v": torch.zeros(5, 4)}}, version=99))


def test_a_neuron_reached_twice_is_refused():
    neuron = IF()
    with pytest.raises(ReuseError, match="'0' was reached twice"):
        Network(nn.Sequential(neuron, neuron))(torch.rand(2, 1, 3))
    assert Network(nn.Sequential(neuron, copy.deepcopy(neuron)))(torch.rand(2, 1, 3)).shape == (2, 1, 3)


class Shape(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return self.change(x)


def test_an_output_without_folded_time_names_the_module():
    with pytest.raises(ShapeError, match=r"Shape returned shape \(3, 4\).*T\*N = 2\*3"):
        Network(Shape(lambda x: x[:3]))(torch.rand(2, 3, 4))
    with pytest.raises(ShapeError, match="at least one neuron"):
        Network(nn.Linear(4, 4), Constant(2))(torch.rand(3, 4))


def test_rows_that_are_not_folded_time_are_refused():
    with pytest.raises(TimestepsError, match="received 3 rows"):
        Network(nn.Sequential(Shape(lambda x: x[:3]), IF()))(torch.rand(2, 3, 4))


@pytest.mark.parametrize("bad", [torch.zeros(0, 2, 3), torch.zeros(3)])
def test_no_time_is_an_error(bad):
    with pytest.raises(ShapeError):
        Network(IF())(bad)
    with pytest.raises(TimestepsError, match="timesteps is 0"):
        Constant(0)


def test_no_samples_give_an_empty_result():
    net = Network(Residual().eval(), readout=Mean())
    assert net(torch.zeros(4, 0, 2, 8, 8)).shape == (0, 5)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = IF(), LIF()

    def forward(self, inputs):
        return {"sum": self.a(inputs["left"] + inputs["right"]), "right": self.b(inputs["right"])}


def test_inputs_and_outputs_may_be_pytrees():
    net = Network(Pair(), readout=Count())
    out = net({"left": torch.rand(4, 2, 3), "right": torch.rand(4, 2, 3)})
    assert out["sum"].shape == out["right"].shape == (2, 3)
    with pytest.raises(TimestepsError, match="disagree"):
        net({"left": torch.rand(4, 2, 3), "right": torch.rand(4, 3, 3)})


def test_hoisting_a_constant_input_changes_nothing_but_the_work():
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), IF(initial={"v": 0.5}), nn.Linear(8, 3))
    x = torch.rand(6, 4, requires_grad=True)
    seen = []
    module[0].register_forward_hook(lambda m, i, o: seen.append(o.shape[0]))
    results = []
    for hoist in (True, False):
        out = Network(module, Constant(5, hoist=hoist), Mean())(x)
        results.append((out, *torch.autograd.grad(out.square().sum(), [x, module[0].weight])))
    assert seen == [6, 30]
    for a, b in zip(*results):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_masked_step_freezes_state_and_is_not_read_out():
    net = Network(nn.Sequential(nn.Linear(3, 4), LIF(), LI()))
    x, lengths = torch.rand(6, 2, 3), [6, 4]
    mask = torch.arange(6).unsqueeze(1) < torch.tensor(lengths)
    whole = net.run(x, mask=mask)
    for n, length in enumerate(lengths):
        alone = net.run(x[:length, n : n + 1])
        assert torch.equal(whole.output[:length, n], alone.output[:, 0])
        assert whole.output[length:, n].abs().sum() == 0
        for name, states in alone.state.items():
            assert torch.equal(whole.state[name]["v"][n], states["v"][0])
        for readout in (Mean(), Count(), Last(), DelayedMean(2)):
            read = Network(net.module, readout=readout)
            assert torch.allclose(read(x, mask=mask)[n], read(x[:length, n : n + 1])[0], atol=1e-6)


def test_gradients_through_a_mask_equal_the_reference(reference_path, monkeypatch):
    x, mask = torch.rand(6, 2, 3), torch.rand(6, 2) > 0.4
    results = []
    for reference in (True, False):
        if not reference:
            monkeypatch.delenv("SPIKESIM_DISABLE_JIT")
        rows = x.clone().requires_grad_()
        out = Network(nn.Sequential(LIF(), LI()))(rows, mask=mask)
        (out * x).sum().backward()
        results.append((out.detach(), rows.grad))
    for a, b in zip(*results):
        assert torch.allclose(a, b, atol=1e-6)


def test_masks_are_checked():
    net = Network(IF())
    with pytest.raises(ShapeError, match="mask"):
        net(torch.rand(3, 2, 4), mask=torch.ones(2, 3, dtype=torch.bool))
    norm = Network(nn.Sequential(nn.BatchNorm1d(4), IF()))
    with pytest.raises(ConfigError, match=r"'0' .BatchNorm1d. is in training mode"):
        norm(torch.rand(3, 2, 4), mask=torch.ones(3, 2, dtype=torch.bool))


def test_a_delay_that_leaves_nothing_is_an_error():
    with pytest.raises(TimestepsError, match="leaves none"):
        DelayedMean(3)(torch.rand(3, 1, 2))


def test_parameters_are_saved_and_loaded():
    net = Network(nn.Sequential(nn.Linear(3, 4), LIF(3.0, learnable="tau")))
    other = Network(nn.Sequential(nn.Linear(3, 4), LIF(2.0, learnable="tau")))
    other.load_state_dict(net.state_dict())
    assert other.module[1].tau.item() == 3.0


def test_a_network_in_a_network_is_refused():
    inner = Network(nn.Sequential(LIF()))
    with pytest.raises(ReuseError, match="already in a call"):
        Network(nn.Sequential(nn.Identity(), inner))(torch.rand(6, 4, 8))
    assert inner(torch.rand(6, 4, 8)).shape == (6, 4, 8)


def test_two_threads_are_never_served_wrongly():
    net = Network(nn.Sequential(nn.Linear(8, 64), LIF(), nn.Linear(64, 8), LIF())).eval()
    inputs = [torch.randn(5, 3, 8) for _ in range(3)]
    with torch.no_grad():
        expected = [net(x) for x in inputs]
    outcomes = []

    def work(k):
        for _ in range(60):
            try:
                with torch.no_grad():
                    outcomes.append(torch.equal(net(inputs[k]), expected[k]))
            except ReuseError:
                outcomes.append(None)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 180
    assert False not in outcomes and True in outcomes


def test_a_checkpoint_inside_a_network_is_refused_not_wrong():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 4), LIF())

        def forward(self, x):
            return checkpoint(self.inner, x, use_reentrant=True)

    x = torch.rand(3, 2, 4, requires_grad=True)
    out = Network(Block())(x)
    with pytest.raises(GradientError, match="around the Network"):
        out.sum().backward()
    net = Network(nn.Sequential(nn.Linear(4, 4), LIF()))
    checkpoint(net, x, use_reentrant=False).sum().backward()
    expected = torch.autograd.grad(net(x).sum(), x)[0]
    assert torch.allclose(x.grad, expected)


def test_a_readout_of_the_users_own():
    assert Network(IF(), readout=nn.Identity())(torch.rand(3, 2, 4)).shape == (3, 2, 4)


def test_a_saved_state_is_loaded_without_unpickling(tmp_path):
    net, x = Network(nn.Sequential(LIF(), LI())), torch.rand(4, 2, 3)
    first = net.run(x[:2])
    torch.save(first.state.to_dict(), tmp_path / "state.pt")
    loaded = NetworkState.from_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(net.run(x[2:], loaded).output, net(x)[2:])
    with pytest.raises(StateError, match="to_dict"):
        NetworkState.from_dict({"0": {}})


def test_a_count_may_leave_steps_out():
    y = torch.tensor([[[1.0], [2.0]], [[4.0], [8.0]], [[16.0], [32.0]]])
    mask = torch.tensor([[True, True], [True, False], [True, True]])
    assert torch.equal(Count(1)(y), y[1:].sum(0)) and Count(1)(y, mask).tolist() == [[20.0], [32.0]]
    assert torch.equal(Count()(y), y.sum(0))
    with pytest.raises(TimestepsError, match="leaves none of the 3 time steps"):
        Count(3)(y)
    with pytest.raises(TimestepsError, match="at least 0"):
        Count(-1)
