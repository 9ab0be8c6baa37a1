"""What Ctrl-C in a training run turns into."""

from __future__ import annotations

import shlex
from pathlib import Path


class TrainingInterrupted(KeyboardInterrupt):
    """Training was interrupted; the last completed epoch is safe in the run's folder.

    It is a :class:`KeyboardInterrupt`, so that code which knows nothing of it stops as well.

    Args:
        folder: the run's folder.

    Example:
        >>> from spikesim.training import TrainingInterrupted
        >>> TrainingInterrupted("runs/a b").command
        "spikesim train --resume 'runs/a b'"
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        super().__init__(f"training interrupted; continue with: {self.command}")

    @property
    def command(self) -> str:
        """The command line that continues the run."""
        return f"spikesim train --resume {shlex.quote(str(self.folder))}"
