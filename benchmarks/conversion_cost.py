"""What does a conversion cost beside one evaluation of its calibration images?

VGG-16 with batch-norm and random weights, 32 x 32 pixels, 1000 calibration images in batches of 100. Evaluation and
conversions take turns in one process; peak memory is that of a whole process for each, torch and the model included.

    python benchmarks/conversion_cost.py                  # some minutes; writes results/conversion-cost.json
    python benchmarks/conversion_cost.py --images 200 --width 0.25
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from harness import Results, child, interleave, machine, show, status

SLOWER, MORE = 3.0, 1.5  # at most so many times the time and the memory of an evaluation
SETTINGS: dict[str, dict[str, Any]] = {
    "convert, T=8": {"timesteps": 8},
    "convert, T=8, exact": {"timesteps": 8, "exact": True},
    "convert, T=1, multi_threshold(4)": {"timesteps": 1, "neuron": "multi_threshold(4)"},
}
EVALUATION = "evaluation of the ANN"


def calls(images: int, width: float) -> dict[str, Callable[[], object]]:
    from spikesim.converters import convert
    from spikesim.models import vgg

    torch.manual_seed(0)
    model = vgg(16, width=width).eval()
    x = torch.rand(images, 3, 32, 32)
    with torch.no_grad():  # batch-norm statistics that fit, so that activations are alive
        model.train()
        model(x[:200])
        model.eval()
    batches = list(x.split(100))

    def evaluate() -> None:
        with torch.no_grad():
            for batch in batches:
                model(batch)

    found: dict[str, Callable[[], object]] = {EVALUATION: evaluate}
    for name, settings in SETTINGS.items():
        found[name] = lambda settings=settings: convert(model, batches, **settings)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--width", type=float, default=1.0, help="factor on all channels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", choices=[EVALUATION, *SETTINGS], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        calls(arguments.images, arguments.width)[arguments.memory]()
        print(json.dumps({"peak_mib": status("VmHWM")}))
        return
    contestants = calls(arguments.images, arguments.width)
    times = interleave(contestants, arguments.rounds, seconds=600.0, batch=False)
    rows = show(f"{arguments.images} images, width {arguments.width}", times, against=EVALUATION)
    short = []
    size = ["--images", str(arguments.images), "--width", str(arguments.width)]
    for name, row in rows.items():
        row["peak_mib"] = child([*size, "--memory", name]).get("peak_mib")
    base = rows[EVALUATION]
    for name, row in rows.items():
        slower = row["median_ms"] / base["median_ms"]
        more = row["peak_mib"] / base["peak_mib"] if row["peak_mib"] and base["peak_mib"] else float("nan")
        row |= {"times_the_time": slower, "times_the_memory": more}
        print(f"  {name:36s} {slower:6.2f} x the time, {more:6.2f} x the memory ({row['peak_mib']:.0f} MiB)")
        if name == "convert, T=8" and not (slower <= SLOWER and more <= MORE):
            short.append(name)
    results = Results("conversion-cost", again=True)
    results.content["machine"] = machine()
    results.add(f"{arguments.images} images, width {arguments.width}", {"rows": rows})
    print(f"written to {results.path}")
    if short:
        print(f"asked: at most {SLOWER} x the time and {MORE} x the memory")
        sys.exit(3)


if __name__ == "__main__":
    main()
