"""Accuracy, spikes and energy from one run, against separate runs and counts one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from spikesim.converters import convert, early_exit, measure, measure_early
from spikesim.converters.expense import counted_run
from spikesim.converters.latency import Latency
from spikesim.energy import Ledger, energy_report, load_profile, price, price_steps
from spikesim.errors import CalibrationError, ConfigError
from spikesim.neurons import IF
from spikesim.nn import Network

PROFILE = "horowitz45-fp32"


@pytest.fixture(scope="module")
def task() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 8), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(8, 3)).eval()
    x = torch.rand(50, 1, 10, 10)
    return model, x, model(x).argmax(1)


OPTIONS = [{}, {"readout": "count"}, {"readout": "delayed(2)"}, {"neuron": "multi_threshold(2)"}, {"neuron": "srp(2)"}]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_t_says_what_a_run_that_ends_there_says(task, options) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task
    network, report = convert(model, x, timesteps=4, **options)
    found = measure(network, [(x[:20], y[:20]), (x[20:], y[20:])], model)
    assert found.expense is not None
    outputs = network.unread(x)
    for t in range(1, 5):
        upto = report.wait + t
        right = (outputs[report.wait : upto].sum(0).argmax(1) == y).double().mean().item()
        assert found.snn[t - 1] == pytest.approx(right)
        # A network of fewer steps, counted on its own, layers that run once included.
        shorter = convert(model, x, timesteps=4, **options).network
        shorter.encoder.timesteps = upto
        ledger = Ledger.record(shorter, x, input="analog")
        assert found.expense.spikes[t - 1] == pytest.approx(ledger.total()["spikes_out"] / 50)
        assert found.expense.energy[t - 1] == pytest.approx(price(ledger, load_profile(PROFILE)).total, rel=1e-6)
    ann = Ledger.record(model, x, input="analog")
    assert found.expense.ann == pytest.approx(price(ann, load_profile(PROFILE)).total)
    plain = measure(network, (x, y), model, profile=None)
    assert plain.snn == found.snn and plain.expense is None


def test_an_exact_network_is_counted_until_it_is_silent(task) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task
    network, report = convert(model, x, timesteps=4, exact=True, evaluate=(x, y))
    spent = report.accuracy.expense
    assert report.accuracy.settled == (network(x).argmax(1) == y).double().mean().item()
    outputs, ledger = counted_run(network, x)
    assert torch.equal(outputs, network.unread(x)) and ledger.timesteps == 4 + network.drained
    assert spent.settled_spikes >= spent.spikes[-1] and spent.settled_energy > spent.energy[-1]
    assert spent.whole == (spent.settled_spikes, spent.settled_energy)
    # The first layer sees a constant: 64 outputs of 9 products for 4 channels, once.
    assert ledger["conv2d_0" if "conv2d_0" in ledger.layers else next(iter(ledger.layers))]["mac_dense"] == 50 * 64 * 36


def test_samples_that_are_done_cost_nothing_more(task) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task
    network, _ = convert(model, x, timesteps=8)
    quick = early_exit(network, x, agreement=0.8)
    found = measure_early(quick, (x, y))
    assert found.accuracy == (quick(x).argmax(1) == y).double().mean().item()
    assert found.steps == quick.steps.double().mean().item() < 8
    alone = []
    for row in range(50):
        _, ledger = counted_run(network, x[row : row + 1])
        alone.append(ledger.per_step("spikes_out")[: int(quick.steps[row])].sum().item())
    assert found.spikes == pytest.approx(sum(alone) / 50)
    assert measure_early(quick, (x, y), profile=None).energy is None


def test_energies_of_steps_add_up(task) -> None:  # type: ignore[no-untyped-def]
    model, x, _ = task
    ledger = Ledger.record(convert(model, x, timesteps=6).network, x, input="analog")
    prices = load_profile(PROFILE)
    spent = price_steps(ledger, prices)
    assert spent[-1] == pytest.approx(price(ledger, prices).total) and spent == sorted(set(spent))


def test_what_cannot_be_measured(task) -> None:  # type: ignore[no-untyped-def]
    model, x, y = task
    network, _ = convert(model, x, timesteps=2)
    with pytest.raises(ConfigError, match="no T of its own"):
        measure(Network(IF()), (x, y))
    with pytest.raises(CalibrationError, match="no labelled sample"):
        measure(network, (x[:0], y[:0]))
    with pytest.raises(CalibrationError, match="whole numbers from 0 to 2"):
        measure(network, (x, y + 7))
    with pytest.raises(CalibrationError, match="bring all samples to one shape"):
        measure(network, [(x, y), (x[:, :, :9], y)])
    with pytest.raises(ConfigError, match="no profile 'none'"):
        measure(network, (x, y), profile="none")
    alone = measure(network, (x, y))
    assert alone.ann is None and alone.expense.ann is None
    with pytest.raises(ConfigError, match="was not measured"):
        alone.lost(1)


def test_latency_leaves_nothing_out(task) -> None:  # type: ignore[no-untyped-def]
    model, x, _ = task
    late = {name: convert(model, x, timesteps=4, neuron=name).report.latency for name in ("if", "srp(3)", "parallel")}
    assert (late["if"].steps, late["if"].pipelined) == (4, 5)
    assert (late["srp(3)"].steps, late["srp(3)"].wait) == (7, 3)
    assert late["parallel"].steps == late["parallel"].pipelined == 8
    exact = convert(model, x, timesteps=4, exact=True).report
    assert exact.latency.drain == exact.certificate.drained and exact.latency.steps == 4 + exact.latency.drain

    class Short(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, z: Tensor) -> Tensor:
            z = torch.relu(z)
            return torch.relu(self.b(torch.relu(self.a(z)))) + z  # the shortcut is not the longest way

    assert convert(Short(), torch.rand(9, 4), timesteps=2).report.latency.depth == 3
    assert Latency(timesteps=1, wait=0, drain=0, depth=1, hold=0).describe() == "1 step: T = 1"
    held = Latency(timesteps=4, wait=0, drain=0, depth=3, hold=2)
    assert (held.steps, held.pipelined, held.brief()) == (8, 8, "8 (4 held back)")
    assert held.describe() == "8 steps: T = 4, 4 held back between layers"


def test_errors_against_t_are_those_of_runs_that_end_there(task) -> None:  # type: ignore[no-untyped-def]
    model, x, _ = task
    report = convert(model, x, timesteps=8, calibrate=()).report
    for layer in report.layers:
        assert list(layer.error_at) == [1, 2, 4, 8] and layer.error_at[8] == layer.error
        for parts in layer.error_at.values():
            own = parts.clipping + parts.quantisation + parts.handed_down + parts.unevenness
            assert parts.total <= own + 1e-9  # the parts add up to the whole, sample by sample
    first = report.layers[0]
    assert first.error_at[1].quantisation > first.error_at[8].quantisation
    assert first.error_at[8].unevenness < 1e-6  # its input is constant


@pytest.mark.parametrize("options", [{"exact": True}, {"neuron": "srp"}, {"readout": "delayed(5)"}])
def test_steps_of_waiting_and_settling_are_no_capacity_of_the_baseline(options):
    """An ANN with as many activation levels as T steps tell apart, however many more steps run."""
    torch.manual_seed(0)
    x = torch.rand(32, 6)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    network, _ = convert(model, x, timesteps=4, **options)
    report = energy_report(network, x, input="analog", ann=model)
    assert report.ledger.timesteps > 4 and report.ledger.counted_steps == 4
    assert report.matched.bits == 3
