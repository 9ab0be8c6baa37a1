"""What torch's own layers say of a wrong input, in the words of a network's user.

The layers of a network are torch's, and so are their errors: they speak of folded rows, which the user has
never seen. A call that failed is looked at again; where input and parameters plainly disagree, the error
says so, with torch's as its cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from spikesim.errors import DeviceError, ShapeError, SpikesimError

_SHAPE_WORDS = ("shape", "channel", "dimension", "size of tensor", "D input", "(unbatched)", "should contain")
_RAISED = (
    RuntimeError,
    ValueError,
    NotImplementedError,
)  # by torch's layers; not their subclasses, such as out of memory


def explained(
    error: Exception, module: nn.Module, inputs: Sequence[Tensor], rows: Sequence[Tensor]
) -> SpikesimError | None:
    """A typed error for what went wrong inside ``module``, or None if it is none of these mistakes.

    Args:
        error: what was raised.
        module: the network's module.
        inputs: what the user gave, ``[T, N, ...]``.
        rows: what the module received.

    >>> x = torch.zeros(3, 2, 4, dtype=torch.int64)
    >>> error = RuntimeError("mat1 and mat2 must have the same dtype, but got Long and Float")
    >>> print(explained(error, nn.Linear(4, 1), [x], [x.flatten(0, 1)]))
    the input is torch.int64, but Linear has parameters in torch.float32; call x.float()
    """
    if type(error) not in _RAISED:
        return None
    name, said = type(module).__name__, str(error)
    own = [*module.parameters(), *module.buffers()]
    devices = {t.device for t in own}
    strangers = {x.device for x in inputs} - devices
    if devices and strangers and ("device" in said or "meta" in said):
        given, there = _any(strangers), _any(devices)
        return DeviceError(
            f"the input is on {given}, but {name} on {there}; move one: net.to({given!r}) or x.to({there!r})"
        )
    dtypes = {t.dtype for t in own if t.is_floating_point()}
    others = {x.dtype for x in inputs}
    if dtypes and not dtypes & others and ("type" in said or "implemented for" in said):
        remedy = "x.float()" if torch.float32 in dtypes else f"x.to({_any(dtypes)})"
        return ShapeError(f"the input is {_any(others)}, but {name} has parameters in {_any(dtypes)}; call {remedy}")
    if any(word in said for word in _SHAPE_WORDS):
        given, folded = (", ".join(str(tuple(t.shape)) for t in tensors) for tensors in (inputs, rows))
        return ShapeError(
            f"{name} failed on the input {given}, which it received with time folded into the batch as {folded}: "
            f"{_first_line(said)}. The input is [T, N, ...]; if time is missing, use an encoder such as "
            "Constant(T), or x.unsqueeze(0) for a single step"
        )
    return None


def _any(found: Iterable[torch.device | torch.dtype]) -> str:
    return min(str(one) for one in found)


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0].rstrip(".")
