import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from spikesim.errors import CheckpointError, ConfigError
from spikesim.training import resume, train
from spikesim.training.metrics_csv import read_metrics


def _curve(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(folder / "metrics.csv")]


def _state(folder, name):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def _equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def _spikesim(*words):
    return [sys.executable, "-m", "spikesim.cli", *map(str, words)]


# A network of the user's own; slow on demand, so that an interrupt surely falls into the training.
_SLOW_NET = """
import os, time
from spikesim.models import conv_snn

def build():
    network = conv_snn(width=2)
    network.register_forward_pre_hook(lambda module, x: time.sleep(float(os.environ.get("SLOW", "0"))))
    return network
"""


def _flags(config):
    names = ("out", "model", "timesteps", "epochs", "batch_size", "val_fraction", "lr", "threads", "device")
    return [word for name in names for word in (f"--{name.replace('_', '-')}", getattr(config, name))]


def _hear_interrupts():
    # A shell starts its background jobs with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt_after_an_epoch(process, folder):
    deadline = time.monotonic() + 100
    while not (folder / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=100)


def test_interrupted_and_resumed_equals_unbroken(tiny, tmp_path, monkeypatch):
    (tmp_path / "slow_net.py").write_text(_SLOW_NET)
    monkeypatch.syspath_prepend(tmp_path)
    tiny = tiny.but(model="slow_net:build")
    unbroken = train(tiny.but(out=tmp_path / "unbroken"))
    process = subprocess.Popen(
        _spikesim("train", tiny.data, *_flags(tiny)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ, "SLOW": "0.5"},
        preexec_fn=_hear_interrupts,
    )  # fmt: skip
    _, errors = _interrupt_after_an_epoch(process, tiny.out)
    assert process.returncode == 130, errors
    assert not (tiny.out / "result.json").exists()
    assert "Traceback" not in errors
    told = errors.strip().splitlines()[-1]
    assert shlex.split(told) == ["spikesim", "train", "--resume", str(tiny.out)]
    assert 1 <= len(_curve(tiny.out)) < tiny.epochs

    resumed = subprocess.run(_spikesim(*shlex.split(told)[1:]), capture_output=True, text=True, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch   1/" not in resumed.stderr  # it did not start over
    assert _curve(tiny.out) == _curve(unbroken.folder)
    for name in ("best", "last"):
        assert _equal(_state(tiny.out, name)["state_dict"], _state(unbroken.folder, name)["state_dict"])
    assert f"test accuracy {100 * unbroken.test_accuracy:.2f} %" in resumed.stdout


def test_a_run_without_a_completed_epoch_starts_over(tiny, unbroken):
    tiny.out.mkdir()
    (tiny.out / "config.json").write_text(tiny.to_json())
    assert resume(tiny.out).test_accuracy == unbroken.test_accuracy
    assert _curve(tiny.out) == _curve(unbroken.folder)


def test_checkpoints_hold_only_tensors_numbers_and_strings(unbroken):
    def leaves(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield from leaves(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                yield from leaves(inner)
        else:
            yield value

    for name in ("best", "last"):
        kinds = {type(leaf) for leaf in leaves(_state(unbroken.folder, name))}
        assert kinds <= {torch.Tensor, int, float, str, bool, type(None)}


@pytest.fixture
def broken_off(unbroken, tmp_path):
    """A copy of a run whose result was not written yet."""
    folder = tmp_path / "copy"
    shutil.copytree(unbroken.folder, folder)
    (folder / "result.json").unlink()
    return folder


def test_a_run_stopped_before_its_test_is_only_tested(broken_off, unbroken):
    assert resume(broken_off).test_accuracy == unbroken.test_accuracy
    assert _curve(broken_off) == _curve(unbroken.folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "last.ckpt cannot be read"),
        (b"text", "last.ckpt cannot be read"),
        ("half", "last.ckpt cannot be read"),
        ("foreign", "was not written by `spikesim train` .it lacks loops"),
    ],
)
def test_a_bad_checkpoint_is_named(broken_off, content, message):
    path = broken_off / "checkpoints" / "last.ckpt"
    if content == "half":
        content = path.read_bytes()[: path.stat().st_size // 2]
    if content == "foreign":
        torch.save({"state_dict": {}, "spikesim": {}}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        resume(broken_off)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"config.json does not exist; give the folder of a run"):
        resume(tmp_path)


def test_settings_that_no_longer_fit_the_checkpoint_are_named(broken_off):
    config = broken_off / "config.json"
    config.write_text(config.read_text().replace('"width": 2', '"width": 3').replace('"epochs": 3', '"epochs": 4'))
    with pytest.raises(CheckpointError, match=r"does not fit the network that .*config\.json describes"):
        resume(broken_off)


@pytest.mark.parametrize("damage", ["epoch,seconds\n1", "epoch,seconds\nx,y\n", "nonsense,here\n1,2\n"])
def test_a_damaged_log_is_named(broken_off, damage):
    (broken_off / "metrics.csv").write_text(damage)
    with pytest.raises(CheckpointError, match=r"metrics\.csv is damaged"):
        resume(broken_off)
