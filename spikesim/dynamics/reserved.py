"""Names that the kernels keep for themselves: no state, parameter or draw may be called so."""

from __future__ import annotations

import keyword

# Everything else that a kernel calls its own begins with an underscore.
_RESERVED = {"x", "out", "output", "real", "np", "abs", "min", "max", "range", "clock"}


def is_reserved(name: str) -> bool:
    """Whether a state, parameter or draw of this name would collide with the kernel's own names.

    >>> is_reserved("v"), is_reserved("last"), is_reserved("real"), is_reserved("grad_v")
    (False, False, True, True)
    """
    return (
        name in _RESERVED
        or not name.isidentifier()
        or keyword.iskeyword(name)
        or name.startswith(("_", "grad_", "saved_", "initial_", "from_", "to_"))
        or name.endswith(("_row", "_all", "_at", "_next"))
    )
