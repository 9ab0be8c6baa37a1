"""Neuron policies: each against a scalar loop, the levels they promise, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikesim.converters import convert, neuron_policy
from spikesim.converters.policies import POLICIES
from spikesim.errors import ConfigError, ConversionError

currents = st.lists(st.floats(-2, 3, width=32), min_size=1, max_size=12)


def scalar(name: str, number: int, x: list[float]) -> list[float]:
    """What a neuron with threshold 1 sends, one step after the other, in the notation of the sources."""
    steps, v, sent, out = len(x), 0.5, 0, []
    silent = False
    if name == "cos":
        v += offset_of(x[: min(number, steps)])
    if name == "parallel":
        n = min(max(math.floor(sum(x) + 0.5), 0), steps)
        return [float(n >= steps - t) for t in range(steps)]
    for t, value in enumerate(x):
        if name == "srp" and t == number:
            silent, v = v <= 1e-3, 0.5
        v += value
        if name in ("if", "srp", "cos"):
            s = float(v >= 1)
        elif name in ("burst", "group"):
            s = float(min(max(math.floor(v), 0), number))
        elif name in ("signed_if", "st_bif"):
            most = math.inf if name == "signed_if" else (number or steps)
            s = 1.0 if v >= 1 and sent < most else -1.0 if v < 0 and sent > 0 else 0.0
        else:
            most = 2**number - 1
            s = float(max(min(math.floor(v), most, most * steps - sent), -most, -sent))
        v -= s
        sent += int(s)
        out.append(0.0 if silent else s)
    return out


def offset_of(x: list[float]) -> float:
    """By how much the start moves so that an IF neuron sends one spike more or less over these steps (COS)."""
    v, fired, rested = 0.5, [], []
    for value in x:
        v += value
        (fired if v >= 1 else rested).append(v)
        v -= float(v >= 1)
    if v < 0 and fired:
        return -max(1.0, min(fired) - 0.999)
    return max(1.0, 1.001 - max(rested, default=-math.inf)) if v >= 1 else 0.0


@pytest.mark.parametrize(
    "spec",
    [
        "if",
        "signed_if",
        "st_bif",
        "st_bif(3)",
        "burst(2)",
        "group(4)",
        "multi_threshold(2)",
        "parallel",
        "srp(3)",
        "cos(2)",
        "cos(4)",
    ],
)
@settings(deadline=None, max_examples=30)
@given(x=currents)
def test_a_policy_sends_what_its_equations_say(spec: str, x: list[float]) -> None:
    name, _, number = spec.rstrip(")").partition("(")
    policy = neuron_policy(spec)
    neuron = policy.build(len(x)).double()
    sent = neuron(torch.tensor(x, dtype=torch.float64).reshape(-1, 1, 1)).flatten().tolist()
    # A sum that rounding puts on either side of a level decides nothing here.
    sums = [sum(x[: k + 1]) + 0.5 for k in range(len(x))]
    if all(abs(total - round(total)) > 1e-9 for total in sums):
        assert sent == scalar(name, int(number or 0), x)


@pytest.mark.parametrize(
    "spec", [name for name in POLICIES if name != "differential"]
)  # whose rungs are no even levels
@pytest.mark.parametrize("timesteps", [1, 2, 7])
def test_an_even_current_is_quantised_to_the_levels_of_the_policy(spec: str, timesteps: int) -> None:
    policy = neuron_policy(spec)
    reach = torch.tensor([3.0])
    worth = policy.worth(reach, timesteps).item()
    z = torch.linspace(-1, 4, 401, dtype=torch.float64)
    current = (z / worth).expand(policy.wait + timesteps, 1, -1)
    sent = policy.build(timesteps).double()(current)[policy.wait :].sum(0).flatten() * worth / timesteps
    most = policy.tally(timesteps)
    level = worth / timesteps
    wanted = torch.floor(z / level + 0.5).clamp(0, most) * level
    away = (z / level + 0.5 - (z / level + 0.5).round()).abs() > 1e-6
    # What SRP waits for: a potential of next to nothing silences the neuron, also where the current is even.
    held = policy.wait * z / worth + 0.5
    away &= (held - held.floor() > 2e-3) | (policy.wait == 0)
    torch.testing.assert_close(sent[away], wanted[away])
    if policy.message == "level":
        assert level * policy.levels(timesteps) == pytest.approx(3.0)


def test_a_capped_activation_is_not_passed_by_bursts() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU6(), nn.Linear(8, 8)).eval()
    x = 40 * torch.rand(64, 3, generator=torch.Generator().manual_seed(0))
    network, report = convert(model, x, timesteps=8, neuron="burst(5)", threshold="max", calibrate=())
    worth = report.layers[0].threshold_max
    seen = []
    network.neurons()["relu6_1"].register_forward_hook(lambda _, __, s: seen.append(s))
    network(x)
    assert worth <= 6.0
    assert seen[0].max() <= 5 and policy_worth("burst(5)", worth) * seen[0].max() <= 6.0 + 1e-6


def policy_worth(spec: str, reach: float) -> float:
    return neuron_policy(spec).worth(torch.tensor([reach]), 8, 6.0).item()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("lif", "expected one of if, signed_if"),
        ("if(3)", "'if' has none"),
        ("burst(0)", "from 1 to"),
        ("multi_threshold(11)", "from 1 to 10"),
        ("burst(", "expected one of"),
        (3, "expected one of"),
    ],
)
def test_what_is_no_policy_is_refused(spec: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        neuron_policy(spec)  # type: ignore[arg-type]


def test_more_levels_come_closer_at_one_step() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(256, 8, generator=generator)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    wanted = model(x)
    errors = []
    for spec in ("if", "multi_threshold(2)", "multi_threshold(4)"):
        network, _ = convert(model, x, timesteps=1, neuron=spec)
        errors.append((network(x) - wanted).norm().item())
    assert errors[0] > 1.5 * errors[1] > 1.5 * 1.5 * errors[2]


@settings(deadline=None, max_examples=60)
@given(x=currents)
def test_cos_moves_the_tally_by_one_spike_towards_what_the_sum_holds(x: list[float]) -> None:
    given = torch.tensor(x, dtype=torch.float64).reshape(-1, 1, 1)
    plain = neuron_policy("if").build(len(x)).double()(given).sum().item()
    put_right = neuron_policy(f"cos({len(x)})").build(len(x)).double()(given).sum().item()
    held = sum(x) + 0.5
    even = min(max(math.floor(held), 0), len(x))
    if abs(held - round(held)) > 1e-3:
        assert abs(put_right - even) <= max(abs(plain - even), 0)
        assert plain == even or abs(put_right - plain) <= 1


def test_differential_networks_come_closer_with_fewer_spikes() -> None:
    torch.manual_seed(0)
    x = torch.rand(64, 3, 8, 8)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5),
    ).eval()  # fmt: skip
    wanted, found = model(x), {}
    for spec in ("if", "differential"):
        network, report = convert(model, x, timesteps=16, neuron=spec, calibrate=())
        spikes = sum(layer.spikes_per_sample for layer in report.layers)
        found[spec] = (network(x) - wanted).norm().item(), spikes
        assert report.hoisted and max(layer.identity_error for layer in report.layers) < 1e-5
    assert found["differential"][0] < found["if"][0] and found["differential"][1] < found["if"][1]
    # The mean of the outputs up to t is what is read after t steps, as for every other policy.
    read = convert(model, x, timesteps=8, neuron="differential").network.unread(x).mean(0)
    assert (read - wanted).norm() < 0.1 * wanted.norm()


def test_changes_and_rates_are_each_others_inverse() -> None:
    from spikesim.converters.differential import ChangeOf, RateOf

    x = torch.randn(20, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(RateOf().double()(ChangeOf().double()(x)), x)
    steps = torch.arange(1, 21, dtype=torch.float64).reshape(-1, 1, 1)
    rates = (ChangeOf().double()(x) / steps).cumsum(0)
    torch.testing.assert_close(rates, x.cumsum(0) / steps)


def test_srp_with_a_max_pool_of_spikes_is_refused_with_a_way_out() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(4, 2, 1)
    )
    with pytest.raises(ConversionError, match="neuron='cos'"):
        convert(model, torch.rand(9, 1, 8, 8), timesteps=4, neuron="srp")


@pytest.mark.parametrize(("spec", "longer"), [("if", 0), ("cos(3)", 3), ("cos(9)", 8), ("parallel", 8), ("srp(4)", 4)])
def test_latency_counts_what_every_layer_waits_for(spec: str, longer: int) -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    assert convert(model, torch.rand(16, 3), timesteps=8, neuron=spec).report.latency.steps == 8 + longer
