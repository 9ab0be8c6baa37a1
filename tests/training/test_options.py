"""Every option of a run: what it does, that it resumes exactly, and what is refused."""

import json
import logging

import pytest
import torch

from spikesim.cli import main
from spikesim.errors import ConfigError
from spikesim.models import conv_snn
from spikesim.nn import Count, Last, Max, Mean
from spikesim.training import CountMSE, CrossEntropy, StepCrossEntropy, TrainConfig, read_config, resume, train
from spikesim.training.assemble import loss_of
from spikesim.training.metrics_csv import read_metrics
from spikesim.training.rate_watch import advise
from spikesim.training.record import command

EVERYTHING = {
    "loss": "step", "label_smoothing": 0.1, "rate_penalty": 0.1, "rate_low": 0.01, "synop_penalty": 0.01,
    "optimizer": "sgd", "lr": 0.05, "clip": 1.0, "ema": 0.9, "accumulate": 2, "precision": "bfloat16",
}  # fmt: skip


class EpochError(Exception):
    pass


def _weights(folder, name="best"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def _curve(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(folder / "metrics.csv")]


def _broken_after_an_epoch(config, monkeypatch):
    """Run until the checkpoint of the first epoch stands, then fail."""
    from spikesim.training.keep import KeepCheckpoints

    def save_and_fail(self, trainer, module):
        original(self, trainer, module)
        raise EpochError

    original = KeepCheckpoints.on_train_epoch_end
    monkeypatch.setattr(KeepCheckpoints, "on_train_epoch_end", save_and_fail)
    with pytest.raises(EpochError):
        train(config)
    monkeypatch.setattr(KeepCheckpoints, "on_train_epoch_end", original)


def test_a_run_with_everything_on_resumes_exactly(tiny, tmp_path, monkeypatch):
    config = tiny.but(**EVERYTHING)
    whole = train(config.but(out=tmp_path / "whole"))
    _broken_after_an_epoch(config, monkeypatch)
    assert len(_curve(config.out)) == 1
    resumed = resume(config.out)
    assert (resumed.test_accuracy, resumed.best_epoch) == (whole.test_accuracy, whole.best_epoch)
    assert _curve(config.out) == _curve(whole.folder)
    for name in ("best", "last"):
        one, other = _weights(config.out, name), _weights(whole.folder, name)
        for key in ("state_dict", "current_model_state"):
            assert all(torch.equal(one[key][k], v) for k, v in other[key].items())


def test_the_average_is_what_is_measured_and_kept(tiny):
    result = train(tiny.but(ema=0.5, epochs=1))
    content = _weights(result.folder)
    name = "network.module.0.weight"
    name = name if name in content["state_dict"] else next(k for k in content["state_dict"] if k.endswith("weight"))
    assert not torch.equal(content["state_dict"][name], content["current_model_state"][name])
    assert content["averaging_state"]["n_averaged"] > 1


@pytest.mark.parametrize("options", [{"compile": True}, {"optimizer": "sgd", "loss": "count_mse", "lr": 1e-3}], ids=str)
def test_single_options_train(tiny, options):
    result = train(tiny.but(epochs=1, **options))
    assert 0 <= result.test_accuracy <= 1 and result.epochs == 1


def test_accumulated_batches_are_one_larger_batch(tiny, tmp_path):
    # No batch-norm sees the size of a batch here.
    (tmp_path / "plain_net.py").write_text(
        "from torch import nn\nfrom spikesim.neurons import LIF\nfrom spikesim.nn import Mean, Network\n"
        "def build():\n    return Network(nn.Sequential(nn.Flatten(), nn.Linear(2312, 10), LIF(), nn.Linear(10, 10)), "
        "readout=Mean())\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        plain = tiny.but(model="plain_net:build", epochs=1, optimizer="sgd", shift=0)
        runs = [plain.but(batch_size=12), plain.but(batch_size=6, accumulate=2)]
        results = [train(run.but(out=tmp_path / str(k))) for k, run in enumerate(runs)]
    one, other = (_weights(result.folder, "last")["state_dict"] for result in results)
    assert all(torch.allclose(one[k], v, atol=1e-6) for k, v in other.items())


def test_patience_ends_a_run_that_gets_no_better(tiny):
    result = train(tiny.but(epochs=9, patience=1, lr=1e-9, weight_decay=0.0))
    assert 2 <= result.epochs < 9
    assert json.loads((result.folder / "result.json").read_text())["epochs"] == result.epochs
    # Killed between the stop and the test: it is tested, and trained no further.
    (result.folder / "result.json").unlink()
    rows = (result.folder / "metrics.csv").read_text()
    again = resume(result.folder)
    assert (result.folder / "metrics.csv").read_text() == rows
    assert (again.epochs, again.test_accuracy) == (result.epochs, result.test_accuracy)


def test_the_loss_is_the_one_named():
    net = conv_snn(width=2)
    for name, readout in (("mean", Mean), ("count", Count), ("max", Max), ("last", Last)):
        made = loss_of(TrainConfig(data="d", loss=name, label_smoothing=0.1), net)
        assert isinstance(made, CrossEntropy) and isinstance(made.readout, readout) and made.label_smoothing == 0.1
    assert loss_of(TrainConfig(data="d"), net).readout is net.readout
    assert isinstance(loss_of(TrainConfig(data="d", loss="step"), net), StepCrossEntropy)
    assert isinstance(loss_of(TrainConfig(data="d", loss="count_mse"), net), CountMSE)


def test_layers_that_are_silent_or_busy_are_named_once(tiny, caplog):
    with caplog.at_level(logging.WARNING, "spikesim.training.rate_watch"):
        train(tiny.but(tau=1e6, epochs=2))
    told = [record.message for record in caplog.records if "spikes per neuron and step" in record.message]
    assert told and len(told) == len(set(told)) and all("--rate-low 0.01" in text for text in told)
    assert "costs energy" in advise("a", 0.9) and advise("a", 0.2) is None


def test_settings_from_a_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('data = "recordings"\nepochs = 4\nema = 0.99\ncompile = true\n')
    config = read_config(file, epochs=5)
    assert (config.epochs, config.ema) == (5, 0.99)
    assert config.changed() == {"ema": 0.99, "compile": True}
    assert command(config).endswith("--epochs 5 --ema 0.99 --compile")
    file.write_text("epochs = ")
    with pytest.raises(ConfigError, match=r"run.toml cannot be read as TOML"):
        read_config(file)
    file.write_text('data = "recordings"\nepoch = 4\n')
    with pytest.raises(ConfigError, match="epoch: unknown; known are data"):
        read_config(file)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"ema": 1.0}, "ema: given 1.0"),
        ({"loss": "mse"}, "loss: given 'mse'"),
        ({"clip": -1}, "clip: given -1"),
        ({"rate_penalty": 1.0, "rate_low": 0.5}, "rate_low is 0.5 and rate_high 0.2"),
        ({"loss": "count_mse", "label_smoothing": 0.1}, "label_smoothing means nothing for count_mse"),
        ({"accumulate": 0}, "accumulate: given 0"),
    ],
)
def test_settings_outside_their_range_are_named(wrong, match):
    with pytest.raises(ConfigError, match=match):
        TrainConfig(data="d", **wrong)


