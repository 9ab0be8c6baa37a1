"""What stays analog is asked for by name, exact in the mean, listed, priced and saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikesim.converters import audit, convert, load_converted
from spikesim.energy import Ledger
from spikesim.errors import CheckpointError, ConfigError, ConversionError

X = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class SqueezeExcite(nn.Module):
    """A gate: the sigmoid of a branch times the other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        gate = torch.sigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))
        return self.head((x * gate).mean((2, 3)))


def deep(*activations: nn.Module) -> nn.Module:
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), *activations, nn.Conv2d(4, 4, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 5))


class Stored(nn.Module):
    """A stored tensor in a product, and an in-place method whose input is read again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 5)
        self.register_buffer("scale", torch.tensor([0.5, 1.0, 2.0, -1.0]).reshape(1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x)) * self.scale
        y = x.tanh_()
        return self.head((x + y).mean((2, 3)))


class BeforeTheFirstNeuron(nn.Module):
    """Analog while the input lasts: nothing of it may go on when the input ends."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(64, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(F.relu(torch.sigmoid(self.a(x.flatten(1))) - 0.4))


CASES: dict[str, tuple[Callable[[], nn.Module], list[str], list[str]]] = {
    "gate": (lambda: SqueezeExcite(), ["sigmoid", "mul"], ["sigmoid", "mul"]),
    "by class": (lambda: deep(nn.GELU()), ["GELU"], ["gelu_3"]),
    "two in a row": (
        lambda: deep(nn.ELU(inplace=True), nn.GroupNorm(2, 4)),
        ["elu_3", "GroupNorm"],
        ["elu_3", "groupnorm_4"],
    ),
    "after a pool": (lambda: deep(nn.MaxPool2d(3, 1, 1), nn.LeakyReLU(0.1)), ["LeakyReLU"], ["leakyrelu_4"]),
    "pool behind": (lambda: deep(nn.Softplus(), nn.MaxPool2d(3, 1, 1)), ["Softplus"], ["softplus_3"]),
    "stored tensor, in place": (lambda: Stored(), ["mul", "tanh_"], ["mul", "tanh_"]),
    "before the first neuron": (lambda: BeforeTheFirstNeuron(), ["sigmoid"], ["sigmoid"]),
    "an activation that could be converted": (lambda: deep(nn.ReLU()), ["relu_3"], ["relu_3"]),
}


def built(name: str) -> nn.Module:
    torch.manual_seed(0)  # no layer of this one is silent
    return CASES[name][0]().eval()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("how", [{}, {"exact": True}])
def test_outputs_are_those_of_the_ann(name: str, how: dict[str, Any], tmp_path: Path) -> None:
    model, (_, allow, kept) = built(name), CASES[name]
    done = convert(model, X, timesteps=512, allow_analog=allow, threshold="max", calibrate=(), **how)
    wanted = model(X).detach()
    assert (done.network(X) - wanted).abs().max() < 0.02 * wanted.abs().max()
    report = done.report
    assert [entry.split()[0] for entry in report.proof.analog_nonlinearities] == kept
    assert {row.name for row in report.audit.rows if row.verdict.value == "analog"} == set(kept)
    assert max(layer.identity_error for layer in report.layers) < 1e-4
    assert "ANALOG, on running means" in str(report.layer_table().caption)
    if how:
        assert report.certificate is not None and report.certificate.exact
    done.save(tmp_path)
    again = load_converted(tmp_path)
    assert again.report == report and torch.equal(again.network(X), done.network(X))


def test_few_steps_are_exact_in_the_mean() -> None:
    """The mean output after every t is F of the mean input, which a function of each step's current is not."""
    torch.manual_seed(0)
    model = deep(nn.Sigmoid()).eval()
    network, _ = convert(model, X, timesteps=6, allow_analog=["Sigmoid"])
    found: dict[str, Tensor] = {}
    graph: Any = network.module
    for name in ("conv2d_2_mean", "sigmoid_3_increment"):
        graph.get_submodule(name).register_forward_hook(
            lambda m, given, out, name=name: found.__setitem__(name, (given[0], out))
        )
    network(X)
    (current, _), (_, sent) = found["conv2d_2_mean"], found["sigmoid_3_increment"]
    current, sent = (v.reshape(6, 24, *v.shape[1:]) for v in (current, sent))
    for t in range(1, 7):
        torch.testing.assert_close(sent[:t].mean(0), torch.sigmoid(current[:t].mean(0)), rtol=1e-4, atol=1e-5)
    assert float((sent.mean(0) - torch.sigmoid(current).mean(0)).abs().max()) > 1e-4


def test_energy_types_and_prices_it_as_analog() -> None:
    model, allow = built("gate"), CASES["gate"][1]
    network, _ = convert(model, X, timesteps=4, allow_analog=allow)
    ledger = Ledger.record(network, X, input="analog")
    assert ledger["head"].input_type == "analog" and ledger["head"]["mac_dense"] == 4 * 24 * 20
    assert ledger["down"].input_type != "analog" and ledger["mul"]["op_mul"] > 0
    assert any("sigmoid" in operation for _, operation in ledger.unpriced)  # nobody priced it, so it is listed


def test_nothing_stays_analog_unless_it_is_named() -> None:
    model = built("gate")
    with pytest.raises(ConversionError, match=r"sigmoid \(sigmoid\)"):
        convert(model, X, timesteps=4, allow_analog=["mul"])
    assert [row.name for row in audit(model, X, allow_analog=["mul"]).unsupported] == ["sigmoid"]


@pytest.mark.parametrize(
    ("given", "said"), [(["gelu"], "no such operation; it has: conv, relu"), ("mul", "a list of names"), (3, "a list")]
)
def test_names_that_do_not_fit(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        convert(SqueezeExcite(), X, timesteps=4, allow_analog=given)


class Form(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.layer, self.function, self.lstm = nn.Linear(64, 6), function, nn.LSTM(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, F.relu(self.layer(x.flatten(1))))


@pytest.mark.parametrize(
    ("function", "allow", "said"),
    [
        (lambda m, x: torch.softmax(x, 0), ["softmax"], "depends on others"),
        (lambda m, x: F.dropout(x, 0.5, True), ["dropout"], "random"),
        (lambda m, x: x * x.mean(), ["mean", "mul"], "cannot stay analog"),
        (lambda m, x: m.lstm(x)[0], ["LSTM"], "cannot stay analog"),
        (lambda m, x: torch.bernoulli(x.sigmoid()), ["sigmoid", "bernoulli"], "on chance"),
    ],
)
def test_what_cannot_stay_analog(function: Any, allow: list[str], said: str) -> None:
    found = audit(Form(function), X, allow_analog=allow)
    assert said in found.refusal()


def test_neurons_that_leave_steps_out_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"srp\(4\).*first 4 steps"):
        convert(SqueezeExcite(), X, timesteps=4, allow_analog=["sigmoid", "mul"], neuron="srp(4)")


def test_files_name_only_known_functions(tmp_path: Path) -> None:
    convert(deep(nn.GELU()), X, timesteps=2, allow_analog=["GELU"]).save(tmp_path)
    file = tmp_path / "network.json"
    text = file.read_text()
    for home, called in (("torch", "load"), ("nn", "Module"), ("functional", "gelu_load"), ("os", "sigmoid")):
        changed = text.replace('"home": "nn"', f'"home": "{home}"').replace(
            '"operation": "GELU"', f'"operation": "{called}"'
        )
        assert changed != text
        file.write_text(changed)
        with pytest.raises(CheckpointError):
            load_converted(tmp_path)
