"""The ``spikesim`` command. Each subcommand is a file; what they need is imported when they run.

Exit codes: 0 done, 1 the user's input is wrong, 2 usage, 3 a check failed, 70 a bug of ours, 130 interrupted.
"""

from spikesim.cli.entry import main

__all__ = ["main"]
