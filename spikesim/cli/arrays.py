"""Inputs and labels from an array file, read without running code from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spikesim.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    import torch

    from spikesim.converters.inputs import Inputs


class Arrays(NamedTuple):
    """What a file held: inputs ``[N, ...]``, several by name, and, where it has them, labels ``y [N]``."""

    x: Inputs
    y: torch.Tensor | None


def read_arrays(path: Path, needed: Sequence[str] = ("x",), optional: Sequence[str] = ()) -> Arrays:
    """Read the inputs of a model (and labels) from an ``.npz`` or ``.safetensors`` file, or one from ``.npy``.

    Args:
        path: The file.
        needed: What the model calls its inputs. One stands under its name or as ``x``; several stand under their
            names. Labels are called ``y``, and ``labels`` where an input is called ``y``.
        optional: Further arguments of the model, taken where the file has several inputs and they are among them.

    Raises:
        ConfigError: the file is missing, damaged, of another kind, or lacks an input.
        ShapeError: labels and inputs do not have the same number of samples, or inputs are no batches.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; give an .npz, .npy or .safetensors file with {_written(needed)}")
    found = _read(path)
    labels = "labels" if "y" in needed else "y"
    one = len(needed) < 2
    names = [*needed, *(name for name in optional if name in found)]
    if one and ("x" in found or not needed or needed[0] not in found):
        names = ["x"]
    if missing := [name for name in names if name not in found]:
        raise ConfigError(
            f"{path} holds {', '.join(sorted(found)) or 'nothing'}; expected {_written(needed)} with the inputs, "
            f"and {labels} with the labels where there are any" + ("" if one else f"; missing: {', '.join(missing)}")
        )
    y = found.get(labels) if labels not in names else None
    inputs = {name: _input(path, name, found[name], one) for name in names}
    rows = len(inputs[names[0]])
    for name, x in inputs.items():
        if len(x) != rows:
            raise ShapeError(f"{path}: {names[0]} holds {rows} samples and {name} {len(x)}, expected as many")
    if y is not None:
        if y.ndim != 1 or len(y) != rows:
            what, x = names[0], inputs[names[0]]
            raise ShapeError(
                f"{path}: {what} has shape {list(x.shape)} and {labels} {list(y.shape)}, expected one label per input"
            )
        if y.dtype.is_floating_point or y.dtype.is_complex:
            raise ShapeError(f"{path}: {labels} holds {y.dtype}, expected whole numbers: one class index per input")
        y = y.long()
    return Arrays(inputs[names[0]] if len(names) == 1 else inputs, y)


def _written(names: Sequence[str]) -> str:
    return "an array x" if len(names) < 2 else f"the arrays {', '.join(names)}"


def _input(path: Path, name: str, x: torch.Tensor, one: bool) -> torch.Tensor:
    """One input as fractions; among several, int32 and int64 may be token numbers and stay whole."""
    import torch

    if x.ndim < (2 if one else 1):
        raise ShapeError(f"{path}: {name} has shape {list(x.shape)}, expected [N, ...]: a batch of inputs")
    return x if not one and x.dtype in (torch.int32, torch.int64) else x.to(_default_dtype())


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