def test_tensorboard_writes_or_says_what_to_install(tiny):
    pytest.importorskip("tensorboardX")
    result = train(tiny.but(epochs=1, tensorboard=True))
    assert list((result.folder / "tensorboard").glob("events.out.*"))


def test_a_file_and_flags_on_the_command_line(recordings, tmp_path, capsys):
    file = tmp_path / "run.toml"
    file.write_text(f'data = "{recordings}"\nwidth = 2\ntimesteps = 2\nval_fraction = 0.25\nthreads = 1\nepochs = 4\n')
    with pytest.raises(SystemExit) as done:
        main(["train", "--config", str(file), "--epochs", "1", "--out", str(tmp_path / "run"), "--ema", "0.5"])
    seen = capsys.readouterr()
    assert done.value.code == 0 and "also set: width = 2" in seen.err and "ema = 0.5" in seen.err
    assert read_config(tmp_path / "run" / "config.json").epochs == 1
    with pytest.raises(SystemExit) as done:
        main(["train", "--resume", str(tmp_path / "run"), "--config", str(file)])
    assert done.value.code == 1 and "leave out --config" in capsys.readouterr().err


def test_synaptic_operations_may_be_part_of_the_loss(tiny, tmp_path):
    runs = {weight: train(tiny.but(out=tmp_path / str(weight), synop_penalty=weight)) for weight in (0.0, 5.0)}
    crossed = [float(row["synops_per_connection"]) for row in read_metrics(runs[5.0].folder / "metrics.csv")]
    assert crossed[-1] < crossed[0] and all(value > 0 for value in crossed)
    assert "synops_per_connection" not in read_metrics(runs[0.0].folder / "metrics.csv")[0]
    rates = {weight: sum(run.rates.values()) for weight, run in runs.items()}
    assert rates[5.0] < rates[0.0]
