"""Converted networks: exact identities, the scalar-loop oracle, structure, accuracy."""

from __future__ import annotations

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from oracles.conversion import simulate_mlp
from oracles.conversion_networks import randomised, structures
from rich.console import Console
from torch import Tensor, nn

from spikesim.converters import ConversionReport, convert
from spikesim.neurons import IF
from spikesim.nn import Network

CASES = structures()


def converted(name: str, timesteps: int, **settings: object) -> tuple[nn.Module, Network, ConversionReport, Tensor]:
    model, shape = CASES[name]
    model = randomised(copy.deepcopy(model))
    x = torch.rand(24, *shape, generator=torch.Generator().manual_seed(1))
    network, report = convert(model, x, timesteps=timesteps, **settings)  # type: ignore[arg-type]
    return model, network, report, x


@pytest.mark.parametrize("name", CASES)
def test_outputs_approach_the_ann_with_time(name: str) -> None:
    errors = []
    for timesteps in (4, 256):
        model, network, report, x = converted(name, timesteps, threshold="max", calibrate=())
        with torch.no_grad():
            expected = model(x.clone())
            errors.append(((network(x) - expected).abs().mean() / expected.abs().mean()).item())
        assert report.proof.analog_nonlinearities == []
        assert report.spiking_layers == sum(isinstance(m, IF) for m in network.modules()) > 0
    assert errors[1] < 0.05 and errors[1] < errors[0]


@pytest.mark.parametrize("name", CASES)
def test_spikes_are_zero_or_one(name: str) -> None:
    _, network, _, x = converted(name, 4)
    seen: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, IF):
            assert module.threshold == 1.0 and module.emits.kind == "binary"
            module.register_forward_hook(lambda _, __, output: seen.append(output))
    network(x)
    assert seen and all(bool(((s == 0) | (s == 1)).all()) for s in seen)


@pytest.mark.parametrize("granularity", ["channel", "layer"])
def test_equals_the_scalar_loop_in_the_scale_of_the_ann(granularity: str) -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    x = torch.rand(10, 3, dtype=torch.float64)
    network, report = convert(
        model,
        x,
        timesteps=7,
        granularity=granularity,
        calibrate=(),  # type: ignore[arg-type]
    )
    thetas = _thetas(model, x, granularity)
    layers = [(m.weight.tolist(), m.bias.tolist()) for m in model if isinstance(m, nn.Linear)]
    outputs = network(x[:4])
    for row in range(4):
        expected, _ = simulate_mlp(layers, thetas, x[row].tolist(), 7)
        torch.testing.assert_close(outputs[row], torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9)
    assert report.layers[1].threshold_max == pytest.approx(max(thetas[1]))


def _thetas(model: nn.Sequential, x: Tensor, granularity: str) -> list[list[float]]:
    from spikesim.converters import Histogram, mse_threshold
    from spikesim.converters.thresholds import safe_thresholds

    found = []
    for end in (2, 4):
        histogram = Histogram(model[end - 2].out_features)
        histogram.update(model[:end](x))
        rule = histogram if granularity == "channel" else histogram.pooled()
        found.append(safe_thresholds(mse_threshold(rule, 7), histogram).tolist())
    return found


def test_rate_identity_of_every_layer() -> None:
    """r_l = W r_(l-1) + b - (v(T) - v(0)) / T, whatever the spikes are."""
    timesteps = 9
    _, network, _, x = converted("residual", timesteps)
    network, x = network.double(), x.double()
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    network.encoder.hoist = False
    for name, module in network.module.named_modules():
        if isinstance(module, IF):
            module.register_forward_hook(
                lambda _, given, out, name=name: inputs.update({name: given[0]}) or outputs.update({name: out})
            )
    state = network.run(x).state
    assert len(inputs) == 3
    for name, current in inputs.items():
        drive = current.reshape(timesteps, len(x), *current.shape[1:]).mean(0)
        rate = outputs[name].reshape(timesteps, len(x), *current.shape[1:]).mean(0)
        torch.testing.assert_close(rate, drive - (state[name]["v"] - 0.5) / timesteps, rtol=1e-12, atol=1e-12)


def test_rates_go_through_the_layers_linearly() -> None:
    timesteps = 6
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
    x = torch.rand(5, 3)
    network, _ = convert(model, x, timesteps=timesteps)
    spikes: list[Tensor] = []
    network.module.relu_1.register_forward_hook(lambda _, __, out: spikes.append(out))
    output = network(x)
    rate = spikes[0].reshape(timesteps, 5, 6).mean(0)
    torch.testing.assert_close(output, network.module.linear_2(rate))


def test_max_pool_of_changing_currents_is_exact_in_the_mean() -> None:
    timesteps = 12
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(4, 2, 1)
    )
    network, report = convert(model, torch.rand(9, 1, 8, 8), timesteps=timesteps)
    seen: dict[str, Tensor] = {}
    for name in ("conv2d_2", "maxpool2d_3_difference"):
        module = network.module.get_submodule(name)
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    network(torch.rand(3, 1, 8, 8))
    current, pooled = (seen[n].reshape(timesteps, 3, *seen[n].shape[1:]).mean(0) for n in seen)
    torch.testing.assert_close(pooled, F.max_pool2d(current, 2), rtol=1e-4, atol=1e-5)
    assert report.proof.max_pools == ["maxpool2d_3"]
    assert "running max" in next(row.detail for row in report.audit.rows if row.name == "maxpool2d_3")


