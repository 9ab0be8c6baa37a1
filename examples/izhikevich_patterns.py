"""The twenty firing patterns of cortical neurons, by one model: a figure after Izhikevich (2004).

Run: python examples/izhikevich_patterns.py [picture.png]       (under a minute, of which most is compiling)

Every panel shows the potential, cut at 30 mV as in the paper, and below it the input.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from spikesim import Network
from spikesim.neurons.izhikevich_patterns import PATTERNS, Pattern


def potential(pattern: Pattern) -> tuple[Tensor, Tensor]:
    """Spikes and potential ``[T]`` of a pattern, recorded while it runs."""
    net = Network(torch.nn.Sequential(pattern.neuron()))
    with torch.no_grad(), net.record("0", states="v") as recording:
        net(pattern.input().unsqueeze(-1))
    layer = recording["0"]
    spikes, v = layer.spikes.flatten(), layer.states["v"].flatten()
    return spikes, torch.where(spikes > 0, 30.0, v)


def draw(path: Path) -> int:
    """Draw all patterns and return how many spikes were fired."""
    figure = Figure(figsize=(13, 13), layout="constrained")
    total = 0
    for index, pattern in enumerate(PATTERNS.values()):
        spikes, v = potential(pattern)
        total += int(spikes.sum())
        times, x = pattern.times(), pattern.input().flatten()
        axis = figure.add_subplot(5, 4, index + 1)
        axis.plot(times, v, color="#33658a", linewidth=0.9)
        span = float(x.max() - x.min()) or 1.0
        axis.plot(times, -108 + 14 * (x - x.min()) / span, color="#f26419", linewidth=0.9)
        axis.set_title(f"({'ABCDEFGHIJKLMNOPQRST'[index]}) {pattern.name}", fontsize=10)
        axis.set(ylim=(-112, 34), xlim=(0, pattern.duration))
        axis.set_yticks([-60, 30])
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("time (ms)")
    figure.supylabel("potential (mV)")
    figure.savefig(path, dpi=130)
    return total


def main() -> None:
    """Draw the figure."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "izhikevich_patterns.png")
    print(f"{draw(path)} spikes in {len(PATTERNS)} patterns; figure: {path}")


if __name__ == "__main__":
    main()
