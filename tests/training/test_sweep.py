"""Sweeps: what is tried, what is reported, and that a stopped one goes on."""

import csv
import json
import signal
import statistics
import subprocess
import sys

import pytest

from spikesim.cli import main
from spikesim.errors import ConfigError, DivergenceError
from spikesim.training import TrainConfig, TrainingInterrupted, read_sweep, run_sweep, sweeping
from spikesim.training.record import read_result
from spikesim.training.sweep_config import Sweep, SweepPlan

pytest.importorskip("optuna")


@pytest.fixture
def base(recordings, tmp_path):
    return TrainConfig(
        data=recordings, out=tmp_path / "sweep", width=2, timesteps=2, epochs=1, batch_size=16,
        val_fraction=0.25, threads=1, device="cpu",
    )  # fmt: skip


def _sweep(base, **plan):
    return Sweep(base=base, plan=SweepPlan(**{"seeds": (0, 1), "parameters": {"lr": (0.01, 0.02)}, **plan}))


@pytest.fixture
def calls(monkeypatch):
    """Which runs were trained; training itself."""
    made, real = [], sweeping.train
    monkeypatch.setattr(sweeping, "train", lambda config, **_: made.append(config) or real(config))
    return made


def test_every_setting_has_its_mean_and_deviation_over_the_seeds(base, calls):
    result = run_sweep(_sweep(base))
    assert [(c.lr, c.seed) for c in calls] == [(0.01, 0), (0.01, 1), (0.02, 0), (0.02, 1)]
    for tried in result.tried:
        runs = [read_result(base.out / tried.folder / f"seed-{seed}") for seed in (0, 1)]
        for ours, values in (
            (tried.val_accuracy, [run.val_accuracy for run in runs]),
            (tried.test_accuracy, [run.test_accuracy for run in runs]),
        ):
            assert list(ours.values) == values
            assert ours.mean == statistics.fmean(values) and ours.deviation == statistics.stdev(values)
    assert result.best.val_accuracy.mean == max(tried.val_accuracy.mean for tried in result.tried)
    rows = list(csv.DictReader((base.out / "sweep.csv").open()))
    assert [row["lr"] for row in rows] == ["0.01", "0.02"]
    assert float(rows[0]["test_accuracy_std"]) == pytest.approx(result.tried[0].test_accuracy.deviation, rel=1e-4)
    content = json.loads((base.out / "sweep.json").read_text())
    assert content["best"] == result.best.parameters and len(content["tried"]) == 2
    # Done is done.
    before = len(calls)
    assert run_sweep(_sweep(base)) == result and len(calls) == before


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemError])
def test_a_stopped_sweep_goes_on(base, monkeypatch, stop):
    made, real = [], sweeping.train

    def breaking(config, **_):
        made.append((config.lr, config.seed))
        if len(made) == 2:
            raise stop
        return real(config)

    monkeypatch.setattr(sweeping, "train", breaking)
    with pytest.raises(stop):
        run_sweep(_sweep(base, seeds=(0,)))
    again = run_sweep(_sweep(base, seeds=(0,)))
    assert made == [(0.01, 0), (0.02, 0), (0.02, 0)]
    assert [tried.parameters for tried in again.tried] == [{"lr": 0.01}, {"lr": 0.02}]
    assert all(len(tried.val_accuracy.values) == 1 and not tried.failed for tried in again.tried)


_KILLED = """
import os, signal, sys
from pathlib import Path
from spikesim.training import read_sweep, run_sweep
from spikesim.training.keep import KeepCheckpoints

saved = KeepCheckpoints.on_train_epoch_end

def killed(self, trainer, module):
    saved(self, trainer, module)
    os.kill(os.getpid(), signal.SIGKILL)

KeepCheckpoints.on_train_epoch_end = killed
run_sweep(read_sweep(Path(sys.argv[1])))
"""


def test_a_sweep_killed_within_a_run_goes_on_where_it_was(base, tmp_path, monkeypatch):
    path = tmp_path / "sweep.toml"
    path.write_text(
        f'data = "{base.data}"\nout = "{base.out}"\nwidth = 2\ntimesteps = 2\nepochs = 2\nval_fraction = 0.25\n'
        'threads = 1\ndevice = "cpu"\n[sweep]\nseeds = [0]\n[sweep.parameters]\nlr = [0.01]'
    )
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (under_way,) = base.out.glob("*/seed-0/metrics.csv")
    begun = under_way.read_text()
    monkeypatch.setattr(sweeping, "train", lambda config, **_: pytest.fail("nothing is begun anew"))
    result = run_sweep(read_sweep(path))
    assert len(result.tried) == 1 and len(result.tried[0].val_accuracy.values) == 1 and not result.tried[0].failed
    assert begun.count("\n") == 2 and under_way.read_text().startswith(begun)


