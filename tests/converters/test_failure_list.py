"""What conversion is known to fail on elsewhere: one test for each item of the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikesim.converters import audit, convert
from spikesim.converters.canonical import canonicalise
from spikesim.converters.rectifier import Rectifier
from spikesim.errors import CalibrationError, ConversionError
from spikesim.neurons import IF
from spikesim.nn import Constant, Network

X = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Form(nn.Module):
    """A first and a last layer, and between them what is to be tried."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor], channels: int = 4, **parts: nn.Module) -> None:
        super().__init__()
        self.conv, self.head, self.function = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(channels, 5), function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.function(self, self.conv(x)).flatten(2).mean(2))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    model = make()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return model.eval()


def approaches(model: nn.Module, x: Tensor = X, **how: Any) -> Any:
    """Converted without fitting, the network comes within 2 % of the ANN after many steps; gives the report."""
    wanted = model(x).detach()
    network, report = convert(model, x, timesteps=512, threshold="max", calibrate=(), **how)
    assert float((network(x).detach() - wanted).abs().max()) < 0.02 * float(wanted.abs().max())
    return report


@pytest.mark.parametrize("exact", [False, True])
def test_max_pool_after_the_neuron(exact: bool) -> None:
    """The pool moves before the neuron and works on running sums: the maximum of sums is not the sum of maxima."""

    def function(m: Any, x: Tensor) -> Tensor:
        return m.pool(F.relu(m.second(F.relu(x))))

    model = seeded(lambda: Form(function, second=nn.Conv2d(4, 4, 3, padding=1), pool=nn.MaxPool2d(3, 2, 1)))
    report = approaches(model, exact=exact)
    row = next(row for row in report.audit.rows if row.name == "pool")
    assert row.verdict.value == "approximated" and "running max" in row.detail
    assert report.certificate is None or report.certificate.exact


def test_max_pools_of_an_exact_network_are_priced_as_comparisons() -> None:
    from spikesim.energy import Ledger, energy_report

    layers = [nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    model = seeded(lambda: nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, 5)))
    network, _ = convert(model, X, timesteps=4, exact=True)
    ledger = Ledger.record(network, X, input="analog")
    steps = 4 + network.drained  # type: ignore[operator]
    shown = int(ledger.active.sum())  # what has settled is shown no more
    assert ledger.timesteps == steps and 4 * 24 < shown <= steps * 24
    assert ledger["maxpool2d_4_first"]["op_cmp"] == shown * 3 * 16 * 3
    report = energy_report(network, X, input="analog", ann=model)
    assert report.ann_ledger.samples == 24 and report.dense_ann > 0


def test_percentile_of_zeros() -> None:
    """A dead channel has no threshold of its own: it stays silent, and nothing is divided by zero."""
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)))
    with torch.no_grad():
        model[0].bias[1] = -100.0  # type: ignore[index, union-attr]
    for rule in ("percentile(99.9)", "max", "mse", "lloyd", "gaussian", "ltb"):
        network, report = convert(model, X, timesteps=8, threshold=rule)
        assert report.layers[0].dead_channels == 1 and 0 < report.layers[0].threshold_min < 100
        assert bool(torch.isfinite(network(X)).all())
        assert all(bool(torch.isfinite(p).all()) for p in network.parameters())


def test_shared_module_is_a_neuron_for_each_use() -> None:
    relu = nn.ReLU()
    model = seeded(lambda: Form(lambda m, x: m.act(m.same(m.act(m.same(m.act(x))))), act=relu, same=nn.Conv2d(4, 4, 1)))
    report = approaches(model)
    assert report.spiking_layers == 3 and len({layer.threshold_max for layer in report.layers}) == 3


def test_convolution_with_two_readers_and_a_batch_norm() -> None:
    model = seeded(lambda: Form(lambda m, x: F.relu(m.norm(x)) + F.relu(x), norm=nn.BatchNorm2d(4)))
    report = approaches(model)
    assert "on a copy" in next(row.detail for row in report.audit.rows if row.name == "norm")


def test_relu_on_the_network_input() -> None:
    model = seeded(lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 5)))
    assert approaches(model, X - 0.4).spiking_layers == 2


def test_final_relu_before_the_classifier_and_as_the_output() -> None:
    tail = [nn.Flatten(), nn.Linear(144, 16), nn.ReLU(), nn.Linear(16, 5)]
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), *tail))
    assert approaches(model).spiking_layers == 2
    ends = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 5), nn.ReLU()))
    assert approaches(ends).spiking_layers == 2  # its outputs have the ANN's scale too


