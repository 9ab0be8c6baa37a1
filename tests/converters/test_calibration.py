"""The stages of calibration: each against its equation, in any order, and what is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from oracles.conversion_networks import randomised, structures
from torch import Tensor, nn

from spikesim.converters import convert
from spikesim.converters.calibration import STAGES, parse_stages
from spikesim.converters.prepare import prepare
from spikesim.converters.recipe import Recipe
from spikesim.errors import ConfigError, TimestepsError

CASES = structures()


def sample(count: int, shape: tuple[int, ...], seed: int = 1) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3)
    ).eval()  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_stage_runs_on_every_structure_and_leaves_the_identity_true(name: str) -> None:
    model, shape = CASES[name]
    model = randomised(copy.deepcopy(model))
    stages = "scale,bias,potential"
    report = convert(model, sample(16, shape), timesteps=4, calibrate=stages).report
    assert max(layer.identity_error for layer in report.layers) < 1e-4
    assert all(stage in report.calibration for stage in stages.split(","))


@pytest.mark.parametrize("settings", [{}, {"exact": True}])
def test_refitted_weights_come_closer_on_inputs_that_they_never_saw(settings: dict[str, object]) -> None:
    model, fresh = mlp(), sample(256, (6,), 9)
    wanted, ready = model(fresh), prepare(model, sample(256, (6,)))
    error = {
        stages: (convert(ready, timesteps=2, calibrate=stages, **settings).network(fresh) - wanted).norm()  # type: ignore[arg-type]
        for stages in ("none", "weights")
    }
    assert error["weights"] < 0.95 * error["none"]


def test_refitted_weights_of_a_residual_network_with_a_pool_are_the_same_every_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spikesim.converters.weights.ROUNDS", 5)
    model, shape = CASES["residual"]
    model, x = randomised(copy.deepcopy(model)), sample(32, shape)
    before = torch.get_rng_state()
    first, second = (convert(model, x, timesteps=2, calibrate="weights,bias").network(x) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(before, torch.get_rng_state())
    plain = convert(model, x, timesteps=2, calibrate=()).network(x)
    assert (first - model(x)).norm() < (plain - model(x)).norm()


def test_scales_are_the_least_squares_factors() -> None:
    model, x = mlp(), sample(64, (6,))
    plain = convert(model, x, timesteps=3, calibrate=())
    scaled = convert(model, x, timesteps=3, calibrate="scale")
    sent: dict[str, Tensor] = {}
    for name, neuron in plain.network.neurons().items():
        neuron.register_forward_hook(lambda _, __, out, name=name: sent.update({name: out}))
    plain.network(x)
    first = next(iter(sent))
    rate = sent[first].reshape(3, len(x), -1).double().mean(0)
    before, after = (done.network.module.linear_2.weight.double() for done in (plain, scaled))
    activation = model[:2](x).double()
    recipe = Recipe.of(timesteps=3)
    ready = prepare(model, x)
    worth = recipe.worth(ready.ann, recipe.ranges(ready.ann, ready.seen))[first].double()
    for channel in range(24):
        a, r = activation[:, channel] / worth[channel], rate[:, channel]
        gain = float((a * r).sum() / (r * r).sum()) if float(r.sum()) else 1.0
        # The second layer's own threshold stays, so that the ratio of its weights is the factor.
        torch.testing.assert_close(
            after[:, channel], before[:, channel] * min(max(gain, 0.25), 4.0), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize(
    ("given", "names"),
    [("bias", ("bias",)), (" weights , bias ", ("weights", "bias")), ("none", ()), ("", ()), ((), ()),
     (["potential", "bias"], ("potential", "bias"))],
)  # fmt: skip
def test_stages_are_read_in_the_given_order(given: object, names: tuple[str, ...]) -> None:
    assert parse_stages(given) == names  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "said"),
    [("biases", "'biases'; expected names out of weights, scale, bias, potential"), ("bias,bias", "twice"),
     (True, "calibrate is True"), (None, "calibrate is None"), ("bias,", "holds ''"), ((1,), "holds 1")],
)  # fmt: skip
def test_what_is_no_stage_is_refused(given: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_stages(given)  # type: ignore[arg-type]


def test_a_recipe_is_checked_before_any_data_are_read() -> None:
    with pytest.raises(ConfigError, match="calibrate holds"):
        convert(mlp(), iter(()), timesteps=4, calibrate="bais")
    with pytest.raises(TimestepsError, match="whole number"):
        Recipe.of(timesteps=0)
    with pytest.raises(ConfigError, match="means nothing to 'cos"):
        Recipe.of(timesteps=4, neuron="cos", calibrate="potential")
    assert set(STAGES) == {"weights", "scale", "bias", "potential"}


def test_one_sample_is_enough_to_leave_weights_alone() -> None:
    model, x = mlp(), sample(1, (6,))
    plain = convert(model, x, timesteps=4, calibrate=()).network
    refitted = convert(model, x, timesteps=4, calibrate="weights").network
    torch.testing.assert_close(refitted(x), plain(x))
