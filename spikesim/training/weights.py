"""Weights from a file into a network, without ever running code from the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from spikesim.errors import CheckpointError

_PREFIXES = ("network.", "module.", "model.", "net.")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a torch checkpoint with ``weights_only=True``.

    Raises:
        CheckpointError: the file is missing, damaged, or holds more than tensors, numbers and strings.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"{file} does not exist; give a checkpoint or a safetensors file")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # on a damaged file the restricted unpickler fails in any way
        raise CheckpointError(
            f"{file} cannot be read as a checkpoint: it is damaged, or holds Python objects, which are never "
            "run. Give another file; to bring weights from elsewhere, save the model's state_dict"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds a {type(content).__name__}, expected a dictionary of tensors")
    return content


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Read named tensors from a safetensors file, a state dict or a Lightning checkpoint.

    Raises:
        CheckpointError: the file is missing, damaged or holds no tensors.

    Example:
        >>> import tempfile, torch
        >>> from spikesim.training import read_weights
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(torch.nn.Linear(2, 1).state_dict(), folder + "/w.pt")
        ...     sorted(read_weights(folder + "/w.pt"))
        ['bias', 'weight']
    """
    file = Path(path)
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    content = read_checkpoint(file)
    found = content.get("state_dict", content)
    tensors = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise CheckpointError(f"{file} holds no tensors; expected a state_dict or a Lightning checkpoint")
    return tensors


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Copy weights from a file into a model; every tensor must find its place.

    A common prefix that a trainer put before the names (``network.``, ``module.``, ``model.``, ``net.``)
    is taken off, or put on where the model has one.

    Raises:
        CheckpointError: the file cannot be read, or names or shapes do not fit; the message names them.
    """
    tensors = read_weights(path)
    wanted = model.state_dict()
    tensors = _fit_prefix(tensors, set(wanted))
    missing = sorted(set(wanted) - set(tensors))
    extra = sorted(set(tensors) - set(wanted))
    shapes = [
        f"{name}: the file has {list(tensors[name].shape)}, the model {list(wanted[name].shape)}"
        for name in sorted(set(wanted) & set(tensors))
        if tensors[name].shape != wanted[name].shape
    ]
    problems = [
        f"{title} {_some(names)}"
        for title, names in (("missing", missing), ("unknown", extra), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{path} does not fit {type(model).__name__}: {'; '.join(problems)}; "
            "build the model with the options that it was trained with"
        )
    model.load_state_dict(tensors)


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        raise CheckpointError(f"{file} does not exist; give a checkpoint or a safetensors file")
    try:
        return dict(load_file(file))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file} cannot be read as safetensors ({_first_line(error)}); give an undamaged file"
        ) from error


def _fit_prefix(tensors: dict[str, torch.Tensor], wanted: set[str]) -> dict[str, torch.Tensor]:
    best = tensors
    for prefix in _PREFIXES:
        for start in (prefix, "network." + prefix):
            if all(name.startswith(start) for name in tensors):
                best = max(best, _without(tensors, start), key=lambda t: len(wanted & set(t)))
        best = max(best, {prefix + n: v for n, v in tensors.items()}, key=lambda t: len(wanted & set(t)))
    return best


def _without(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def _some(names: list[str], most: int = 4) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
