"""What would make a comparison unfair is said or refused."""

import json
import warnings

import pytest
import torch
from torch import nn

from spikesim.converters import convert, early_exit, fold_batchnorm, measure
from spikesim.energy import Ledger, Measured, energy_budget, energy_diff, energy_report, relu_twin
from spikesim.errors import ConfigError, LedgerError
from spikesim.neurons import IF, LIF
from spikesim.nn import PSN, Constant, Mean, Network


@pytest.fixture(scope="module")
def converted():
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)]
    model, x = nn.Sequential(*body).eval(), torch.rand(16, 1, 8, 8)
    return model, convert(model, x, timesteps=4).network, x


def test_batch_norms_of_the_ann_alone_are_named_with_a_remedy(converted):
    model, network, x = converted
    unfair, fair = (energy_report(network, x, input="analog", ann=ann) for ann in (model, fold_batchnorm(model, x)))
    assert unfair.dense_ann > fair.dense_ann
    assert "charged for batch-norms that the network does not have (1)" in unfair.verdict
    assert "ann=spikesim.converters.fold_batchnorm(model, x)" in unfair.verdict
    assert "batch-norms" in unfair.sentence and "batch-norm" not in fair.verdict + fair.sentence


def test_batch_norms_on_both_sides_are_fair():
    layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), IF(), nn.Linear(8, 2))
    report = energy_report(Network(layers, encoder=Constant(4)), torch.rand(3, 4), input="analog")
    assert "batch-norm" not in report.verdict


def test_measure_folds_the_ann_as_convert_does(converted):
    model, network, x = converted
    data = (x, model(x).argmax(1))
    evaluated = convert(model, x, timesteps=4, evaluate=data).report.accuracy
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(network, data, model)
    assert found.ann == evaluated.ann == 1.0
    assert found.expense.ann == pytest.approx(evaluated.expense.ann)
    assert found.expense.ann_zero_skipping == pytest.approx(evaluated.expense.ann_zero_skipping, rel=1e-3)


def test_measure_says_where_it_cannot_fold(converted):
    class Branching(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    model, network, x = converted
    with pytest.warns(UserWarning, match="batch-norms of the ANN cannot be folded and are charged"):
        found = measure(network, (x, model(x).argmax(1)), Branching(*model))
    assert found.expense.ann > measure(network, (x, model(x).argmax(1)), model).expense.ann


@pytest.mark.parametrize("neuron", [LIF, lambda: PSN(4)])
def test_a_spiking_network_is_no_ann(neuron):
    layers = nn.Sequential(nn.Linear(4, 8), neuron(), nn.Linear(8, 2))
    network = Network(nn.Sequential(nn.Linear(4, 8), IF(), nn.Linear(8, 2)), encoder=Constant(4))
    for ann in (Network(layers, encoder=Constant(4)), layers):
        with pytest.raises(LedgerError, match="it is a spiking network and no baseline without spikes"):
            energy_report(network, torch.rand(3, 4), input="analog", ann=ann)
    twin = energy_report(network, torch.rand(3, 4), input="analog", ann=relu_twin(network))
    assert twin.dense_ann > 0


def test_an_early_exit_is_told_where_it_is_measured():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)), torch.rand(32, 4)
    quick = early_exit(convert(model, x, timesteps=4).network, x, 0.9)
    with pytest.raises(LedgerError, match=r"runs a spikesim\.nn\.Network .*converters\.measure_early") as refused:
        energy_report(quick, x, input="analog")
    assert "wrap it" not in str(refused.value)
    assert energy_report(quick.whole(), x, input="analog").energy > 0


@pytest.mark.parametrize("found", [(0.9, 12.5), (1e-9, 87.3), (-1e-9, 0.9), (1e-9, -0.1)])
def test_measurements_of_a_budget_that_cannot_be_right(found):
    with pytest.raises(ConfigError, match="an accuracy as a fraction of 1: divide percents"):
        energy_budget(
            1.0, [1], fit=lambda setting: setting, measure=lambda _: Measured(energy=found[0], accuracy=found[1])
        )


def test_a_sample_without_a_real_step_is_no_inference():
    network, x = Network(nn.Sequential(nn.Linear(6, 3), IF())), torch.rand(4, 2, 6)
    mask = torch.tensor([[True, False]] * 4)
    with pytest.raises(LedgerError, match="some samples without a real step"):
        energy_report(network, x, input="analog", mask=mask)
    assert energy_report(network, x[:, :1], input="analog", mask=mask[:, :1]).energy > 0


def test_a_damaged_constant_is_named_without_the_words_of_a_library(tmp_path):
    path = energy_report(nn.Linear(8, 2), torch.ones(1, 8), input="analog").save(tmp_path / "r.json")
    content = json.loads(path.read_text())
    content["profile"]["constants"]["mac"]["value"] = "cheap"
    path.write_text(json.dumps(content))
    with pytest.raises(
        ConfigError, match=r"r\.json is a damaged report \(profile\.constants\.mac\.value = 'cheap': "
    ) as e:
        energy_diff(path, path)
    assert "pydantic" not in str(e.value) and "http" not in str(e.value) and "\n" not in str(e.value)


def test_only_connections_that_are_there_count_on_both_sides():
    network = Network(nn.Sequential(nn.Linear(4, 8), IF(), nn.Linear(8, 2)), encoder=Constant(4), readout=Mean())
    with torch.no_grad():
        network.module[0].weight[:4] = 0
    whole, pruned = (
        energy_report(network, torch.ones(3, 4), input="analog", connections=which) for which in ("all", "nonzero")
    )
    for a, b in ((whole.ledger, pruned.ledger), (whole.ann_ledger, pruned.ann_ledger)):
        assert b["0"]["mac_dense"] == a["0"]["mac_dense"] / 2
        assert b.connections == "nonzero"
    assert Ledger.record(network, torch.ones(3, 4), input="analog", connections="nonzero").total() == (
        pruned.ledger.total()
    )
