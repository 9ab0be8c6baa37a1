"""What stands in a cache entry beside its frames, and how damage is told."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spikesim.datasets.transforms.pipeline import AccountRow

SCHEMA = 1
MANIFEST = "manifest.json"


class DamagedEntryError(Exception):
    """An entry is not what its manifest says; never leaves the cache."""


@dataclass(frozen=True)
class Manifest:
    """One entry of the cache.

    Attributes:
        key: digest of everything that decides its content; the name of its folder.
        dataset: what was framed, for people.
        transform: by what, for people.
        samples: S.
        steps: time steps of all samples together.
        frame: C, H and W.
        dtype: of the frames.
        classes: the name of each label.
        account: what became of the events, one row for each transform.
        files: bytes and SHA-256 of each file.
        version: of the package that made it.
        created: when, in UTC.
    """

    key: str
    dataset: str
    transform: str
    samples: int
    steps: int
    frame: tuple[int, int, int]
    dtype: str
    classes: tuple[str, ...]
    account: tuple[AccountRow, ...]
    files: Mapping[str, tuple[int, str]]
    version: str
    created: str

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(size for size, _ in self.files.values())

    def text(self) -> str:
        """The file's content; it carries a digest of itself."""
        body = {**asdict(self), "account": [row._asdict() for row in self.account]}
        return json.dumps({"schema": SCHEMA, "sha256": _digest(body), "entry": body}, indent=1) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an entry and compare the sizes of its files.

    Args:
        folder: the entry.

    Raises:
        DamagedEntryError: it is missing, unreadable or of another schema, or a file is missing or has another size.

    Example:
        >>> read_manifest(Path("nowhere"))
        Traceback (most recent call last):
        ...
        spikesim.datasets.cache.manifest.DamagedEntryError: manifest.json is missing
    """
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        if content["schema"] != SCHEMA:
            raise DamagedEntryError(f"{MANIFEST} is of schema {content['schema']!r}, not {SCHEMA}")
        body = content["entry"]
        if content["sha256"] != _digest(body):
            raise DamagedEntryError(f"{MANIFEST} differs from its checksum")
        manifest = Manifest(
            **{
                **body,
                "frame": tuple(body["frame"]),
                "classes": tuple(body["classes"]),
                "account": tuple(AccountRow(**row) for row in body["account"]),
                "files": {name: (size, digest) for name, (size, digest) in body["files"].items()},
            }
        )
    except FileNotFoundError as error:
        raise DamagedEntryError(f"{MANIFEST} is missing") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedEntryError(f"{MANIFEST} cannot be read ({error!r})") from error
    if manifest.key != folder.name:
        raise DamagedEntryError(f"it is the entry {manifest.key}")
    for name, (size, _) in manifest.files.items():
        try:
            found = os.stat(folder / name).st_size
        except OSError as error:
            raise DamagedEntryError(f"{name} is missing") from error
        if found != size:
            raise DamagedEntryError(f"{name} has {found} bytes, not {size}")
    return manifest


def check_content(folder: Path) -> Manifest:
    """Read a whole entry and compare the checksums of its files, too.

    Raises:
        DamagedEntryError: something is not as it was written.
    """
    manifest = read_manifest(folder)
    for name, (_, expected) in manifest.files.items():
        try:
            with open(folder / name, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DamagedEntryError(f"{name} cannot be read ({error.strerror or error})") from error
        if found != expected:
            raise DamagedEntryError(f"{name} differs from its checksum")
    return manifest


def _digest(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
