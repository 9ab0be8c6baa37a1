import subprocess
import sys
from importlib.metadata import version

import pytest

from spikesim.cli import entry
from spikesim.errors import CheckFailed, ConfigError


def test_version_and_help(spikesim):
    assert spikesim("--version")[:2] == (0, f"spikesim {version('spikesim')}\n")
    code, out, _ = spikesim("--help")
    assert code == 0
    for command in ("demo", "train", "convert", "energy", "audit", "datasets"):
        assert command in out


@pytest.mark.parametrize("command", ["demo", "train", "convert", "energy", "audit"])
def test_every_help_has_an_example(spikesim, command):
    code, out, _ = spikesim(command, "--help")
    assert code == 0 and f"Example: spikesim {command}" in " ".join(out.split())


def test_help_needs_no_torch():
    code = (
        "import sys\nfrom spikesim.cli import main\n"
        "try:\n    main(['train', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(','.join({'torch', 'lightning', 'matplotlib', 'numba'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words", [["no-such-command"], ["train", "--no-such-flag"], ["train", "x", "--epochs", "many"]]
)
def test_usage_errors_are_2(spikesim, words):
    code, out, err = spikesim(*words)
    assert code == 2 and "Usage" in err and not out


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("wrong [bold]colour[/bold]"), 1, "error: wrong [bold]colour[/bold]"),
        (CheckFailed("it failed"), 3, "error: it failed"),
        (OSError(28, "No space left on device", "summary.png"), 1, "No space left on device: 'summary.png'"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("oops"), 70, "ZeroDivisionError: oops\nThis is a bug in spikesim. Please report it"),
    ],
)
@pytest.mark.parametrize("debug", [[], ["--debug", "train"], ["train", "--debug"]])
def test_errors_are_one_message_and_a_code(spikesim, monkeypatch, error, code, message, debug):
    seen = []

    def app(args, prog_name):
        seen.append(args)
        raise error

    monkeypatch.setattr(entry, "app", app)
    got, out, err = spikesim(*debug)
    assert got == code and not out
    assert message in err
    assert ("Traceback" in err) == bool(debug)
    assert seen == [["train"] if debug else []]


def test_debug_after_two_dashes_is_an_argument(spikesim, monkeypatch):
    seen = []
    monkeypatch.setattr(entry, "app", lambda args, prog_name: seen.append(args) or sys.exit(0))
    spikesim("--", "--debug")
    assert seen == [["--", "--debug"]]


def test_the_installed_command_gives_its_exit_code(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "spikesim.cli", "train", str(tmp_path / "nothing")], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "nothing" in done.stderr and not done.stdout
