"""How fast this machine can move and compute at all: what every ratio to a floor is measured against.

- ``copy``: two streams, one read and one written round the cache (64-byte non-temporal stores), 8 bytes per
  float32 element. In cache a plain copy is faster; the floor is the faster of the two.
- ``arithmetic``: independent chains of fused multiply-adds, and of multiplications and additions in turn, in
  registers; the faster counts. One vector instruction is one operation per lane.

    python benchmarks/floor.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
LINE = 16  # float32 in a cache line
CHUNK = 1 << 16  # elements per task: 256 KiB
LANES, CHAINS = 16, 12


@intrinsic
def _copy_line(context, to, come):
    """One cache line from one address to another, round the cache."""

    def codegen(context, builder, signature, args):
        line = ir.VectorType(ir.FloatType(), LINE).as_pointer()
        target, source = (builder.inttoptr(a, line) for a in args)
        value = builder.load(source, align=4)
        store = builder.store(value, target, align=64)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def _fence(context):
    def codegen(context, builder, signature, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@njit("void(int64, int64, int64)", parallel=True)
def _nt_copy(target, source, elements):
    for task in prange((elements + CHUNK - 1) // CHUNK):
        first, last = task * CHUNK, min((task + 1) * CHUNK, elements)
        for k in range(first // LINE, last // LINE):
            _copy_line(target + k * 64, source + k * 64)
        _fence()


def nt_copy(target: torch.Tensor, source: torch.Tensor) -> None:
    """Copy round the cache, on torch's number of threads; both float32, 64-byte aligned, whole cache lines."""
    if target.data_ptr() % 64 or source.numel() % LINE:
        raise ValueError(f"{source.numel()} elements at {target.data_ptr():#x} are not whole cache lines")
    numba.set_num_threads(torch.get_num_threads())
    _nt_copy(target.data_ptr(), source.data_ptr(), source.numel())


def copies(elements: int) -> dict[str, Callable[[], object]]:
    """Contestants that copy ``elements`` float32 between buffers of their own."""
    source, target = torch.rand(elements), torch.rand(elements)
    nt_copy(target, source)
    if not torch.equal(target, source):
        raise RuntimeError("the copy that the floor is measured with is wrong")
    return {
        "floor: non-temporal copy": lambda: nt_copy(target, source),
        "floor: plain copy": lambda: target.copy_(source),
    }


def _vector_chain(name: str, fused: bool) -> Callable[..., object]:
    """A function of (steps, seed) that runs CHAINS independent chains of vector instructions."""

    @intrinsic
    def chain(context, steps, seed):
        def codegen(context, builder, signature, args):
            lanes = ir.VectorType(ir.FloatType(), LANES)
            start = builder.insert_element(ir.Constant(lanes, ir.Undefined), args[1], ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            start = builder.shuffle_vector(start, ir.Constant(lanes, ir.Undefined), mask)
            sums = [cgutils.alloca_once_value(builder, start) for _ in range(CHAINS)]
            signature = ir.FunctionType(lanes, [lanes] * 3)
            fma = cgutils.get_or_insert_function(builder.module, signature, f"llvm.fma.v{LANES}f32")
            with cgutils.for_range(builder, args[0]):
                for k, place in enumerate(sums):
                    value = builder.load(place)
                    if fused:
                        value = builder.call(fma, [value, start, start])
                    elif k % 2:
                        value = builder.fmul(value, start)
                    else:
                        value = builder.fadd(value, start)
                    builder.store(value, place)
            total = builder.load(sums[0])
            for place in sums[1:]:
                total = builder.fadd(total, builder.load(place))
            return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

        return types.float32(types.int64, types.float32), codegen

    @njit("float32(int64, int64, float32[::1])", parallel=True)
    def run(tasks, steps, out):
        for task in prange(tasks):
            out[task] = chain(steps, out[task])
        return out[0]

    run.__name__ = name
    return run


def operations_per_second(repeats: int = 9) -> float:
    """float32 operations per second on torch's number of threads: lanes times the best instruction rate."""
    tasks, steps = torch.get_num_threads(), 100_000
    numba.set_num_threads(tasks)
    best = 0.0
    for fused in (True, False):
        run = _vector_chain("fused" if fused else "separate", fused)
        times = []
        for _ in range(repeats):
            out = np.ones(tasks, np.float32)  # a factor of one: no chain runs into denormals
            start = time.perf_counter()
            run(tasks, steps, out)
            times.append(time.perf_counter() - start)
        best = max(best, tasks * steps * CHAINS * LANES / statistics.median(times))
    return best


def main() -> None:
    from harness import interleave

    for threads in (1, 2):
        torch.set_num_threads(threads)
        for elements in (160_000, 1_600_000, 16_000_000, 64_000_000):
            times = interleave(copies(elements), 9)
            rates = ", ".join(f"{n} {8 * elements / t.median / 1e9:.1f} GB/s" for n, t in times.items())
            print(f"{threads} threads, {elements} elements: {rates}")
        print(f"{threads} threads: {operations_per_second() / 1e9:.0f} G operations/s")


if __name__ == "__main__":
    main()
