"""Activations that are trained for conversion: values, gradients, and what becomes of them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikesim.converters import QCFS, SlipReLU, audit, convert, load_converted, prepare_qcfs
from spikesim.errors import ConfigError, ConversionError


@settings(deadline=None, max_examples=50)
@given(z=st.floats(-20, 20), reach=st.floats(0.1, 10), levels=st.integers(1, 32), slope=st.floats(0, 1))
def test_values_are_those_of_the_formulas(z: float, reach: float, levels: int, slope: float) -> None:
    x = torch.tensor([z], dtype=torch.float64)
    stairs = reach * min(max(math.floor(z * levels / reach + 0.5) / levels, 0), 1)
    ramp = reach * min(max(z / reach, 0), 1)
    near = abs(z * levels / reach + 0.5 - round(z * levels / reach + 0.5)) < 1e-6
    if not near:
        assert QCFS(levels, reach).double()(x).item() == pytest.approx(stairs, rel=1e-5, abs=1e-6)
        wanted = slope * ramp + (1 - slope) * stairs
        assert SlipReLU(levels, reach, slope).double()(x).item() == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_gradients_pass_the_floor() -> None:
    z = torch.tensor([-1.0, 0.7, 1.2, 5.0], dtype=torch.float64, requires_grad=True)
    layer = QCFS(4, 2.0).double()
    layer(z).sum().backward()
    assert z.grad.tolist() == [0.0, 1.0, 1.0, 0.0]
    # Inside, d/dr of r * floor(z L / r + 1/2) / L with the floor as the identity: level - z / r.
    level = torch.floor(z.detach() * 4 / 2 + 0.5).clamp(0, 4) / 4
    inside = level - z.detach() / 2
    wanted = inside[1] + inside[2] + 1.0
    assert layer.reach.grad.item() == pytest.approx(wanted.item())


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("levels", [1, 2, 4, 8])
def test_a_trained_network_is_its_spiking_network_with_parallel_neurons(levels: int) -> None:
    model = prepare_qcfs(net(), levels=levels, reach=1.0).eval()
    x = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    for settings_ in ({"neuron": "parallel"}, {"exact": True}):
        network, report = convert(model.double(), x.double(), timesteps=levels, calibrate=(), **settings_)
        torch.testing.assert_close(network(x.double()), model(x.double()), rtol=1e-9, atol=1e-9)
        assert all(layer.threshold_max == pytest.approx(1.0) for layer in report.layers)


def test_ranges_are_learnt_and_taken_over(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = prepare_qcfs(net(), levels=4, reach=2.0).train()
    x = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()
    model.eval()
    reach = [m.reach.item() for m in model.modules() if isinstance(m, QCFS)]
    assert any(abs(r - 2.0) > 1e-4 for r in reach)
    done = convert(model, x, timesteps=4, neuron="parallel", calibrate=())
    assert [layer.threshold_max for layer in done.report.layers] == pytest.approx(reach)
    torch.testing.assert_close(done.network(x), model(x), rtol=1e-4, atol=1e-4)
    done.save(tmp_path)
    assert torch.equal(load_converted(tmp_path).network(x), done.network(x))


def test_a_range_per_channel() -> None:
    torch.manual_seed(1)
    layer = QCFS(4, torch.tensor([0.5, 1.0, 2.0]))
    model = nn.Sequential(nn.Linear(4, 3), layer, nn.Linear(3, 2)).double().eval()
    x = torch.rand(16, 4, dtype=torch.float64)
    network, report = convert(model, x, timesteps=4, neuron="parallel", calibrate=())
    torch.testing.assert_close(network(x), model(x))
    assert (report.layers[0].threshold_min, report.layers[0].threshold_max) == pytest.approx((0.5, 2.0))


def test_prepare_swaps_modules_on_a_copy() -> None:
    shared = nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 2), shared, nn.Linear(2, 2), shared, nn.ReLU6())
    made = prepare_qcfs(model, levels=3, reach=4.0, slope=0.25)
    assert isinstance(model[1], nn.ReLU) and made[1] is made[3] and isinstance(made[1], SlipReLU)
    assert made[4].reach.item() == 6.0 and made[1].slope == 0.25 and made[1].levels == 3
    assert isinstance(prepare_qcfs(nn.ReLU()), QCFS)
    assert audit(made, torch.zeros(1, 2)).convertible
    with pytest.raises(ConversionError, match=r"no nn\.ReLU module"):
        prepare_qcfs(nn.Linear(2, 2))


def test_bad_settings() -> None:
    for levels in (0, 2.5, True):
        with pytest.raises(ConfigError, match="levels is"):
            QCFS(levels)  # type: ignore[arg-type]
    for reach in (0.0, -1.0, float("nan"), torch.ones(2, 2)):
        with pytest.raises(ConfigError, match="reach is"):
            QCFS(4, reach)
    with pytest.raises(ConfigError, match="slope is 2"):
        SlipReLU(slope=2)
