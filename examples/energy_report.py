"""Count and price a small spiking network: a static input coded directly, and the same layers on events.

Run: python examples/energy_report.py
"""

import tempfile
from pathlib import Path

import torch
from torch import nn

from spikesim.energy import Ledger, energy_report, format_energy
from spikesim.neurons import IF, LIF
from spikesim.nn import Constant, Mean, Network


def layers(channels: int, neuron: type[nn.Module]) -> nn.Sequential:
    """Two convolutions, pooling, a linear readout."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        neuron(threshold=0.3),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        neuron(threshold=0.2),
        nn.Flatten(),
        nn.Linear(16 * 8 * 8, 10),
    )


def main() -> None:
    """Three reports and a ledger over several batches."""
    torch.manual_seed(0)
    print("A static image shown for 8 steps: the first layer is analog and runs once.\n")
    static = Network(layers(1, IF), encoder=Constant(8), readout=Mean())
    report = energy_report(static, torch.rand(16, 1, 16, 16), input="analog")
    report.show()
    path = report.save(Path(tempfile.mkdtemp()) / "report.json")
    print(f"JSON: {path}\n")

    print("An event recording in 10 frames: every layer receives events.\n")
    events = torch.randint(0, 40, (10, 16, 2, 16, 16)).sub(37).clamp(min=0).to(torch.uint8)
    moving = Network(layers(2, LIF), readout=Mean())
    energy_report(moving, events, input="events").show()

    print("\nLedgers of batches add up; energy is computed afterwards.\n")
    ledger = Ledger.record(moving, events[:, :8], input="events") + Ledger.record(moving, events[:, 8:], input="events")
    steps = ledger["3"].counts["synops_binary"].tolist()
    print(f"{ledger.samples} samples; additions of the second convolution at each step: {steps}")
    print(f"first step {format_energy(0.9e-12 * steps[0])}, last step {format_energy(0.9e-12 * steps[-1])}")


if __name__ == "__main__":
    main()
