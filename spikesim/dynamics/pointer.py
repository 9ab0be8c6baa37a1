"""What the emitted kernels need from Numba: typed pointers from addresses, and arrays that do not overlap.

Kernels take addresses, not NumPy views: a view costs a microsecond each, and bfloat16 has none.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.compiler import Compiler
from numba.extending import intrinsic


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """The untyped pointer at an int64 address; ``carray`` gives it shape and dtype."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(address), codegen


class NoAlias(Compiler):
    """Compiles a function whose array arguments never overlap.

    Without it LLVM guards a vectorised loop by comparing every pair of arrays, and gives up on
    vectorising when there are many.
    """

    def define_pipelines(self) -> Any:
        """Numba's own pipeline with the one flag set."""
        self.state.flags.noalias = True
        return super().define_pipelines()
