"""How CPU kernels reach memory: addresses, half-precision storage, and stores that go round the cache.

Kernels take addresses, not NumPy views: a view costs a microsecond each, and bfloat16 has none. Half
precision lies in memory as 16-bit patterns and is widened on loading.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler import Compiler
from numba.extending import intrinsic

LINE = 64  # bytes of a cache line, and of one store that goes round the cache
_ON_X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
LANES = 32  # values that a kernel gathers before it stores them so: whole lines of every dtype


@intrinsic
def pointer(context: Any, address: Any) -> Any:
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


@intrinsic
def wide(context: Any) -> Any:
    """Let the function that calls it be vectorised for the widest registers there are.

    LLVM keeps to 256 bits on many processors that have 512, for the sake of their clock: right for a few vector
    instructions among others, but these loops are nothing else.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite takes no attribute that it does not know by name.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


# Of the control register of x86's vector units: take subnormal operands, and give subnormal results, as zero.
_SUBNORMAL_AS_ZERO = 0x8040


def _control(context: Any, builder: Any, change: Callable[[Any], Any]) -> Any:
    """Read the control register and write it back changed; returns what it was."""
    whole, byte = ir.IntType(32), ir.IntType(8).as_pointer()
    form = ir.FunctionType(ir.VoidType(), [byte])
    slot = cgutils.alloca_once(builder, whole)
    address = builder.bitcast(slot, byte)
    builder.call(builder.module.declare_intrinsic("llvm.x86.sse.stmxcsr", (), form), [address])
    former = builder.load(slot)
    builder.store(change(former), slot)
    builder.call(builder.module.declare_intrinsic("llvm.x86.sse.ldmxcsr", (), form), [address])
    return former


@intrinsic
def flush(context: Any) -> Any:
    """From here on subnormal numbers (below 1.2e-38 in float32) are zero; returns what to :func:`restore`.

    A potential that decays for some hundred silent steps ends there, and x86 takes a hundred cycles for each operation
    on it. Other processors compute them at full speed: there nothing is changed.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = ir.IntType(32)
        if not _ON_X86:
            return ir.Constant(whole, 0)
        return _control(context, builder, lambda former: builder.or_(former, ir.Constant(whole, _SUBNORMAL_AS_ZERO)))

    return types.int32(), codegen


@intrinsic
def restore(context: Any, former: Any) -> Any:
    """Back to how subnormal numbers were treated before :func:`flush`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _ON_X86:
            _control(context, builder, lambda _: args[0])
        return context.get_dummy_value()

    return types.void(types.int32), codegen


@intrinsic
def from_bfloat16(context: Any, pattern: Any) -> Any:
    """Widen a bfloat16, which is the upper half of a float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = builder.zext(args[0], ir.IntType(32))
        return builder.bitcast(builder.shl(wide, ir.Constant(wide.type, 16)), ir.FloatType())

    return types.float32(types.uint16), codegen


@intrinsic
def to_bfloat16(context: Any, value: Any) -> Any:
    """Round a float32 to the nearest bfloat16, halves to even; a NaN stays one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = ir.IntType(32)
        bits = builder.bitcast(args[0], whole)
        odd = builder.and_(builder.lshr(bits, ir.Constant(whole, 16)), ir.Constant(whole, 1))
        rounded = builder.add(builder.add(bits, ir.Constant(whole, 0x7FFF)), odd)
        upper = builder.trunc(builder.lshr(rounded, ir.Constant(whole, 16)), ir.IntType(16))
        is_nan = builder.fcmp_unordered("uno", args[0], args[0])
        return builder.select(is_nan, ir.Constant(ir.IntType(16), 0x7FC0), upper)

    return types.uint16(types.float32), codegen


@intrinsic
def from_float16(context: Any, pattern: Any) -> Any:
    """Widen a float16."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), codegen


@intrinsic
def to_float16(context: Any, value: Any) -> Any:
    """Round a float32 to the nearest float16, halves to even."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), codegen


@intrinsic
def stream(context: Any, row: Any, at: Any, line: Any) -> Any:
    """Copy all of ``line`` to ``row[at:]`` without reading what lay there.

    A plain store first reads the cache line that it overwrites: for rows larger than the cache that is a third
    of all traffic. ``row[at:]`` must begin a cache line, and ``line`` fill whole ones.
    """
    count = LINE // (row.dtype.bitwidth // 8)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = ir.IntType(64)
        vector = ir.VectorType(context.get_data_type(row.dtype), count)
        target, source = (context.make_array(t)(context, builder, v).data for t, v in ((row, args[0]), (line, args[2])))
        hint = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        for k in range(LANES // count):
            offset = ir.Constant(whole, k * count)
            loaded = builder.load(builder.bitcast(builder.gep(source, [offset]), vector.as_pointer()))
            loaded.align = row.dtype.bitwidth // 8
            place = builder.gep(target, [builder.add(args[1], offset)])
            stored = builder.store(loaded, builder.bitcast(place, vector.as_pointer()))
            stored.align = LINE
            stored.set_metadata("nontemporal", hint)
        return context.get_dummy_value()

    return types.void(row, types.int64, line), codegen


@intrinsic
def settle(context: Any) -> Any:
    """Order everything that was streamed before what follows, for other threads."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen
