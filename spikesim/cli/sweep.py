"""``spikesim sweep``: many settings, each with several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikesim.errors import CheckFailed


def sweep(
    config: Annotated[Path, typer.Argument(help="TOML file: settings of spikesim train, and a table \\[sweep].")],
    out: Annotated[Path | None, typer.Option(help="Folder of the sweep, instead of the file's.")] = None,
) -> None:
    """Train every setting of a sweep with every seed; mean and standard deviation, best by validation.

    A sweep that was stopped goes on where it was when it is started again. Exits with 3 if every run failed.

    Example: spikesim sweep sweep.toml --out runs/sweep
    """
    from rich.console import Console

    from spikesim.training import TrainingInterrupted, read_sweep, run_sweep

    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    plan = read_sweep(config, **({} if out is None else {"out": out}))
    count = plan.plan.trials or len(plan.grid())
    seeds = len(plan.plan.seeds)
    errors.print(f"sweep of {count} settings x {seeds} seeds ({plan.plan.sampler}) into {plan.base.out}")
    try:
        result = run_sweep(
            plan, watch=lambda tried: errors.print(f"{tried.parameters}: {tried.failed or tried.val_accuracy}")
        )
    except TrainingInterrupted as interrupt:
        errors.print("\nInterrupted; start the same command again to go on")
        raise typer.Exit(130) from interrupt
    Console(highlight=False).print(result)
    Console(soft_wrap=True, highlight=False, markup=False).print(f"everything about it: {result.folder}/sweep.json")
    if result.best is None:
        raise CheckFailed(f"every run failed; the first said: {result.tried[0].failed}")
