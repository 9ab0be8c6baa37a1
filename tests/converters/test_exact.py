"""Exact conversions: certificates, the identity on every layer, and the parts of the error."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from oracles.conversion_networks import randomised, structures
from torch import nn

from spikesim.converters import convert, load_converted
from spikesim.converters.certificate import certify
from spikesim.converters.error_parts import error_parts
from spikesim.converters.flow import Means, measured_means
from spikesim.converters.identity import identity_error
from spikesim.converters.settling import SettlingNetwork
from spikesim.energy import Ledger
from spikesim.errors import ConfigError, ConversionError, ShapeError, TimestepsError

CASES = structures()


def sample(shape: tuple[int, ...], count: int = 24) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))


def mlp(depth: int, width: int = 16) -> nn.Module:
    torch.manual_seed(depth)
    layers: list[nn.Module] = [nn.Linear(6, width), nn.ReLU()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 3)).eval()


class MobileLike(nn.Module):
    """Depthwise and pointwise convolutions, ReLU6, an inverted residual."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.wide = nn.Sequential(nn.Conv2d(8, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU6())
        self.depth = nn.Sequential(nn.Conv2d(24, 24, 3, 1, 1, groups=24, bias=False), nn.BatchNorm2d(24), nn.ReLU6())
        self.narrow = nn.Sequential(nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Sequential(nn.Conv2d(8, 16, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.narrow(self.depth(self.wide(x)))
        return self.fc(self.head(x))


@pytest.mark.parametrize("name", CASES)
def test_every_structure_gets_a_certificate(name: str) -> None:
    model, shape = CASES[name]
    model = randomised(copy.deepcopy(model))
    x = sample(shape)
    network, report = convert(model, x, timesteps=4, exact=True)
    assert report.certificate is not None and report.certificate.exact, report.certificate
    assert report.certificate.difference < 1e-12 and report.certificate.difference_float32 < 1e-5
    assert all(layer.identity_error < 1e-5 for layer in report.layers)
    assert all(layer.error.unevenness < 1e-6 for layer in report.layers)
    assert isinstance(network, SettlingNetwork) and network(x[:0]).shape[0] == 0


@pytest.mark.parametrize("levels", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("name", ["mlp, 4 layers", "mlp, 16 layers", "residual", "mobile"])
def test_the_certificate_holds_for_all_levels(name: str, levels: int) -> None:
    torch.manual_seed(0)
    ann, shape = {
        "mlp, 4 layers": lambda: (mlp(4), (6,)),
        "mlp, 16 layers": lambda: (mlp(16), (6,)),
        "residual": lambda: (randomised(copy.deepcopy(CASES["residual"][0])), CASES["residual"][1]),
        "mobile": lambda: (randomised(MobileLike()), (3, 8, 8)),
    }[name]()
    _, report = convert(ann, sample(shape, 8), timesteps=levels, exact=True, calibrate=())
    assert report.certificate is not None and report.certificate.exact, report.certificate
    assert report.certificate.exact_float32, report.certificate


@pytest.mark.parametrize(("depth", "levels"), [(4, 16), (16, 2)])
def test_deep_networks_of_many_bits_are_exact(depth: int, levels: int) -> None:
    _, report = convert(mlp(depth), sample((6,), 32), timesteps=levels, neuron="multi_threshold(2)", exact=True)
    assert report.certificate is not None and report.certificate.exact, report.certificate


def test_other_levels_than_steps() -> None:
    model, x = mlp(4), sample((6,), 32)
    _, report = convert(model, x, timesteps=4, neuron="st_bif(9)", exact=True)
    assert report.certificate is not None and report.certificate.exact
    assert report.threshold == "mse(9 levels)"


def test_without_draining_spikes_are_uneven() -> None:
    model, x = mlp(8), sample((6,), 32)
    _, report = convert(model, x, timesteps=8, neuron="if")
    assert report.certificate is None
    assert max(layer.error.unevenness for layer in report.layers) > 0.01
    assert all(layer.identity_error < 1e-5 for layer in report.layers)


def test_the_certificate_can_fail() -> None:
    model, x = mlp(4), sample((6,), 32)
    network, report = convert(model, x, timesteps=4, exact=True)
    assert certify(network, x, 4, 4.0).exact
    with torch.no_grad():
        network.module.get_submodule("relu_1").high = 2.0
    assert not certify(network, x, 4, 4.0).exact
    assert report.certificate is not None and report.certificate.exact


def test_the_identity_can_fail() -> None:
    model, x = mlp(4), sample((6,), 32)
    network, _ = convert(model, x, timesteps=4)
    means, _ = measured_means(network, x, 4)
    with torch.no_grad():
        network.module.get_submodule("linear_2").weight.mul_(1.1)
    with pytest.raises(ConversionError, match="'relu_3'"):
        identity_error(network, means, x)


def test_a_network_that_does_not_settle_says_so() -> None:
    network, _ = convert(mlp(8), sample((6,), 32), timesteps=16, exact=True)
    assert isinstance(network, SettlingNetwork)
    x = sample((6,), 32)
    network(x)
    assert network.settled and network.drained > 0
    network.limit = 1
    with pytest.warns(UserWarning, match="still sends spikes 1 steps"):
        network(x)
    assert not network.settled


def test_calls_do_not_depend_on_each_other() -> None:
    network, _ = convert(mlp(4), sample((6,), 32), timesteps=4, exact=True)
    x = sample((6,), 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, again = network(x), network(x)
        alone = torch.cat([network(row[None]) for row in x])
    assert torch.equal(first, again)
    torch.testing.assert_close(alone, first)


def test_parts_add_up() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4, 50, generator=generator, dtype=torch.float64)
    means = Means(z + 0.1, torch.rand(4, 50, generator=generator, dtype=torch.float64), 0.5, 1.0)
    a, t, most = z.clamp(min=0), 4, 4

    def q(v: torch.Tensor) -> torch.Tensor:
        return torch.floor(t * v + 0.5).clamp(0, most) / t

    parts = error_parts(z, means, t, most)
    clipped = a.clamp(max=1.0)
    scale = a.square().mean().sqrt()
    for value, part in (
        (parts.clipping, a - clipped),
        (parts.quantisation, clipped - q(z)),
        (parts.handed_down, q(z) - q(means.current)),
        (parts.unevenness, q(means.current) - means.rate),
        (parts.total, a - means.rate),
    ):
        assert value == pytest.approx((part.square().mean().sqrt() / scale).item(), rel=1e-6)


@pytest.mark.parametrize(
    "neuron",
    [
        "signed_if",
        "st_bif(3)",
        "burst",
        "group(2)",
        "multi_threshold(2)",
        "parallel",
        "srp(2)",
        "cos(2)",
        "differential(3)",
    ],
)
def test_an_artefact_keeps_the_neurons(neuron: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    x = sample((6,), 32)
    done = convert(mlp(2), x, timesteps=4, neuron=neuron)
    done.save(tmp_path)
    again = load_converted(tmp_path)
    assert torch.equal(again.network(x), done.network(x)) and again.report == done.report


def test_an_exact_artefact_settles_too(tmp_path) -> None:  # type: ignore[no-untyped-def]
    x = sample((6,), 32)
    done = convert(mlp(3), x, timesteps=4, exact=True)
    done.save(tmp_path)
    again = load_converted(tmp_path)
    assert isinstance(again.network, SettlingNetwork) and torch.equal(again.network(x), done.network(x))


def test_initial_potentials_come_closer_and_are_kept(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model, x = mlp(3), sample((6,), 64)
    plain = convert(model, x, timesteps=4, calibrate=())
    done = convert(model, x, timesteps=4, calibrate="potential")
    wanted = model(x)
    assert (done.network(x) - wanted).norm() < (plain.network(x) - wanted).norm()
    assert "initial potentials" in done.report.calibration
    assert all(layer.identity_error < 1e-5 for layer in done.report.layers)
    done.save(tmp_path)
    assert torch.equal(load_converted(tmp_path).network(x), done.network(x))
    for settings in ({"exact": True}, {"neuron": "parallel"}, {"neuron": "srp"}):
        with pytest.raises(ConfigError, match="means nothing to"):
            convert(model, x, timesteps=4, calibrate="potential", **settings)  # type: ignore[arg-type]


def test_what_cannot_be_exact_is_refused() -> None:
    x = sample((6,), 8)
    for neuron in ("if", "signed_if", "burst", "group", "parallel"):
        with pytest.raises(ConfigError, match="does not take back"):
            convert(mlp(2), x, timesteps=4, neuron=neuron, exact=True)
    with pytest.raises(TimestepsError, match="limit 0"):
        SettlingNetwork(nn.Identity(), 4, limit=0)
    network, _ = convert(mlp(2), x, timesteps=4, exact=True)
    with pytest.raises(TimestepsError, match="mask"):
        network(x, torch.ones(4, 8, dtype=torch.bool))


def test_energy_of_an_exact_network_does_not_depend_on_the_batch() -> None:
    network, _ = convert(mlp(8), sample((6,)), timesteps=8, exact=True)
    x = sample((6,), 6)
    whole = Ledger.record(network, x, input="analog").total()
    parts = [Ledger.record(network, x[k : k + 1], input="analog") for k in range(6)]
    assert len({part.timesteps for part in parts}) > 1  # or the test says nothing
    assert whole == {column: sum(part.total()[column] for part in parts) for column in whole}


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_and_not_silent(exact: bool, wrong: float) -> None:
    x = sample((6,))
    network, _ = convert(mlp(2), x, timesteps=4, exact=exact)
    x[3, 1] = wrong
    with pytest.raises(ShapeError, match=r"NaN or infinity \(samples 3\)"):
        network(x)
