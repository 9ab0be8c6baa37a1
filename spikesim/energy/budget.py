"""How much accuracy an energy budget costs: a search over T, thresholds or the weight of a penalty."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from spikesim.energy.units import format_energy
from spikesim.errors import BudgetError, ConfigError


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Energy and accuracy of a candidate, each by its name, so that they cannot be swapped.

    Args:
        energy: joules per inference.
        accuracy: as a fraction of 1.
    """

    energy: float
    accuracy: float


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Args:
        setting: T, a factor on thresholds, the weight of a penalty, or whatever was searched.
        energy: joules per inference; NaN or infinite where the setting failed.
        accuracy: as measured, likewise.
    """

    setting: Any
    energy: float
    accuracy: float

    @property
    def measured(self) -> bool:
        """Whether both numbers are finite: a training run that diverged measures nothing."""
        return math.isfinite(self.energy) and math.isfinite(self.accuracy)


@dataclass(frozen=True)
class Budget:
    """A budget that is met, and what it costs.

    Args:
        budget: joules per inference.
        chosen: the most accurate setting within the budget, of those that were tried.
        candidate: what was fitted with it.
        reference: the first setting, which is what there would be without a budget.
        trials: all that were tried, in the order of the settings.
        monotone: whether energy fell from each of them to the next; if not, every setting was tried.
    """

    budget: float
    chosen: Trial
    candidate: Any
    reference: Trial
    trials: tuple[Trial, ...]
    monotone: bool

    @property
    def lost_accuracy(self) -> float:
        """Accuracy of the reference minus that of the chosen setting; NaN if the reference could not be measured."""
        return self.reference.accuracy - self.chosen.accuracy

    @property
    def saved_energy(self) -> float:
        """Joules per inference of the reference minus those of the chosen setting."""
        return self.reference.energy - self.chosen.energy


def energy_budget(
    budget: float,
    settings: Sequence[Any],
    *,
    fit: Callable[[Any], Any],
    measure: Callable[[Any], Measured],
    exhaustive: bool = False,
) -> Budget:
    """Search settings until a budget in joules is met.

    The first setting is tried first, and taken if it is within the budget. Otherwise the search halves the settings in
    each step, as if energy fell along them; where what it finds contradicts that, or a setting cannot be measured, it
    tries all the others too. Of those within the budget the most accurate is taken, and of equally accurate ones the
    one that needs least.

    Args:
        budget: joules per inference.
        settings: from the one that costs most to the one that costs least, such as falling T, rising factors on
            thresholds, or rising weights of ``synop_penalty``.
        fit: makes a candidate (a network) with a setting: converts, scales or trains it.
        measure: gives ``Measured(energy=..., accuracy=...)`` of a candidate, on the same held-out data for all.
        exhaustive: try every setting, unless the first is within the budget.

    Raises:
        BudgetError: no setting meets the budget; its ``least`` is the trial that comes closest.
        ConfigError: a budget that is not positive, no settings, or measurements that are no ``Measured`` of an energy
            not below 0 and an accuracy in 0 to 1.

    Example:
        >>> from spikesim.energy import Measured, energy_budget
        >>> def measure(T):
        ...     return Measured(energy=T * 1e-9, accuracy=1 - 0.1 / T)
        >>> found = energy_budget(5e-9, [8, 4, 2, 1], fit=lambda T: T, measure=measure)
        >>> found.chosen.setting, round(found.lost_accuracy, 4), [trial.setting for trial in found.trials]
        (4, 0.0125, [8, 4, 1])
    """
    if not (isinstance(budget, int | float) and math.isfinite(budget) and budget > 0):
        raise ConfigError(f"the budget is {budget!r}, but it must be a positive number of joules per inference")
    if not len(settings):
        raise ConfigError("there are no settings to search; give them from the costliest to the thriftiest")
    search = _Search(budget, settings, fit, measure)
    reference = search.trial(0)
    if not search.within(0):
        if not exhaustive:
            search.halve()
        if exhaustive or not search.monotone or not search.any_within:
            for place in range(len(settings)):
                search.trial(place)
    chosen = search.best
    if chosen is None:
        raise search.refusal()
    tried = tuple(search.trials[place] for place in sorted(search.trials))
    return Budget(budget, chosen, search.candidate, reference, tried, search.monotone)


class _Search:
    """What was tried so far; of the candidates only the best within the budget is kept."""

    def __init__(
        self, budget: float, settings: Sequence[Any], fit: Callable[[Any], Any], measure: Callable[[Any], Any]
    ) -> None:
        self.budget, self.settings, self.fit, self.measure = budget, settings, fit, measure
        self.trials: dict[int, Trial] = {}
        self.best: Trial | None = None
        self.candidate: Any = None

    def trial(self, place: int) -> Trial:
        """Try a setting, once."""
        if place not in self.trials:
            candidate = self.fit(self.settings[place])
            found = self.measure(candidate)
            if not isinstance(found, Measured):
                raise ConfigError(f"measure gave {found!r}, expected Measured(energy=joules, accuracy=fraction of 1)")
            try:
                energy, accuracy = float(found.energy), float(found.accuracy)
            except (TypeError, ValueError) as error:
                raise ConfigError(f"measure gave {found!r}, whose energy and accuracy must be numbers") from error
            if -math.inf < energy < 0 or (math.isfinite(accuracy) and not 0 <= accuracy <= 1):
                raise ConfigError(
                    f"measure gave energy {energy:.4g} and accuracy {accuracy:.4g}; expected joules per inference, not "
                    "below 0, and an accuracy as a fraction of 1: divide percents by 100"
                )
            tried = self.trials[place] = Trial(self.settings[place], energy, accuracy)
            if self.within(place) and (self.best is None or _rank(tried) > _rank(self.best)):
                self.best, self.candidate = tried, candidate
        return self.trials[place]

    def within(self, place: int) -> bool:
        """Whether a setting was tried and meets the budget."""
        tried = self.trials.get(place)
        return tried is not None and tried.measured and tried.energy <= self.budget

    @property
    def any_within(self) -> bool:
        """Whether any setting meets the budget."""
        return self.best is not None

    @property
    def monotone(self) -> bool:
        """Whether energy never rises along what was tried, and all of it could be measured."""
        tried = [self.trials[place] for place in sorted(self.trials)]
        falls = all(after.energy <= before.energy for before, after in pairwise(tried))
        return falls and all(one.measured for one in tried)

    def halve(self) -> None:
        """Find the first setting within the budget, as if energy fell along the settings."""
        over, under = 0, len(self.settings) - 1
        self.trial(under)
        while under - over > 1 and self.monotone and self.within(under):
            middle = (over + under) // 2
            self.trial(middle)
            over, under = (over, middle) if self.within(middle) else (middle, under)

    def refusal(self) -> BudgetError:
        """The error that says how close the search came."""
        measured = [one for one in self.trials.values() if one.measured]
        if not measured:
            return BudgetError(
                f"none of the {len(self.trials)} settings could be measured: energy or accuracy is not finite. Did "
                "training diverge? Lower the learning rate or the weight of the penalty"
            )
        least = min(measured, key=lambda one: one.energy)
        return BudgetError(
            f"no setting meets a budget of {format_energy(self.budget)} per inference; the least is "
            f"{format_energy(least.energy)} with {least.setting!r}, at an accuracy of {least.accuracy:.4g}. Search "
            "further, prune the network, or take a smaller one",
            least,
        )


def _rank(trial: Trial) -> tuple[float, float]:
    return trial.accuracy, -trial.energy