def test_sum_of_spikes_of_different_scales() -> None:
    def add(m: Any, x: Tensor) -> Tensor:
        a, b = F.relu(x), F.relu(m.wide(x)) * 30
        return F.relu(m.after(a + b)) + a

    model = seeded(lambda: Form(add, wide=nn.Conv2d(4, 4, 1), after=nn.Conv2d(4, 4, 1)))
    report = approaches(model)
    largest = [layer.threshold_max for layer in report.layers]
    assert max(largest) > 2 * min(largest)


def test_in_place_relu_that_overwrites_the_residual() -> None:
    """``relu_(x)`` overwrites x: what is added later is rectified too."""
    model = seeded(
        lambda: Form(lambda m, x: F.relu(m.body(F.relu(x, inplace=True))) - 0.5 * x, body=nn.Conv2d(4, 4, 1))
    )
    plain = seeded(lambda: Form(lambda m, x: F.relu(m.body(F.relu(x))) - 0.5 * x, body=nn.Conv2d(4, 4, 1)))
    assert not torch.allclose(model(X), plain(X))
    approaches(model)


@pytest.mark.parametrize("written", ["module", "function"])
def test_dropout_left_in_train_mode(written: str) -> None:
    """Conversion works on a copy in eval mode, whatever mode the model is in, and leaves that mode alone."""
    function = (
        (lambda m, x: m.drop(F.relu(x)))
        if written == "module"
        else (lambda m, x: F.dropout(F.relu(x), 0.5, m.training))
    )
    model = seeded(lambda: Form(function, drop=nn.Dropout(0.5)))
    wanted = model(X).detach()
    model.train()
    network, report = convert(model, X, timesteps=512, threshold="max", calibrate=())
    assert model.training and model.drop.training and report.folding_error < 1e-6  # type: ignore[union-attr]
    assert float((network(X).detach() - wanted).abs().max()) < 0.02 * float(wanted.abs().max())


def test_model_in_train_mode_while_it_is_observed() -> None:
    """Batch statistics are neither used nor changed."""
    model = seeded(lambda: Form(lambda m, x: F.relu(m.norm(x)), norm=nn.BatchNorm2d(4)))
    evaluated, _ = convert(model, X, timesteps=8)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trained, _ = convert(model.train(), X, timesteps=8)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(trained(X), evaluated(X))


def test_batches_of_other_sizes_share_no_state() -> None:
    model = seeded(lambda: Form(lambda m, x: F.relu(x)))
    for how in ({}, {"exact": True}):
        network, _ = convert(model, X, timesteps=6, **how)  # type: ignore[arg-type]
        whole = network(X)
        parts = [network(X[:7]), network(X[7:8]), network(X[8:])]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network(X[:7]), parts[0], rtol=0, atol=0)


def test_half_precision_potentials_do_not_drift() -> None:
    """Potentials are kept in float32: 8000 steps of float16 currents count as they do in float32."""
    network = Network(IF(initial={"v": 0.5}), encoder=Constant(8000))
    x = torch.linspace(0.001, 0.9, 64).half().reshape(1, -1)
    counted = network(x).sum(0, dtype=torch.float32)
    exact = (x.double() * 8000 + 0.5).floor()
    assert float((counted - exact).abs().max()) <= 1
    v, half = torch.full_like(x, 0.5), torch.zeros(x.shape)
    for _ in range(8000):
        v = v + x
        half += (v >= 1).float()
        v = v - (v >= 1).half()
    assert float((half - exact).abs().max()) > 1  # what it would be
    with pytest.raises(ConversionError, match=r"potentials need float32: call model.float"):
        convert(seeded(lambda: Form(lambda m, x: F.relu(x))).half(), X, timesteps=4)


