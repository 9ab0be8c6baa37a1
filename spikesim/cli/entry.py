"""Start the command and turn whatever goes wrong into one readable message and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from rich.console import Console

from spikesim.allocator import request_huge_pages
from spikesim.cli.app import app
from spikesim.errors import SpikesimError

INTERRUPTED = 130
BUG = 70


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``spikesim`` and leave the process with its exit code.

    Args:
        arguments: words after the command's name; those of the process by default. ``--debug`` may
            stand anywhere before ``--`` and shows the traceback of an error.

    Raises:
        SystemExit: always, with the exit code.

    Example:
        >>> from spikesim.cli import main
        >>> main(["--version"])
        Traceback (most recent call last):
        SystemExit: 0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    words, debug = _take_debug(words)
    request_huge_pages()  # torch, which the subcommands import, reads this once
    try:
        app(args=words, prog_name="spikesim")
    except SpikesimError as error:
        _say(error, debug, f"error: {error}")
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk or a missing permission is not a bug of ours
        _say(error, debug, f"error: {error}")
        sys.exit(SpikesimError.exit_code)
    except KeyboardInterrupt as error:
        _say(error, debug, "interrupted")
        sys.exit(INTERRUPTED)
    except Exception as error:
        hint = "" if debug else "; run it again with --debug for the traceback"
        text = f"{type(error).__name__}: {error}\nThis is a bug in spikesim. Please report it{hint}."
        _say(error, debug, text)
        sys.exit(BUG)


def _take_debug(words: list[str]) -> tuple[list[str], bool]:
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return kept + words[end:], len(kept) < end


def _say(error: BaseException, debug: bool, text: str) -> None:
    if debug:
        traceback.print_exception(error)
    Console(stderr=True, soft_wrap=True).print(text, style="red", markup=False, highlight=False)
