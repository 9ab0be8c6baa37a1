"""Transformers end to end: every spelling, a ViT and a decoder; exactness, artefacts, energy, refusals."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from oracles.telescoping import quantised, worths_of
from oracles.transformer_networks import spellings
from torch import Tensor, nn

from spikesim.converters import ConversionReport, Verdict, audit, convert, load_converted
from spikesim.converters.analog import ANALOG
from spikesim.converters.canonical import canonicalise
from spikesim.converters.telescoping import Increment, RunningMean
from spikesim.energy import Ledger
from spikesim.errors import ConfigError, ConversionError
from spikesim.models import decoder, vit

CASES = spellings()


def small_vit() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return vit(size=8, width=0.0625, depth=1).eval(), torch.rand(8, 3, 8, 8)


def small_decoder() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return decoder(tokens=11, length=8, features=8, depth=1, heads=2).eval(), torch.randint(0, 11, (8, 6))


MODELS = {"vit": small_vit, "decoder": small_decoder}


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_every_spelling_is_exact(name: str) -> None:
    model, x = copy.deepcopy(CASES[name]).eval(), torch.rand(8, 1, 4, 4)
    found = canonicalise(model, x[:1])
    assert not found.unsupported, found.unsupported
    torch.testing.assert_close(found.graph(x), model(x), rtol=1e-4, atol=1e-5)
    network, report = convert(model, x, timesteps=3, exact=True)
    assert report.certificate is not None and report.certificate.exact, report.certificate
    assert max(layer.identity_error for layer in report.layers) < 1e-4
    assert torch.linalg.norm(network(x) - model(x)) < 0.2 * torch.linalg.norm(model(x))


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_exact_is_the_model_with_levels_before_its_layers(name: str) -> None:
    """Against the model as written, hooked, in double precision: nothing of the converter is shared."""
    model, x = MODELS[name]()
    model = model.double()
    x = x.double() if x.is_floating_point() else x
    network, report = convert(model, x, timesteps=4, exact=True, calibrate=())
    assert report.certificate is not None and report.certificate.difference < 1e-5, report.certificate
    found: Any = worths_of(network.module)  # type: ignore[arg-type]
    layers = [layer for layer, module in model.named_modules() if isinstance(module, nn.Linear)]
    wanted = quantised(copy.deepcopy(model), {layer: found[layer.replace(".", "_")] for layer in layers}, 4, 60)
    assert (network(x) - wanted(x)).abs().max() < 1e-5
    assert (wanted(x) - model(x)).abs().max() > 1e-4  # the levels show


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_errors_fall_with_time(name: str) -> None:
    model, x = MODELS[name]()
    wanted, errors = model(x), []
    for timesteps in (1, 4, 16):
        network, report = convert(model, x, timesteps=timesteps)
        assert report.hoisted and report.neuron == "signed multi_threshold(4)"
        assert max(layer.identity_error for layer in report.layers) < 1e-4
        errors.append(float(torch.linalg.norm(network(x) - wanted) / torch.linalg.norm(wanted)))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.01 and errors[0] < 0.1


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("exact", [False, True])
@torch.no_grad()
def test_artefacts_keep_transformers(name: str, exact: bool, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model, x = MODELS[name]()
    done = convert(model, x, timesteps=2, exact=exact)
    done.save(tmp_path)
    again = load_converted(tmp_path)
    assert torch.equal(again.network(x), done.network(x)) and again.report == done.report


@torch.no_grad()
def test_what_stays_analog_is_said() -> None:
    model, x = small_vit()
    found = audit(model, x[:1])
    analog = [row.op for row in found.rows if row.verdict is Verdict.ANALOG]
    assert found.convertible and len(analog) == 4 + 1
    assert all("analog" in row.detail and "priced" in row.detail for row in found.rows if row.verdict is Verdict.ANALOG)
    report = convert(model, x, timesteps=2).report
    assert len(report.proof.analog_nonlinearities) == 5
    assert all(name.split()[0] in str(report.layer_table().caption) for name in report.proof.analog_nonlinearities)
    assert "ANALOG, on running means" in str(report.layer_table().caption)
    assert ConversionReport.from_json(report.to_json()) == report
    assert all(layer.kind == "TallyIF" for layer in report.layers) and report.spiking_layers == 4 + 1


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_energy_counts_spikes_macs_and_what_it_cannot_price(name: str) -> None:
    model, x = MODELS[name]()
    network = convert(model, x, timesteps=4).network
    ledger = Ledger.record(network, x[:2], input="analog")
    layers = [n for n in ledger.layers if n.endswith("conv1d") or n == "head"]
    assert layers
    for layer in layers:
        assert ledger.layers[layer]["synops_multibit"] > 0 and ledger.layers[layer]["mac_dense"] == 0
    attention = [n for n in ledger.layers if n.startswith("scaled_dot_product_attention") and n[-1] != "_"]
    length = 6 if name == "decoder" else 5
    width, heads = (8, 2) if name == "decoder" else (12, 3)
    pure = [n for n in attention if ledger.layers[n]["mac_dense"]]
    assert len(pure) == 1
    for layer in pure:  # two products of L x L x features, for 2 samples and 4 steps
        assert ledger.layers[layer]["mac_dense"] == 2 * 2 * 4 * length * length * width
    operations = {operation for _, operation in ledger.unpriced}
    assert operations == {"native_layer_norm", "_safe_softmax", "gelu"}
    exponentials = sum(v for (_, operation), v in ledger.unpriced.items() if operation == "_safe_softmax")
    assert exponentials == 2 * 4 * heads * length * length  # samples, steps
    assert ledger["norm"]["op_mul"] > 0


def test_relus_between_tokens_have_thresholds_per_feature() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    x = torch.rand(16, 5, 4)
    network, report = convert(model, x, timesteps=8, exact=True)
    assert report.layers[0].shape == (6, 5) and report.certificate is not None and report.certificate.exact
    assert network(x).shape == (16, 5, 3) and report.proof.analog_nonlinearities == []


def test_neurons_of_either_sign() -> None:
    model, x = small_vit()
    assert convert(model, x, timesteps=2, neuron="burst").report.neuron == "signed multi_threshold(4)"
    assert convert(model, x, timesteps=2, neuron="st_bif(3)").report.threshold == "mse(3 levels)"
    mixed = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.LayerNorm(6), nn.Linear(6, 2))
    assert convert(mixed, torch.rand(8, 4), timesteps=2).report.neuron == "if, signed multi_threshold(4)"
    for ann, given in ((model, x), (mixed, torch.rand(8, 4))):
        with pytest.raises(ConfigError, match="first 4 steps do not count"):
            convert(ann, given, timesteps=2, neuron="srp")


class Refused(nn.Module):
    def __init__(self, layer: nn.Module, **given: object) -> None:
        super().__init__()
        self.layer, self.given = layer, given

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x, x, x, **self.given)
        return out[1] if self.given.get("need_weights") else out[0]


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (Refused(nn.MultiheadAttention(4, 2)), "batch_first=False"),
        (Refused(nn.MultiheadAttention(4, 2, batch_first=True), need_weights=True), "need_weights=False"),
        (Refused(nn.MultiheadAttention(4, 2, add_bias_kv=True, batch_first=True)), "add_bias_kv"),
    ],
)
def test_refusals_name_the_remedy(model: nn.Module, part: str) -> None:
    with pytest.raises(ConversionError, match=part):
        convert(model, torch.rand(4, 3, 4), timesteps=2)


def test_tokens_beyond_the_table() -> None:
    model, _ = small_decoder()
    with pytest.raises((ConversionError, IndexError)):
        convert(model, torch.full((2, 6), 99), timesteps=2)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_functions_in_the_network_are_exact_in_the_mean(name: str) -> None:
    """After every step, what a function has handed on is that function of the mean that it was given."""
    model, x = MODELS[name]()
    network = convert(model, x, timesteps=5).network
    graph: Any = network.module
    sent: dict[Any, Tensor] = {}

    class Watch(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            sent[n] = super().run_node(n)
            return sent[n]

    graph.forward = Watch(graph).run
    network(x)
    checked = 0
    modules = {n: graph.get_submodule(n.target) for n in graph.graph.nodes if n.op == "call_module"}
    for node in (n for n, module in modules.items() if isinstance(module, Increment)):
        path = [node.args[0]]  # from the difference back to the function, past views
        while not isinstance(modules[path[0]], ANALOG):
            path.insert(0, path[0].args[0])
        means = path[0].all_input_nodes
        if not all(isinstance(modules.get(mean), RunningMean) for mean in means):
            continue
        given = [sent[mean.args[0]].unflatten(0, (5, -1)) for mean in means]
        for t in range(1, 6):
            wanted = modules[path[0]](*(steps[:t].mean(0) for steps in given))
            for view in path[1:]:
                wanted = modules[view](wanted)
            torch.testing.assert_close(sent[node].unflatten(0, (5, -1))[:t].mean(0), wanted, atol=1e-4, rtol=1e-3)
        checked += 1
    assert checked > 3


@pytest.mark.parametrize("stages", ["weights", "scale,bias", "bias,potential", "none"])
@torch.no_grad()
def test_calibration_goes_through_functions(stages: str) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 2)), torch.rand(16, 4)
    network, report = convert(model, x, timesteps=2, calibrate=stages)
    assert torch.linalg.norm(network(x) - model(x)) < 0.1 * torch.linalg.norm(model(x))
    assert max(layer.identity_error for layer in report.layers) < 1e-4


@torch.no_grad()
def test_differential_coding_of_either_sign(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """DCGS: changes of rates between neurons, rates around functions."""
    model, x = small_vit()
    wanted, errors = model(x), []
    for timesteps in (2, 8, 24):
        done = convert(model, x, timesteps=timesteps, neuron="differential(6)")
        assert done.report.neuron == "signed differential(6)"
        assert max(layer.identity_error for layer in done.report.layers) < 1e-4
        errors.append(float(torch.linalg.norm(done.network(x) - wanted) / torch.linalg.norm(wanted)))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.01
    done.save(tmp_path)
    assert torch.equal(load_converted(tmp_path).network(x), done.network(x))


def test_a_whole_vit_tiny_has_a_clean_audit() -> None:
    found = audit(vit(), torch.rand(1, 3, 32, 32))
    assert found.convertible and sum(row.verdict is Verdict.ANALOG for row in found.rows) == 12 * 4 + 1
