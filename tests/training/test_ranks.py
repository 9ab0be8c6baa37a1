"""Several processes train one network: as one process with the larger batch, and as exactly resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from spikesim.cli import main
from spikesim.datasets import EventBatch
from spikesim.errors import CheckpointError, ConfigError, DatasetError, DivergenceError
from spikesim.training import EventDataModule, SpikingClassifier, TrainConfig, classifier, resume, train
from spikesim.training.metrics_csv import read_metrics
from spikesim.training.ranks import check_ranks, own_threads

_NETS = """
import os, time
from torch import nn
from spikesim.neurons import LIF
from spikesim.nn import HeldDropout, Mean, Network

def plain(*more):
    layers = nn.Sequential(nn.Flatten(), nn.Linear(2312, 10), LIF(threshold=0.2), *more, nn.Linear(10, 10))
    return Network(layers, readout=Mean())

def dropping():
    network = plain(HeldDropout(0.5))
    network.register_forward_pre_hook(lambda module, x: time.sleep(float(os.environ.get("SLOW", "0"))))
    return network

def breaking():
    network = plain()
    if os.environ.get("RANK") == "1":
        spoil = lambda module, args, y: y * float("nan") if module.training else y
        network.module[3].register_forward_hook(spoil)
    return network
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "rank_nets.py").write_text(_NETS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def pair(tiny, nets):
    """Two processes; 33 training recordings, which 2 x 5 does not divide, nor 2 the last batch."""
    return tiny.but(
        model="rank_nets:plain", devices=2, strategy="ddp", batch_size=5, epochs=2, optimizer="sgd", lr=0.05,
        val_fraction=0.32, width=32,
    )  # fmt: skip


def _weights(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def _rows(folder):
    return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in read_metrics(folder / "metrics.csv")]


def _result(folder):
    return json.loads((folder / "result.json").read_text())


def _flags(config):
    words = [str(config.data)]
    for name in ("out", "timesteps", *config.changed(), "model", "epochs", "batch_size"):
        words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    return words


def _same_run(one, other):
    mine, theirs = _weights(one), _weights(other)
    assert all(torch.allclose(mine[name], value, rtol=0, atol=1e-5) for name, value in theirs.items())
    for row, wanted in zip(_rows(one), _rows(other), strict=True):
        assert row == pytest.approx(wanted, rel=1e-4)
    for name in ("samples", "test_accuracy", "confusion", "accuracy_at"):
        assert _result(one)[name] == _result(other)[name]
    assert _result(one)["test_loss"] == pytest.approx(_result(other)["test_loss"], rel=1e-5)
    assert _result(one)["rates"] == pytest.approx(_result(other)["rates"])


def test_two_processes_equal_one_with_the_double_batch(pair, tmp_path):
    alone = train(pair.but(devices=1, strategy=None, batch_size=10, out=tmp_path / "alone"))
    assert alone.samples["training"] % 2 == 1
    first, last = _rows(alone.folder)
    assert abs(first["train_loss"] - last["train_loss"]) > 1e-2  # it learnt something
    both = train(pair)
    assert both.samples == alone.samples
    _same_run(both.folder, alone.folder)
    assert "--devices 2 --strategy ddp" in (both.folder / "README.md").read_text()


def test_torchrun_gives_the_gradient_of_one_process(pair, tmp_path):
    # One step with a rate of 1: the weights differ by what the gradients differ by, times 1.9 by Nesterov's rule.
    # Found online: what other tests here train goes back through time.
    pair = pair.but(batch_size=17, epochs=1, lr=1.0, rule="ottt")
    alone = train(pair.but(devices=1, strategy=None, batch_size=34, out=tmp_path / "alone"))
    out = tmp_path / "torchrun"
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "spikesim.cli", "train"]
    done = subprocess.run([*launch, *_flags(pair.but(out=out))], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy") == 1 and done.stderr.count("epoch   1/1") == 1
    _same_run(out, alone.folder)


def test_killed_and_resumed_equals_unbroken(pair, tmp_path):
    pair = pair.but(model="rank_nets:dropping")
    whole = train(pair.but(out=tmp_path / "whole"))
    words = [sys.executable, "-m", "spikesim.cli", "train", *_flags(pair)]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env={**os.environ, "SLOW": "0.5"}
    )
    deadline = time.monotonic() + 200
    while not (pair.out / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    # The pipes end when the last of the processes that it started has ended.
    process.communicate(timeout=100)
    assert len(_rows(pair.out)) == 1
    assert resume(pair.out).test_accuracy == whole.test_accuracy
    assert _rows(pair.out) == _rows(whole.folder)
    mine, theirs = _weights(pair.out), _weights(whole.folder)
    assert all(torch.equal(mine[name], value) for name, value in theirs.items())
    kept = torch.load(pair.out / "checkpoints" / "last.ckpt", weights_only=True)["spikesim"]["random"]["ranks"]
    assert not torch.equal(kept[0]["cpu"], kept[1]["cpu"])  # no two processes drop the same neurons

    (pair.out / "result.json").unlink()
    config = json.loads((pair.out / "config.json").read_text()) | {"devices": 1, "strategy": None, "epochs": 3}
    (pair.out / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="trained by 2 processes, but 1 continue it"):
        resume(pair.out)


def test_a_loss_that_is_nan_on_one_process_ends_all_and_comes_out_as_it_was(pair, capsys):
    with pytest.raises(SystemExit) as done:
        main(["train", *_flags(pair.but(model="rank_nets:breaking"))])
    said = capsys.readouterr().err
    assert done.value.code == 1 and "error: the loss became nan in epoch 1, batch 1" in said
    kept = torch.load(pair.out / "diverged.ckpt", weights_only=True)["batch"]
    assert len(kept["y"]) == 5 and str(pair.out / "diverged.ckpt") in said


def test_processes_with_a_finite_loss_stop_with_the_one_that_has_none(monkeypatch):
    from spikesim.models import spiking_mlp

    learner = SpikingClassifier(spiking_mlp(8, 3, hidden=4), 3)
    learner._trainer = SimpleNamespace(world_size=2, current_epoch=0)
    monkeypatch.setattr(classifier, "summed", lambda told: told + torch.tensor([2, 1]))
    monkeypatch.setattr(classifier, "gathered", lambda mine: [mine, "the loss became nan there"])
    batch = EventBatch(torch.zeros(2, 2, 2, 2, 2), torch.tensor([2, 2]), None, torch.tensor([0, 1]))
    with pytest.raises(DivergenceError, match="the loss became nan there"):
        learner.training_step(batch, 0)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"devices": 2}, "devices is 2, but strategy does not say"),
        ({"devices": 0}, "devices: given 0"),
        ({"strategy": "dp"}, "strategy: given 'dp'"),
        ({"sync_batchnorm": True}, "sync_batchnorm means nothing for one device"),
        ({"strategy": "fsdp", "device": "cpu"}, "fsdp shares out weights over GPUs"),
        ({"strategy": "fsdp", "ema": 0.9, "clip": 1.0}, "ema, clip cannot be had with strategy 'fsdp'"),
    ],
)
def test_settings_that_do_not_go_together_are_named(wrong, match):
    with pytest.raises(ConfigError, match=match):
        TrainConfig(data="d", **wrong)


