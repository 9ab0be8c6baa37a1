"""What a dataset is, as text: which recordings, what is in them, how they are read and labelled."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset, Subset

from spikesim.datasets.cache.code import digest
from spikesim.datasets.cache.digests import content_digests
from spikesim.datasets.cache.identity import Describer
from spikesim.datasets.folder import RecordingFiles
from spikesim.errors import ConfigError

_TOLD = (
    *("files", "labels", "classes", "transform", "target_transform", "transforms"),
    *("data", "targets", "location_on_system"),  # of Tonic's datasets
)


def fingerprint(dataset: Any, describe: Describer, notes: Path | None) -> Any:
    """Describe a dataset so that two that may give other samples never have the same text.

    Of recordings in files: their order, their paths below the folder that they share, sizes and content (SHA-256 of all
    bytes), the reader and its settings, labels and class names. Of a subset: its indices and the dataset. Of samples
    in memory: their content. Transforms are left out: they are described by themselves.

    Args:
        dataset: :class:`RecordingFiles` and what derives from it, a dataset of Tonic's over files, a list of samples,
            or a ``Subset`` or ``ConcatDataset`` of them; any other with ``describe.key``.
        describe: describes readers and values.
        notes: as in :func:`content_digests`.

    Returns:
        What ``json.dumps`` takes.

    Raises:
        ConfigError: nobody can tell what is in the dataset, and there is no key.
        DatasetError: a file is missing.

    Example:
        >>> from spikesim.datasets.cache.fingerprint import fingerprint
        >>> one, other = [(0, 1), (5, 2)], [(0, 1), (5, 3)]
        >>> fingerprint(one, Describer(), None) == fingerprint(other, Describer(), None)
        False
    """
    if type(dataset) is Subset:
        indices = np.asarray(dataset.indices, np.int64)
        return ["subset", digest(indices.tobytes()), fingerprint(dataset.dataset, describe, notes)]
    if type(dataset) is ConcatDataset:
        return ["concat", *(fingerprint(one, describe, notes) for one in dataset.datasets)]
    if isinstance(dataset, RecordingFiles):
        settings = describe([type(dataset), dataset.identity(), _of_others(dataset)], "dataset")
        return ["files", settings, _files(dataset.files, notes), _names(dataset.labels.tolist(), dataset.classes)]
    files = _tonic_files(dataset)
    if files:
        settings = describe([type(dataset), _of_others(dataset)], "dataset")
        return ["files", settings, _files(files, notes), _names(list(dataset.targets), ())]
    if isinstance(dataset, (list, tuple)):
        return ["samples", digest(repr(describe(dataset, "dataset")).encode())]
    if describe.key is None:
        raise ConfigError(
            f"dataset is a {type(dataset).__name__}, of which nobody can tell whether its samples are the same next "
            'time; pass key="..." and change the key whenever they change'
        )
    return ["vouched", f"{type(dataset).__module__}.{type(dataset).__qualname__}", len(dataset)]


def contents(dataset: Any, notes: Path | None) -> list[bytes]:
    """Digests of the files that a dataset reads, as far as :func:`fingerprint` knows them.

    >>> contents([1, 2], None)
    []
    """
    if type(dataset) is Subset:
        return contents(dataset.dataset, notes)
    if type(dataset) is ConcatDataset:
        return [one for part in dataset.datasets for one in contents(part, notes)]
    files = dataset.files if isinstance(dataset, RecordingFiles) else _tonic_files(dataset)
    return content_digests(_absolute(files), notes)


def _absolute(files: Sequence[Any]) -> list[Path]:
    return [Path(os.path.abspath(file)) for file in files]


def _of_others(dataset: Any) -> dict[str, Any]:
    """What a class that is not ours holds beside what is told elsewhere: it may decide how samples are read."""
    if type(dataset).__module__.startswith("spikesim.datasets."):
        return {}
    return {name: value for name, value in vars(dataset).items() if name not in _TOLD}


def _files(files: Sequence[Any], notes: Path | None) -> str:
    paths = _absolute(files)
    shared = os.path.commonpath([path.parent for path in paths]) if paths else ""
    names = [os.path.relpath(path, shared).encode() for path in paths]
    return digest(*(part for pair in zip(names, content_digests(paths, notes)) for part in pair))


def _names(labels: list[Any], classes: Sequence[str]) -> str:
    return digest(repr(labels).encode(), repr(tuple(classes)).encode())


def _tonic_files(dataset: Any) -> list[str]:
    """The files of a dataset of Tonic's, if that is what it is and it has one for each recording."""
    base = sys.modules.get("tonic.dataset")
    if base is None or not isinstance(dataset, base.Dataset):
        return []
    data: Any = getattr(dataset, "data", None)
    if not isinstance(data, list) or not len(data) == len(dataset.targets) == len(dataset):
        return []
    return data if all(isinstance(one, str) and os.path.isfile(one) for one in data) else []