def test_stochastic_depth_is_the_whole_network_at_inference() -> None:
    class Drop(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not self.training:
                return x
            return x * (torch.rand(x.shape[0], 1, 1, 1) < 0.8) / 0.8

    def block(m: Any, x: Tensor) -> Tensor:
        x = F.relu(x)
        return x + m.drop(F.relu(m.body(x)))

    model = seeded(lambda: Form(block, body=nn.Conv2d(4, 4, 3, padding=1), drop=Drop())).train()
    network, _ = convert(model, X, timesteps=512, threshold="max", calibrate=())
    wanted = model.eval()(X).detach()
    assert float((network(X).detach() - wanted).abs().max()) < 0.02 * float(wanted.abs().max())

    def always(m: Any, x: Tensor) -> Tensor:
        return F.relu(x) * (torch.rand(x.shape[0], 1, 1, 1) < 0.8)

    with pytest.raises(ConversionError):
        convert(Form(always), X, timesteps=4)


POOLS = {
    "adaptive average": nn.AdaptiveAvgPool2d((3, 2)),
    "adaptive average, one axis as it is": nn.AdaptiveAvgPool2d((None, 3)),
    "adaptive maximum": nn.AdaptiveMaxPool2d(3),
    "ceil mode, average": nn.AvgPool2d(3, 2, ceil_mode=True),
    "ceil mode, maximum": nn.MaxPool2d(3, 2, ceil_mode=True),
    "ceil mode, padding in": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=True),
    "padding counts": nn.AvgPool2d(3, 2, 1, count_include_pad=True),
    "padding does not count": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "divisor of its own": nn.AvgPool2d(3, 2, 1, divisor_override=5),
}


@pytest.mark.parametrize("name", POOLS)
def test_pools(name: str) -> None:
    """Adaptive pools, ceil_mode and count_include_pad, between two layers, so that scales go through them."""
    model = seeded(
        lambda: Form(lambda m, x: F.relu(m.after(m.pool(F.relu(x)))), pool=POOLS[name], after=nn.Conv2d(4, 4, 2))
    )
    approaches(model)


# Bad calibration data, control flow, and wrappers: a clear error, or a remedy that is stated


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (X[:0], "no sample"),
        (X * float("nan"), "NaN"),
        (X * 0, "all 24 calibration samples are zero"),
        ([X, torch.rand(3, 1, 9, 9)], "bring all samples to one shape"),
        (torch.tensor(1.0), "no sample"),
        ([torch.tensor(1.0)], "without a batch axis"),
    ],
)
def test_bad_calibration_data(data: Any, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        convert(seeded(lambda: Form(lambda m, x: F.relu(x))), data, timesteps=4)


def test_calibration_data_of_a_wrong_shape() -> None:
    with pytest.raises(ConversionError, match=r"'conv' got shapes .* Give an example of the shape"):
        convert(seeded(lambda: Form(lambda m, x: F.relu(x))), torch.rand(4, 3, 8, 8), timesteps=4)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: F.relu(x) if x.max() > 0.5 else x,
        lambda m, x: F.relu(x) * float(x.mean()),
        lambda m, x: sum(F.relu(x) for _ in range(int(x.sum()))),
    ],
)
def test_control_flow_on_data(function: Callable[[Any, Tensor], Tensor]) -> None:
    with pytest.raises(ConversionError, match=r"test_failure_list.py, line \d+"):
        convert(Form(function), X, timesteps=4)


def test_wrapped_models_are_unwrapped() -> None:
    model = seeded(lambda: Form(lambda m, x: F.relu(x)))
    network, _ = convert(model, X, timesteps=4)
    for wrapped in (torch.compile(model), nn.DataParallel(model), nn.DataParallel(torch.compile(model))):
        assert torch.equal(convert(wrapped, X, timesteps=4).network(X), network(X))  # type: ignore[arg-type]
        assert audit(wrapped, X).model == "Form"  # type: ignore[arg-type]


def test_models_without_operations_or_weights_are_refused() -> None:
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    scripted = (torch.jit.script(plain), torch.jit.trace(plain, X), nn.Sequential(torch.jit.script(plain)))
    for model in scripted:
        for call in (lambda m: convert(m, X, timesteps=2), lambda m: audit(m, X)):
            with pytest.raises(ConversionError, match=r"TorchScript.*before torch\.jit"):
                call(model)
    with pytest.raises(ConversionError, match=r"'0.weight', '0.bias' are on the meta device; .*load a state dict"):
        convert(nn.Sequential(nn.Conv2d(1, 2, 3, device="meta"), nn.ReLU()), X, timesteps=2)
    with pytest.raises(ConversionError, match=r"expected a torch.nn.Module"):
        audit({"weight": X}, X)  # type: ignore[arg-type]


def test_every_relu_of_the_canonical_form_is_a_rectifier() -> None:
    model = seeded(lambda: Form(lambda m, x: F.relu6(x.relu()).clamp(0, 2)))
    graph = canonicalise(model, X).graph
    assert sum(isinstance(part, Rectifier) for part in graph.children()) == 3