def test_settings_that_do_not_fit_the_machine_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="'fsdp', which shares out the weights over GPUs"):
        check_ranks(TrainConfig(data="d", strategy="fsdp"))
    with pytest.raises(ConfigError, match="sync_batchnorm needs a GPU"):
        check_ranks(TrainConfig(data="d", strategy="ddp", devices=2, sync_batchnorm=True))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="devices is 3, but torch finds 2 GPUs"):
        check_ranks(TrainConfig(data="d", strategy="ddp", devices=3))


def test_settings_that_do_not_fit_torchrun_are_named(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": 1, "WORLD_SIZE": 4, "LOCAL_RANK": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"strategy does not say how they share .* --devices 2 --strategy ddp"):
        check_ranks(TrainConfig(data="d", device="cpu"))
    with pytest.raises(ConfigError, match="started 2 processes on this machine, but devices is 3"):
        check_ranks(TrainConfig(data="d", device="cpu", devices=3, strategy="ddp"))
    config = TrainConfig(data="d", device="cpu", devices=2, strategy="ddp")
    check_ranks(config)
    assert own_threads(config.but(threads=7)) == 7
    assert own_threads(config) == max(1, os.cpu_count() // 2)


def test_more_processes_than_recordings_are_named(tiny):
    data = EventDataModule(tiny)
    data.setup()
    data.refuse_few(12)
    with pytest.raises(DatasetError, match=r"the validation part of .* has 12 recordings, but 13 processes"):
        data.refuse_few(13)
