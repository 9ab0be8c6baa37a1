"""Results on disk while they come in, so that a long run can be interrupted and taken up again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from spikesim.cli.doctor_result import Result
from spikesim.dynamics.disk import digest
from spikesim.dynamics.equivalence_cover import Case
from spikesim.viz import write_text


def software(versions: Mapping[str, str | None]) -> str:
    """A key that changes with whatever may change a result."""
    package = Path(__file__).resolve().parents[1]
    sources = [p.read_text() for part in ("dynamics", "neurons") for p in sorted((package / part).rglob("*.py"))]
    return digest(json.dumps(versions), *sources)


class Journal:
    """Results on disk, one per line, so that a long run can be taken up again.

    Args:
        path: the file; it is made anew unless it was written by the same software.
        key: stands for the software.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key

    def results(self) -> dict[Case, Result]:
        """What passed in an earlier run; nothing if it was another software's."""
        found: dict[Case, Result] = {}
        try:
            first, *lines = self.path.read_text().splitlines()
            for line in lines if json.loads(first) == {"key": self.key} else []:
                raw = json.loads(line)
                result = Result(Case(**raw["case"]), raw["found"], raw["problem"], raw["seconds"])
                if result.problem is None:
                    found[result.case] = result
        except (OSError, ValueError):
            pass  # there is none, or the interrupt fell into its last line
        kept = [json.dumps({"key": self.key}), *(json.dumps(asdict(result)) for result in found.values())]
        write_text(self.path, "\n".join(kept) + "\n")
        return found

    def add(self, result: Result) -> None:
        """Append one result."""
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def remove(self) -> None:
        """The run is complete."""
        self.path.unlink(missing_ok=True)
