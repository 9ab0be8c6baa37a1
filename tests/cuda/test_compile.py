"""CUDA kernels compiled to PTX, which needs NVIDIA's compiler but no GPU: types, order of memory access, registers.

Skipped, by name, where numba-cuda or NVVM is missing (``pip install numba-cuda 'nvidia-nvvm==13.0.*'``);
with ``nvidia-cuda-nvcc`` installed too, its assembler counts registers.
"""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from oracles.every_neuron import EVERY_NEURON

from spikesim.dynamics.emit_cuda import SIZES, emit_cuda
from spikesim.dynamics.plan import Kernel, arrays_of
from spikesim.dynamics.surrogates import CATALOGUE
from spikesim.neurons import LIF

CAPABILITY = (9, 0)


def _missing():
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed"
    try:
        from numba.cuda.cudadrv.nvvm import NVVM

        NVVM()
    except Exception as error:
        return f"NVVM cannot be loaded: {error}"
    return None


pytestmark = pytest.mark.skipif(_missing() is not None, reason=str(_missing()))


@pytest.fixture
def ptx(monkeypatch):
    """Compiles a kernel to the PTX of its body."""
    import numba.cuda.dispatcher
    from numba import cuda, int64

    # A device function asks the GPU at hand what to compile for.
    here = SimpleNamespace(compute_capability=CAPABILITY)
    monkeypatch.setattr(numba.cuda.dispatcher, "get_current_device", lambda: here)

    def compiled(kernel):
        module = {}
        exec(emit_cuda(kernel, on_disk=False), module)
        signature = (int64,) * (len(SIZES) + len(arrays_of(kernel).names))
        text, _ = cuda.compile(module["run"].py_func, signature, device=False, cc=CAPABILITY, output="ptx", abi="numba")
        return text

    return compiled


def _kernel(neuron, mode, dtype="float32", uniform=True, **flags):
    wrt = tuple(p for p in neuron.params if getattr(neuron, p).requires_grad)
    return Kernel(neuron.program_text(), mode, dtype, (uniform,) * len(neuron.params), wrt, **flags)


def _body(ptx):
    return ptx[ptx.index(".visible .entry") :]


def _blocks(ptx):
    """Global loads and stores of every basic block, in order."""
    marks = {"ld.global": "L", "st.global": "S"}
    blocks = [""]
    for line in map(str.strip, _body(ptx).splitlines()):
        if line.startswith("$L"):
            blocks.append("")
        blocks[-1] += marks.get(line[:9], "")
    return blocks


def _registers(ptx, folder):
    spec = importlib.util.find_spec("nvidia")
    found = [f for place in (spec.submodule_search_locations if spec else []) for f in Path(place).rglob("bin/ptxas")]
    if not found:
        return None
    source = folder / "kernel.ptx"
    source.write_text(ptx)
    arch = f"-arch=sm_{CAPABILITY[0]}{CAPABILITY[1]}"
    run = subprocess.run([found[0], "-v", arch, source, "-o", folder / "cubin"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "0 bytes spill stores, 0 bytes spill loads" in run.stderr
    return int(re.search(r"Used (\d+) registers", run.stderr).group(1))


MODES = {"infer": {}, "train": {}, "backward": {}, "recompute": {"recompute": True}}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", EVERY_NEURON)
def test_every_neuron_compiles_into_registers(ptx, name, mode, tmp_path):
    kind = "backward" if mode == "recompute" else mode
    text = ptx(_kernel(EVERY_NEURON[name], kind, **MODES[mode]))
    assert ".local" not in text
    assert "call" not in _body(text)
    assert ".f64" not in _body(text)  # a stray Python number would turn float32 into float64
    registers = _registers(text, tmp_path)
    assert registers is None or registers <= 128


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_surrogate_compiles(ptx, name):
    text = ptx(_kernel(LIF(2.3, surrogate=CATALOGUE[name]()), "backward"))
    assert ".local" not in text
    assert ".f64" not in _body(text)


def test_four_loads_are_in_flight_before_the_first_store(ptx, tmp_path):
    expected = {"infer": "LLLLSSSS", "train": "LLLLSSSSSSSS", "backward": "LLLLLLLLSSSS"}
    for mode, order in expected.items():
        text = ptx(_kernel(LIF(), mode))
        assert any(order in block for block in _blocks(text)), _blocks(text)
        registers = _registers(text, tmp_path)
        assert registers is None or registers <= (32 if mode == "infer" else 48)


@pytest.mark.parametrize("storage", ["bfloat16", "float16"])
@pytest.mark.parametrize("mode", MODES)
def test_half_precision_is_two_bytes_in_memory(ptx, storage, mode):
    kind = "backward" if mode == "recompute" else mode
    text = _body(ptx(_kernel(LIF(), kind, storage=storage, **MODES[mode])))
    assert re.search(r"ld\.global\.[ub]16", text)
    assert re.search(r"st\.global\.[ub]16", text)


@pytest.mark.parametrize(
    "flags", [{"masked": True}, {"constant": True}, {"uniform": False}, {"dtype": "float64"}], ids=str
)
@pytest.mark.parametrize("name", ["LIF", "HodgkinHuxley", "EscapeLIF", "PLIF"])
def test_other_forms_compile(ptx, name, flags):
    for mode in MODES:
        kind = "backward" if mode == "recompute" else mode
        assert ".local" not in ptx(_kernel(EVERY_NEURON[name], kind, **flags, **MODES[mode]))


def test_machine_code_is_linked_as_at_run_time(ptx, monkeypatch):
    """At run time numba-cuda links intermediate code with nvJitLink, which optimises once more."""
    if importlib.util.find_spec("nvidia") is None:
        pytest.skip("nvJitLink is not installed")
    from numba import int64
    from numba.cuda import codegen, dispatcher

    # The library asks the GPU at hand, too, where nobody tells it.
    monkeypatch.setattr(codegen.CUDACodeLibrary, "_ensure_cc", lambda self, cc: cc or CAPABILITY)
    kernel = _kernel(LIF(), "infer")
    module = {}
    exec(emit_cuda(kernel, on_disk=False), module)
    run, count = module["run"], len(SIZES) + len(arrays_of(kernel).names)
    if not run.targetoptions.get("lto"):
        pytest.skip("nvJitLink cannot be loaded")
    library = dispatcher._Kernel(run.py_func, (int64,) * count, **run.targetoptions)._codelibrary
    assert any("LLLLSSSS" in block for block in _blocks(library.get_lto_ptx(cc=CAPABILITY)))
    assert library.get_cubin(cc=CAPABILITY).code.startswith(b"\x7fELF")