def test_more_trials_may_be_asked_for_later(base, calls):
    plan = {"seeds": (0,), "sampler": "tpe", "parameters": {"lr": {"low": 1e-3, "high": 0.1, "log": True}}}
    first = run_sweep(_sweep(base, trials=1, **plan))
    more = run_sweep(_sweep(base, trials=3, **plan))
    rates = [tried.parameters["lr"] for tried in more.tried]
    assert len(calls) == 3 and len(set(rates)) == 3 and more.tried[:1] == first.tried
    assert all(1e-3 <= rate <= 0.1 for rate in rates) and more.tried[0].val_accuracy.deviation is None


def test_a_run_that_diverges_does_not_end_the_sweep(base, monkeypatch):
    real = sweeping.train

    def train(config, **_):
        if config.lr == 0.01:
            raise DivergenceError("the loss became nan")
        return real(config)

    monkeypatch.setattr(sweeping, "train", train)
    result = run_sweep(_sweep(base, seeds=(0,)))
    assert "seed 0: the loss became nan" in result.tried[0].failed and result.best is result.tried[1]
    content = json.loads((base.out / "sweep.json").read_text())
    assert content["tried"][0]["val_accuracy"]["mean"] is None


def test_another_sweep_in_the_folder_is_refused(base, calls):
    run_sweep(_sweep(base, seeds=(0,), parameters={}))
    assert len(calls) == 1
    with pytest.raises(ConfigError, match="holds a sweep with other settings"):
        run_sweep(_sweep(base))
    with pytest.raises(ConfigError, match="holds a run; give the sweep a folder of its own"):
        run_sweep(_sweep(base.but(out=base.out / "base" / "seed-0")))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("", "has no table"),
        ("[sweep]\nseed = 1", "seed: unknown; known are seeds, trials, sampler, parameters"),
        ("[sweep]\nseeds = []", "seeds: given"),
        ("[sweep]\nseeds = [1, 1]", "expected each seed once"),
        ("[sweep]\nseeds = [-1]", "seed: given -1"),
        ("[sweep.parameters]\nlr = []", "lr: has no choice"),
        ("[sweep.parameters]\nlr = [0.1, -1]", "lr: given -1"),
        ("[sweep.parameters]\nwidht = [1]", "parameters.widht: cannot be swept; known are"),
        ("[sweep.parameters]\nseed = [1]", "parameters.seed: cannot be swept"),
        ("[sweep.parameters]\nlr = {low = 0.1, high = 1}", "lr: has a range, and a grid has none"),
        ("[sweep]\nsampler = 'tpe'\n[sweep.parameters]\nlr = {low = 0.1, high = 0.01}", "expected low < high"),
        ("[sweep]\nsampler = 'tpe'\n[sweep.parameters]\nlr = [0.1]", "trials: missing"),
        ("[sweep]\ntrials = 3\n[sweep.parameters]\nlr = [0.1]", "a grid tries every combination"),
        ("[sweep]\nsampler = 'random'\ntrials = 2", "needs parameters to draw"),
        ("[sweep", "cannot be read as TOML"),
    ],
)
def test_a_bad_sweep_is_named_before_it_starts(tmp_path, plan, message):
    path = tmp_path / "sweep.toml"
    path.write_text(f'data = "recordings"\n{plan}')
    with pytest.raises(ConfigError, match=message):
        read_sweep(path)
    with pytest.raises(ConfigError, match="does not exist"):
        read_sweep(tmp_path / "none.toml")


def test_the_command_prints_a_table_and_says_how_to_go_on(base, tmp_path, capsys, monkeypatch):
    path = tmp_path / "sweep.toml"
    path.write_text(
        f'data = "{base.data}"\nwidth = 2\ntimesteps = 2\nepochs = 1\nval_fraction = 0.25\nthreads = 1\n'
        "[sweep]\nseeds = [0]\n[sweep.parameters]\nlr = [0.01]"
    )
    words = ["sweep", str(path), "--out", str(tmp_path / "out")]

    def stopped(config, **_):
        raise TrainingInterrupted(config.out)

    with monkeypatch.context() as patched:
        patched.setattr(sweeping, "train", stopped)
        with pytest.raises(SystemExit, match="130"):
            main(words)
    assert "start the same command again" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(words)
    said = capsys.readouterr()
    assert "validation" in said.out and "sweep.json" in said.out and "1 settings x 1 seeds (grid)" in said.err
