"""Readouts: what each gives, beside a loop over the steps; how they go with neurons, exits and files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from spikesim.converters import EarlyExit, convert, early_exit, load_converted
from spikesim.converters.prepare import prepare
from spikesim.converters.readouts import counted, parse_readout, settling_delay
from spikesim.errors import CheckpointError, ConfigError
from spikesim.nn import Count


@pytest.fixture(scope="module")
def task() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 3, bias=False)).eval()
    return model, torch.rand(64, 1, 10, 10)


def test_a_count_is_the_number_of_spikes_behind_the_outputs(task) -> None:  # type: ignore[no-untyped-def]
    model, x = task
    network, report = convert(model, x, timesteps=16, readout="count")
    outputs = network.unread(x)
    assert set(outputs.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(network(x), outputs.sum(0))
    assert report.readout == "count" and report.layers[-1].name == "readout"
    # Ties apart, the counts decide as the ANN does.
    agree = network(x).argmax(1) == model(x).argmax(1)
    assert agree.float().mean() > 0.85


def test_the_shift_of_a_count_changes_no_decision(task) -> None:  # type: ignore[no-untyped-def]
    model, x = task
    ready = prepare(model, x)
    more, name = counted(ready)
    logits, shifted = model(x), more.ann(x)
    second = logits.topk(2, 1).values[:, 1]
    above = second >= second.quantile(0.02)
    assert torch.equal(shifted[above].argmax(1), logits[above].argmax(1))
    torch.testing.assert_close(
        shifted[above].topk(2, 1).values.diff(dim=1), logits[above].topk(2, 1).values.diff(dim=1), rtol=1e-4, atol=1e-5
    )
    assert name in more.seen.histograms and name not in ready.seen.histograms
    assert name not in [node.name for node in ready.ann.graph.nodes]  # the prepared network is as it was


def test_exact_counts_are_the_quantised_outputs(task) -> None:  # type: ignore[no-untyped-def]
    model, x = task
    network, report = convert(model, x, timesteps=8, readout="count", exact=True)
    assert report.certificate is not None and report.certificate.exact
    assert isinstance(network.readout, Count)
    assert torch.equal(network(x), network(x).round()) and network(x).max() <= 8


@pytest.mark.parametrize(("readout", "wait"), [("delayed(3)", 3), ("delayed(0)", 0)])
def test_a_delayed_mean_leaves_the_first_steps_out(task, readout: str, wait: int) -> None:  # type: ignore[no-untyped-def]
    model, x = task
    network, report = convert(model, x, timesteps=5, readout=readout)
    outputs = network.unread(x)
    assert len(outputs) == 5 + wait == report.latency.steps and report.wait == wait
    torch.testing.assert_close(network(x), outputs[wait:].mean(0))


def test_the_delay_that_is_found_is_when_the_first_spikes_arrive() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Linear(1, 1, bias=False), nn.ReLU())
    nn.init.constant_(model[1].weight, 0.5)  # type: ignore[arg-type]
    ready = prepare(model, torch.ones(4, 1))
    # Activations of 1/4 and 1/16 thresholds reach one half in 2 and 8 steps, one after the other.
    worth = {"relu_0": torch.tensor([4.0]), "relu_2": torch.tensor([8.0])}
    assert settling_delay(ready.ann, ready.seen, worth) == 10
    assert convert(model, torch.ones(4, 1), timesteps=4, readout="delayed").report.readout == "delayed(1)"


@pytest.mark.parametrize("neuron", ["st_bif", "multi_threshold", "parallel", "srp"])
def test_neurons_that_count_from_the_start_refuse_a_delay(task, neuron: str) -> None:  # type: ignore[no-untyped-def]
    model, x = task
    with pytest.raises(ConfigError, match="counts its spikes from its first step on"):
        convert(model, x, timesteps=4, readout="delayed(2)", neuron=neuron)


@pytest.mark.parametrize("spec", ["rate", "delayed(-1)", "delayed(x)", "count(2)", "", None, 3])
def test_unknown_readouts_are_refused(spec: object) -> None:
    with pytest.raises(ConfigError, match="expected 'membrane', 'count'"):
        parse_readout(spec)  # type: ignore[arg-type]


def test_outputs_that_are_no_classes_cannot_be_counted(task) -> None:  # type: ignore[no-untyped-def]
    model, x = task
    for last in (nn.Sequential(*list(model)[:-2]), nn.Sequential(*model, nn.Linear(3, 1))):
        with pytest.raises(ConfigError, match="decides between classes"):
            convert(last, x, timesteps=4, readout="count")


@pytest.mark.parametrize("readout", ["membrane", "count", "delayed(2)"])
@pytest.mark.parametrize("neuron", ["if", "burst"])
def test_early_exits_and_files_go_with_every_readout(task, tmp_path: Path, readout: str, neuron: str) -> None:  # type: ignore[no-untyped-def]
    model, x = task
    done = convert(model, x, timesteps=8, readout=readout, neuron=neuron)
    wait = done.report.wait
    quick = early_exit(done.network, x, agreement=0.9)
    got, outputs = quick(x), done.network.unread(x)
    assert len(quick.margins) == 8 and int(quick.steps.min()) > wait  # type: ignore[arg-type]
    for row in range(len(x)):
        taken = int(quick.steps[row])
        torch.testing.assert_close(got[row], outputs[wait:taken, row].mean(0), rtol=1e-5, atol=1e-5)
    done.save(tmp_path)
    quick.save(tmp_path / "exit.json")
    again = load_converted(tmp_path)
    assert torch.equal(again.network(x), done.network(x)) and type(again.network.readout) is type(done.network.readout)
    torch.testing.assert_close(EarlyExit.load(tmp_path / "exit.json", again.network)(x), got)


def test_margins_of_others_are_refused(task, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model, x = task
    network = convert(model, x, timesteps=4).network
    path = tmp_path / "exit.json"
    texts = ("{", "{}", '{"schema_version": 2, "margins": []}', '{"schema_version": 1, "margins": [1.0]}', "[1]")
    for text in texts:
        path.write_text(text)
        with pytest.raises(CheckpointError, match="holds no margins for this network"):
            EarlyExit.load(path, network)
    with pytest.raises(CheckpointError, match="holds no margins"):
        EarlyExit.load(tmp_path / "none.json", network)


def test_max_pools_keep_the_identity_when_steps_are_left_out(task) -> None:  # type: ignore[no-untyped-def]
    model, x = task
    report = convert(model, x, timesteps=8, readout="delayed(3)").report
    assert all(layer.identity_error < 1e-5 for layer in report.layers)
