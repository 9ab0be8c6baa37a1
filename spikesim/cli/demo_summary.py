"""What the demo shows on the terminal and leaves in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.cli.demo_digits import ENERGY_STEPS, STEPS, Digits
from spikesim.cli.demo_events import TIMESTEPS, Events
from spikesim.viz import Section, html_page, png_bytes, write_bytes, write_text

if TYPE_CHECKING:
    from rich.console import Console

    from spikesim.energy import EnergyReport

_ENERGY_COLUMNS = ("layer", "spikes", "spiking network", "dense ANN", "zero-skipping ANN")


def show(digits: Digits, events: Events, console: Console) -> None:
    """Print the tables and verdicts."""
    for section in _sections(digits, events):
        console.print(f"\n[bold]{section.title}[/bold]")
        if section.columns:
            console.print(_table(section.columns, section.rows))
        console.print(section.text, markup=False)


def write(out: Path, digits: Digits, events: Events, seed: int, quick: bool) -> list[Path]:
    """Write summary, pictures, weights and calibration images; each file appears whole or not at all.

    Args:
        out: the folder.
        digits: part 1.
        events: part 2.
        seed: what the demo was started with.
        quick: likewise; a quick demo says so in its summary.

    Returns:
        The paths, the page for people first.
    """
    from safetensors.torch import save

    png = png_bytes(_picture(digits, events))
    title = "spikesim demo" + (" (quick: a tenth of the data and training)" if quick else "")
    page = html_page(title, [*_sections(digits, events), Section("In pictures", png=png)])
    summary = json.dumps({"seed": seed, "quick": quick, **summary_of(digits, events)}, indent=2)
    tensors = {name: value.contiguous() for name, value in digits.ann.state_dict().items()}
    trained = {name: value.contiguous() for name, value in events.network.state_dict().items()}
    return [
        write_text(out / "summary.html", page),
        write_bytes(out / "summary.png", png),
        write_bytes(out / "digits_cnn.safetensors", save(tensors)),
        write_bytes(out / "digits.safetensors", save({"x": digits.calibration.contiguous()})),
        write_bytes(out / "conv_snn.safetensors", save(trained)),
        write_text(out / "summary.json", summary + "\n"),
        events.recordings,
    ]


def summary_of(digits: Digits, events: Events) -> dict[str, Any]:
    """Give everything that was measured as plain values; accuracies are fractions, energies joules."""
    import torch

    from spikesim import __version__

    result = events.result
    return {
        "schema": 1,
        "versions": {"spikesim": __version__, "torch": torch.__version__},
        "digits": {
            "samples": digits.samples,
            "ann_accuracy": digits.ann_accuracy,
            "timesteps": list(STEPS),
            "accuracy_one_run": digits.one_run,
            "accuracy_converted_for_each": digits.for_each,
            "audit": json.loads(digits.audit.to_json()),
            "energy": _energy_of(digits.energy),
            "seconds": digits.seconds,
        },
        "events": {
            "samples": result.samples,
            "split": result.split,
            "test_accuracy": result.test_accuracy,
            "val_accuracy": result.val_accuracy,
            "best_epoch": result.best_epoch,
            "accuracies": events.accuracies,
            "rates": result.rates,
            "timesteps": TIMESTEPS,
            "energy": _energy_of(events.energy),
            "seconds": events.seconds,
        },
    }


def _sections(digits: Digits, events: Events) -> list[Section]:
    result = events.result
    accuracies = [
        (str(t), f"{100 * one:.1f} %", f"{100 * each:.1f} %", f"{100 * (each - digits.ann_accuracy):+.1f}")
        for t, one, each in zip(STEPS, digits.one_run, digits.for_each)
    ]
    return [
        Section(
            f"Converted network: the ANN has {100 * digits.ann_accuracy:.1f} %",
            f"Accuracy on {digits.samples['test']} held-out images, after T time steps.",
            ("T", f"converted for T={STEPS[-1]}, read early", "converted for this T", "points beside the ANN"),
            accuracies,
        ),
        Section(
            f"Energy per image, converted network at T={ENERGY_STEPS}",
            digits.energy.verdict,
            _ENERGY_COLUMNS,
            _energy_table(digits.energy),
        ),
        Section(
            f"Event network: {100 * result.test_accuracy:.1f} % on held-out recordings",
            f"{result.samples['test']} test recordings, used once, with the weights of epoch "
            f"{result.best_epoch}, selected on {result.samples['validation']} validation recordings "
            f"({100 * result.val_accuracy:.1f} %); split {result.split}.",
        ),
        Section(
            f"Energy per recording, event network at T={TIMESTEPS}",
            events.energy.verdict,
            _ENERGY_COLUMNS,
            _energy_table(events.energy),
        ),
    ]


def _energy_table(report: EnergyReport) -> list[tuple[str, ...]]:
    from spikesim.energy import format_energy

    rows = report.rows
    table = [
        (
            row.layer,
            f"{row.spikes:,.0f}" if row.spikes else "-",
            *(format_energy(joules) for joules in (row.network, row.dense_ann, row.zero_skipping_ann)),
        )
        for row in rows
    ]
    totals = (report.energy, report.dense_ann, report.zero_skipping_ann)
    spikes = f"{sum(row.spikes for row in rows):,.0f}"
    return [*table, ("total", spikes, *(format_energy(joules) for joules in totals))]


def _energy_of(report: EnergyReport) -> dict[str, Any]:
    full = report.to_dict()
    kept = {name: full[name] for name in ("energy", "ratio", "verdict", "baseline", "profile", "timesteps", "samples")}
    return {**kept, "layers": [row.to_dict() for row in report.rows]}


def _picture(digits: Digits, events: Events) -> Any:
    from spikesim.viz import accuracy_over_time, energy_bars
    from spikesim.viz.canvas import canvas

    figure, axes = canvas(3)
    accuracy_over_time(
        STEPS,
        {"converted for this T": digits.for_each, f"converted for T={STEPS[-1]}": digits.one_run},
        {"ANN": digits.ann_accuracy},
        axis=axes[0],
    )
    for axis, title, report in (
        (axes[1], f"converted, T={ENERGY_STEPS}", digits.energy),
        (axes[2], f"events, T={TIMESTEPS}", events.energy),
    ):
        rows = report.rows
        series = {
            "spiking network": [row.network for row in rows],
            "dense ANN": [row.dense_ann for row in rows],
            "zero-skipping ANN": [row.zero_skipping_ann for row in rows],
        }
        energy_bars([row.layer for row in rows], series, axis=axis)
        axis.set_title(title)
    axes[0].set_title("handwritten digits")
    return figure


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich.table import Table

    table = Table()
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row, end_section=row is rows[-2] if len(rows) > 1 and rows[-1][0] == "total" else False)
    return table
