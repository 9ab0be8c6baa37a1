"""Many runs: every setting of a sweep with every seed, kept on disk, so that a sweep that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikesim.errors import ConfigError, DivergenceError
from spikesim.training.record import TrainResult
from spikesim.training.run import resume, train
from spikesim.training.sweep_config import Range, Sweep
from spikesim.training.sweep_results import SweepResult, Tried, write_sweep
from spikesim.viz import write_text

if TYPE_CHECKING:
    import optuna

_NAME = "sweep"


def run_sweep(sweep: Sweep, *, progress: bool = False, watch: Callable[[Tried], None] | None = None) -> SweepResult:
    """Train every setting of a sweep with every seed, and say which is best on the validation recordings.

    Each run has a folder of its own under ``out``, by its setting and seed. ``sweep.journal`` holds what Optuna knows;
    a sweep that was interrupted or killed goes on where it stopped when it is started again: finished runs are read,
    the one under way is resumed. ``sweep.csv`` and ``sweep.json`` are written after every setting. Settings are
    compared by the mean validation accuracy over the seeds; test accuracies are only reported.

    Args:
        sweep: as :func:`read_sweep` gives it.
        progress: show a line per epoch of every run on standard error.
        watch: told of every setting when all its seeds are done.

    Raises:
        ConfigError: Optuna is not installed, or the folder holds another sweep.
        TrainingInterrupted: Ctrl-C; start it again to go on.
        SpikesimError: as for :func:`train`; a run whose loss diverges does not end the sweep.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import generate_ndigits
        >>> from spikesim.training import TrainConfig, run_sweep
        >>> from spikesim.training.sweep_config import Sweep, SweepPlan
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     data = generate_ndigits(Path(folder) / "ndigits", samples=60)
        ...     base = TrainConfig(data=data, out=f"{folder}/sweep", width=2, timesteps=2, epochs=1, val_fraction=0.25)
        ...     result = run_sweep(Sweep(base=base, plan=SweepPlan(seeds=(0,), parameters={"lr": (0.01, 0.02)})))
        >>> [tried.parameters for tried in result.tried]
        [{'lr': 0.01}, {'lr': 0.02}]
    """
    folder = sweep.base.out
    _claim(folder, sweep)
    study = _study(folder, sweep)
    _return_unfinished(study)
    if sweep.plan.sampler == "grid":
        for parameters in sweep.grid():
            study.enqueue_trial(parameters, skip_if_exists=True)
    wanted = sweep.plan.trials or len(sweep.grid())
    while sum(map(_counts, study.trials)) < wanted:
        trial = study.ask(_distributions(sweep))
        tried = _tried(folder, sweep, dict(trial.params), progress)
        trial.set_user_attr("tried", tried.to_dict())
        if tried.failed:
            study.tell(trial, state=_states().PRUNED)
        else:
            study.tell(trial, tried.val_accuracy.mean)
        if watch is not None:
            watch(tried)
        write_sweep(_result(folder, study))
    result = _result(folder, study)
    write_sweep(result)
    return result


def _tried(folder: Path, sweep: Sweep, parameters: dict[str, Any], progress: bool) -> Tried:
    name = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:10]
    place = folder / (name if parameters else "base")
    results, failed = [], ""
    for seed in sweep.plan.seeds:
        config = sweep.base.but(**parameters, seed=seed, out=place / f"seed-{seed}")
        try:
            results.append(_run(config, progress))
        except DivergenceError as error:
            failed = f"seed {seed}: {error}"
            break
    return Tried.of(parameters, place, sweep.plan.seeds, results, failed)


def _run(config: Any, progress: bool) -> TrainResult:
    if (config.out / "config.json").exists():
        return resume(config.out, progress=progress)
    return train(config, progress=progress)


def _claim(folder: Path, sweep: Sweep) -> None:
    """Keep what the sweep is made of beside its journal, and refuse to go on with another one there."""
    plan = sweep.plan.model_dump(mode="json", exclude={"trials"})
    base = sweep.base.but(data=sweep.base.data.expanduser().resolve())
    content = json.dumps(
        {"schema": 1, "base": base.model_dump(mode="json", exclude={"out", "seed"}), "sweep": plan}, indent=2
    )
    path = folder / "sweep_settings.json"
    if not path.exists():
        if (folder / "config.json").exists():
            raise ConfigError(f"out: {folder} holds a run; give the sweep a folder of its own")
        write_text(path, content + "\n")
    elif path.read_text().strip() != content:
        raise ConfigError(
            f"out: {folder} holds a sweep with other settings ({path}); put them back to go on with it (only "
            "trials may grow), or choose another folder with --out"
        )


def _study(folder: Path, sweep: Sweep) -> optuna.Study:
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ModuleNotFoundError as error:
        raise ConfigError("a sweep needs Optuna, which is not installed: pip install 'spikesim[sweep]'") from error

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / "sweep.journal"))),
            study_name=_NAME,
            direction="maximize",
            load_if_exists=True,
        )
    finally:
        optuna.logging.set_verbosity(level)
    # A sweep that goes on must not draw its first settings again.
    seed = sweep.base.seed + len(study.trials)
    study.sampler = (
        optuna.samplers.TPESampler(seed=seed)
        if sweep.plan.sampler == "tpe"
        else optuna.samplers.RandomSampler(seed=seed)
    )
    return study


def _return_unfinished(study: optuna.Study) -> None:
    """Hand settings that were under way when the sweep was stopped to it once more."""
    states = _states()
    for trial in study.get_trials(states=(states.RUNNING,)):
        study.tell(trial.number, state=states.FAIL)
        study.enqueue_trial(trial.params)


def _counts(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a setting is done; those that were handed back have another trial."""
    return bool(trial.state in (_states().COMPLETE, _states().PRUNED))


def _states() -> type[optuna.trial.TrialState]:
    from optuna.trial import TrialState

    return TrialState


def _distributions(sweep: Sweep) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    made: dict[str, Any] = {}
    for name, values in sweep.plan.parameters.items():
        if not isinstance(values, Range):
            made[name] = CategoricalDistribution(values)
        elif isinstance(values.low, int) and isinstance(values.high, int):
            made[name] = IntDistribution(values.low, values.high, log=values.log)
        else:
            made[name] = FloatDistribution(float(values.low), float(values.high), log=values.log)
    return made


def _result(folder: Path, study: optuna.Study) -> SweepResult:
    done = [trial.user_attrs["tried"] for trial in study.trials if _counts(trial)]
    return SweepResult(folder, tuple(Tried.from_dict(tried) for tried in done))
