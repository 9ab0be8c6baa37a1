"""Inputs and labels from an array file, read without running code from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spikesim.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    import torch


class Arrays(NamedTuple):
    """What a file held: inputs ``x [N, ...]`` and, where it has them, labels ``y [N]``."""

    x: torch.Tensor
    y: torch.Tensor | None


def read_arrays(path: Path) -> Arrays:
    """Read ``x`` (and ``y``) from an ``.npz`` or ``.safetensors`` file, or ``x`` alone from ``.npy``.

    Raises:
        ConfigError: the file is missing, damaged, of another kind, or lacks ``x``.
        ShapeError: labels and inputs do not have the same number of samples, or ``x`` holds no numbers.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; give an .npz, .npy or .safetensors file with the array x")
    found = _read(path)
    if "x" not in found:
        raise ConfigError(
            f"{path} holds {', '.join(sorted(found)) or 'nothing'}; expected an array x with the inputs, "
            "and y with the labels where there are any"
        )
    x, y = found["x"], found.get("y")
    if not x.dtype.is_floating_point:
        x = x.float()
    if x.ndim < 2:
        raise ShapeError(f"{path}: x has shape {list(x.shape)}, expected [N, ...]: a batch of inputs")
    if y is not None:
        if y.ndim != 1 or len(y) != len(x):
            raise ShapeError(f"{path}: x has shape {list(x.shape)} and y {list(y.shape)}, expected one label per input")
        if y.dtype.is_floating_point or y.dtype.is_complex:
            raise ShapeError(f"{path}: y holds {y.dtype}, expected whole numbers: one class index per input")
        y = y.long()
    return Arrays(x.to(dtype=_default_dtype()), y)


def _read(path: Path) -> dict[str, torch.Tensor]:
    import numpy as np
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
        if path.suffix == ".npy":
            return {"x": torch.from_numpy(np.load(path, allow_pickle=False))}
    except Exception as error:  # each reader has its own errors for a damaged file
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "pickle" in said:  # numpy takes what it does not know for a pickle, and those are never loaded
            said = f"it is no {path.suffix} file, or holds Python objects"
        raise ConfigError(f"{path} cannot be read: {said}; write it anew") from error
    raise ConfigError(f"{path}: given a '{path.suffix}' file, expected .npz, .npy or .safetensors")


def _default_dtype() -> torch.dtype:
    import torch

    return torch.get_default_dtype()
