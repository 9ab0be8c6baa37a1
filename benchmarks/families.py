"""How close is every neuron family to what memory and arithmetic allow?

Floors, measured in the same run: bytes (8 per element forward, 20 forward plus backward, at the rate of a
non-temporal copy) and arithmetic (operations of the family's own record, at the rate of vector instructions in
registers). The larger of the two is the floor. A family that keeps several values moves more than 20 bytes; the
floor does not allow for that. Then the families and surrogates with one exponential per step, beside LIF with the
arc-tangent.

    python benchmarks/families.py                                # T=16, N=1e6
    python benchmarks/families.py --families AdEx HodgkinHuxley --threads 2
"""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Callable

import torch
from floor import copies, operations_per_second
from harness import Results, child, interleave, machine, show

import spikesim.neurons
from spikesim.dynamics import Neuron, surrogates
from spikesim.dynamics.plan import Kernel, Mode, plan_of

# Vector instructions per primitive, one unless named. A division or a root occupies its unit for at least eight; the
# transcendental ones are polynomials: reduction, six or seven terms, scaling.
DIVISION, POLYNOMIAL, DRAW = 8, 14, 24
COST = {
    "detach": 0, "smooth": 0, "div": DIVISION, "sqrt": DIVISION, "exp": POLYNOMIAL, "log": POLYNOMIAL + DIVISION,
    "sigmoid": POLYNOMIAL + DIVISION + 2, "tanh": POLYNOMIAL + DIVISION + 4, "atan": POLYNOMIAL + DIVISION,
    "erf": 2 * POLYNOMIAL + DIVISION, "clip": 2, "sign": 3, "minimum": 1, "maximum": 1,
}  # fmt: skip

NEEDED = {"Lapicque": {"capacitance": 2.0}}
"""Arguments without a default."""


def operations(neuron: Neuron, mode: Mode) -> int:
    """Vector operations per neuron and step of one kernel, counted from the recorded program."""
    uniform = tuple(getattr(neuron, p).numel() == 1 for p in neuron.params)
    plan = plan_of(Kernel(neuron.program_text(), mode, "float32", uniform))
    settled = set(plan.params)  # known before the first step: worked out once for all neurons and steps
    count = len(plan.draws) * DRAW
    for instruction in plan.body:
        names = {a for a in instruction.args if isinstance(a, str)}
        if names <= settled:
            settled.add(instruction.name)
        else:
            count += COST.get(instruction.primitive, 1)
    return count * plan.substeps


def families() -> dict[str, type[Neuron]]:
    found = {}
    for name in spikesim.neurons.__all__:
        family = getattr(spikesim.neurons, name)
        if inspect.isclass(family) and issubclass(family, Neuron) and callable(getattr(family, "step", None)):
            found[name] = family
    return found


def with_exp() -> dict[str, Callable[[], Neuron]]:
    """LIF, and what costs one exponential more per step."""
    kinds = {"LIF, ATan": lambda: spikesim.neurons.LIF()}
    for name in ("Sigmoid", "Gaussian"):
        surrogate = getattr(surrogates, name)
        kinds[f"LIF, {name}"] = lambda s=surrogate: spikesim.neurons.LIF(surrogate=s())
    for name in ("EIF", "AdEx"):
        if hasattr(spikesim.neurons, name):
            kinds[name] = getattr(spikesim.neurons, name)
    return kinds


def calls(neuron: Neuron, x: torch.Tensor, grad: torch.Tensor) -> dict[str, Callable[[], object]]:
    def forward() -> object:
        with torch.no_grad():
            return neuron(x)

    def both() -> None:
        leaf = x.detach().requires_grad_()
        neuron(leaf).backward(grad)

    return {"forward": forward, "forward + backward": both}


def measure(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    shape = (arguments.steps, 1, arguments.neurons)
    x, grad = torch.rand(shape), torch.randn(shape)
    elements, rate = x.numel(), operations_per_second()
    copy = next(iter(copies(elements).items()))
    print(f"{rate / 1e9:.0f} G operations/s")
    rows, skipped = {}, {}
    if arguments.exp:
        built = {name: make() for name, make in with_exp().items()}
        for what in ("forward", "forward + backward"):
            times = interleave({n: calls(k, x, grad)[what] for n, k in built.items()}, arguments.rounds, seconds=120)
            rows[what] = show(f"one exponential per step, {what}, {title(arguments)}", times, against="LIF, ATan")
        print(json.dumps({"rows": rows, "machine": machine()}))
        return
    for name in arguments.families:
        try:
            neuron = families()[name](**NEEDED.get(name, {}))
        except Exception as error:  # one that needs arguments
            skipped[name] = f"{type(error).__name__}: {error}"
            continue
        rows[name] = {}
        for what, call in calls(neuron, x, grad).items():
            forward = what == "forward"
            times = interleave({copy[0]: copy[1], name: call}, arguments.rounds, seconds=arguments.seconds)
            counted = sum(operations(neuron, mode) for mode in (("infer",) if forward else ("train", "backward")))
            memory = times[copy[0]].median * (1.0 if forward else 20 / 8)
            arithmetic = counted * elements / rate
            floor = max(memory, arithmetic)
            row = times[name].summary()
            row |= {"operations": counted, "memory_floor_ms": memory * 1e3, "arithmetic_floor_ms": arithmetic * 1e3}
            row["of_floor"] = times[name].median / floor
            rows[name][what] = row
            bound = "memory" if memory >= arithmetic else "arithmetic"
            print(
                f"  {name:18s} {what:19s} {row['median_ms']:9.2f} ms  {counted:5d} operations"
                f"  floor {floor * 1e3:8.2f} ms ({bound})  {row['of_floor']:5.2f} x"
                f"  {row['clean']}/{row['samples']} clean",
                flush=True,
            )
    for name, why in skipped.items():
        print(f"  skipped {name}: {why}")
    print(json.dumps({"rows": rows, "skipped": skipped, "operations_per_second": rate, "machine": machine()}))


def title(arguments: argparse.Namespace) -> str:
    return f"T={arguments.steps} N={arguments.neurons} threads={arguments.threads}"


def main() -> None:
    known = list(families())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=16, help="T")
    parser.add_argument("--neurons", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--families", nargs="+", choices=known, default=known)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=20.0, help="budget of each row")
    parser.add_argument("--exp", action="store_true", help="only the group with one exponential per step")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments)
        return
    results = Results("families")
    passed = ["--child", "--steps", arguments.steps, "--neurons", arguments.neurons, "--threads", arguments.threads]
    passed = [str(p) for p in [*passed, "--rounds", arguments.rounds, "--seconds", arguments.seconds]]
    groups = [("one exponential per step", ["--exp"])]
    if not arguments.exp:
        groups.insert(0, ("floors", ["--families", *arguments.families]))
    for group, extra in groups:
        print(f"\n{group}, {title(arguments)}", flush=True)
        row = child([*passed, *extra])
        if "failed" in row:
            print(f"  {row['failed']}; nothing written")
            continue
        results.content["machine"] = row.pop("machine")
        results.add(f"{group}, {title(arguments)}", row)
    print(f"\nwritten to {results.path}")


if __name__ == "__main__":
    main()
