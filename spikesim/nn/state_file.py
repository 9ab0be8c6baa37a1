"""A network's state on disk: safetensors, with a version in its metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from spikesim.errors import StateError
from spikesim.viz.files import write_bytes

_FORMAT = "spikesim.state"


def write(path: str | os.PathLike[str], state: Mapping[str, Mapping[str, Tensor]], version: int) -> Path:
    """Write states by module name and state name.

    Raises:
        StateError: an entry is no tensor, or has no values.
        ConfigError: the folder cannot be written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder + "/s.safetensors", {"1": {"v": torch.ones(2)}}, 1).name
    's.safetensors'
    """
    from safetensors.torch import save

    tensors = {}
    for module, states in state.items():
        for name, value in states.items():
            if not isinstance(value, Tensor) or value.device.type == "meta":
                got = "a tensor without values" if isinstance(value, Tensor) else f"a {type(value).__name__}"
                raise StateError(
                    f"state '{name}' of '{module}' is {got}; only a state that a run returned can be saved"
                )
            # The format wants dense tensors that share no memory.
            tensors[f"{module}.{name}"] = value.detach().to("cpu", copy=True).contiguous()
    # The names are kept apart too: a neuron without state leaves no tensor behind.
    names = {module: list(states) for module, states in state.items()}
    return write_bytes(path, save(tensors, {"format": _FORMAT, "version": str(version), "neurons": json.dumps(names)}))


def read(path: str | os.PathLike[str], version: int, device: str | torch.device) -> dict[str, dict[str, Tensor]]:
    """States by module name and state name.

    Raises:
        StateError: the file is missing, truncated, no saved state or of another version, or there is no such device.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read(write(folder + "/s.safetensors", {"1": {"v": torch.ones(2)}}, 1), 1, "cpu")
    {'1': {'v': tensor([1., 1.])}}
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not file.is_file():
        raise StateError(f"{file} does not exist; give a file that NetworkState.save wrote")
    try:
        with safe_open(file, framework="pt") as content:
            metadata = content.metadata() or {}
            _require_ours(file, metadata, version)
            names = json.loads(metadata["neurons"])
            states = {m: {n: content.get_tensor(f"{m}.{n}") for n in names[m]} for m in names}
    except (SafetensorError, OSError, LookupError, TypeError, json.JSONDecodeError) as error:
        raise StateError(
            f"{file} cannot be read as a saved state ({_first_line(error)}): it is truncated, damaged or of another "
            "format; save the state again"
        ) from error
    try:
        return {module: {name: t.to(device) for name, t in parts.items()} for module, parts in states.items()}
    except (RuntimeError, AssertionError) as error:
        raise StateError(
            f"a state cannot be put on {device!r} ({_first_line(error)}); load it on another device"
        ) from error


def _require_ours(file: Path, metadata: Mapping[str, str], version: int) -> None:
    if metadata.get("format") != _FORMAT:
        raise StateError(f"{file} is a safetensors file, but holds no state; give one that NetworkState.save wrote")
    if metadata.get("version") != str(version):
        raise StateError(
            f"{file} holds a state of version {metadata.get('version')}, but this release reads version {version}; "
            "start afresh, or read it with the release that wrote it"
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