def test_features_that_become_channels_share_thresholds_and_stay_spikes() -> None:
    _, network, _, x = converted("unflatten", 4)
    kinds = [type(m).__name__ for m in network.module.children()]
    assert kinds == ["Linear", "IF", "Unflatten", "Conv2d", "Flatten"]
    inputs: list[Tensor] = []
    network.module.conv2d_3.register_forward_hook(lambda _, given, __: inputs.append(given[0]))
    network(x)
    assert bool(((inputs[0] == 0) | (inputs[0] == 1)).all())


def test_relu6_thresholds_respect_the_cap() -> None:
    model = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU6(), nn.Linear(4, 1))
    nn.init.constant_(model[0].weight, 30.0)
    for rule in ("max", "mse", "percentile(99)"):
        report = convert(model, torch.rand(50, 2), timesteps=8, threshold=rule).report
        assert report.layers[0].threshold_max <= 6.0 and report.layers[0].cap == 6.0


def test_dead_channels_are_counted_and_stay_silent() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        model[0].bias[1] = -100.0
        model[0].bias[0] = 1.0
    x = torch.rand(20, 2)
    network, report = convert(model, x, timesteps=8)
    assert report.layers[0].dead_channels >= 1
    assert bool(torch.isfinite(network(x)).all())


def test_the_model_stays_as_it_was() -> None:
    model = copy.deepcopy(CASES["residual"][0]).train()
    before = copy.deepcopy(model.state_dict())
    x = torch.rand(8, 3, 8, 8)
    kept, random_state = x.clone(), torch.get_rng_state()
    convert(model, x, timesteps=4)
    assert all(m.training for m in model.modules())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(x, kept) and torch.equal(torch.get_rng_state(), random_state)


def test_calibration_may_come_in_any_form() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x, y = torch.rand(40, 3), torch.zeros(40, dtype=torch.long)
    pairs = [(x[:7], y[:7]), (x[7:], y[7:])]
    forms = [x, (x, y), pairs, (batch for batch in x.split(9)), iter(pairs)]
    reports = [convert(model, form, timesteps=4).report for form in forms]
    assert all(r.layers == reports[0].layers and r.calibration_samples == 40 for r in reports)


def test_a_constant_current_that_meets_spikes_is_not_hoisted() -> None:
    _, network, report, _ = converted("preactivation", 4)
    assert not report.hoisted and not network.encoder.hoist
    assert converted("residual", 4)[2].hoisted


def test_bias_calibration_lowers_the_error_and_is_named() -> None:
    distances = []
    for calibrate in ((), "bias"):
        model, network, report, x = converted("residual", 2, calibrate=calibrate)
        distances.append((network(x) - model(x)).square().mean().item())
    assert distances[1] < distances[0]
    assert "channel means" in report.calibration and "24 samples" in report.calibration
    assert report.output_bias_shift is not None and report.layers[0].bias_shift is not None


def test_report_as_table_and_json(tmp_path: object) -> None:
    _, _, report, _ = converted("residual", 4)
    path = tmp_path / "deep" / "report.json"  # type: ignore[operator]
    report.save(path)
    assert ConversionReport.from_json(path.read_text()) == report
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]
    console = Console(file=io.StringIO(), width=200)
    console.print(report)
    text = console.file.getvalue()
    assert "3 spiking layers" in text and all(layer.name in text for layer in report.layers)
    assert all(0 <= layer.firing_rate <= 1 for layer in report.layers)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], torch.tensor(data.target)[order]
    return x[:1300], y[:1300], x[1300:], y[1300:]


def trained(model: nn.Module, x: Tensor, y: Tensor, epochs: int = 12) -> nn.Module:
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
    return model.eval()


def test_digits_cnn_keeps_its_accuracy(digits: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    torch.manual_seed(1)
    x, y, test_x, test_y = digits
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    model = trained(model, x, y)
    with torch.no_grad():
        expected = (model(test_x).argmax(1) == test_y).float().mean().item()
    for timesteps, points in ((8, 3.0), (32, 1.0)):
        network, report = convert(model, x[:256], timesteps=timesteps, evaluate=(test_x, test_y))
        assert report.accuracy is not None and report.accuracy.ann == pytest.approx(expected)
        assert len(report.accuracy.snn) == timesteps and report.accuracy.samples == len(test_y)
        assert report.accuracy.lost(timesteps) <= points
        right = (network(test_x).argmax(1) == test_y).float().mean().item()
        assert right == pytest.approx(report.accuracy.snn[-1], abs=2.5 / len(test_y))


def test_digits_mlp_keeps_its_accuracy(digits: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    x, y, test_x, test_y = digits
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))
    model = trained(model, x, y)
    report = convert(model, x[:256], timesteps=32, evaluate=[(test_x, test_y)]).report
    assert report.accuracy is not None and report.accuracy.lost(32) <= 1.0
