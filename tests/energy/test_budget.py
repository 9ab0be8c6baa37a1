"""The search for an energy budget, with energies and accuracies that are made up, and with networks."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spikesim.energy import Measured, energy_budget, energy_report
from spikesim.errors import BudgetError, ConfigError, SpikesimError
from spikesim.neurons import IF
from spikesim.nn import Constant, Mean, Network


class World:
    """Energies and accuracies by place; counts what is asked."""

    def __init__(self, energies, accuracies=None):
        self.energies = energies
        self.accuracies = accuracies or [1 - 0.01 * i for i in range(len(energies))]
        self.asked = []

    def search(self, budget, **options):
        def measure(place):
            self.asked.append(place)
            return Measured(energy=self.energies[place], accuracy=self.accuracies[place])

        return energy_budget(budget, range(len(self.energies)), fit=lambda place: place, measure=measure, **options)


def test_a_budget_that_is_met_at_once_costs_one_trial():
    world = World([3.0, 2.0, 1.0])
    found = world.search(3.0)
    assert world.asked == [0] and found.chosen is found.reference and found.lost_accuracy == found.saved_energy == 0
    assert found.candidate == 0


def test_the_search_halves():
    world = World([float(n) for n in range(64, 0, -1)])
    found = world.search(20.0)
    assert found.chosen.setting == found.candidate == 44 and found.chosen.energy == 20.0 and found.monotone
    assert len(world.asked) <= 2 + 6 and len(set(world.asked)) == len(world.asked)
    assert found.lost_accuracy == pytest.approx(0.44) and found.saved_energy == 44.0
    assert [trial.setting for trial in found.trials] == sorted(world.asked)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 1)), min_size=1, max_size=12), st.floats(0.1, 10))
def test_whatever_is_chosen_is_the_best_that_was_tried(made, budget):
    energies, accuracies = map(list, zip(*made))
    world = World(energies, accuracies)
    within = [i for i, energy in enumerate(energies) if energy <= budget]
    if not within:
        with pytest.raises(BudgetError) as caught:
            world.search(budget)
        assert caught.value.least.energy == min(energies) and sorted(world.asked) == list(range(len(energies)))
        return
    found = world.search(budget)
    assert found.chosen.energy <= budget and len(set(world.asked)) == len(world.asked)
    tried = [i for i in world.asked if energies[i] <= budget]
    assert found.chosen.accuracy == max(accuracies[i] for i in tried)
    if not found.monotone:
        assert sorted(world.asked) == list(range(len(energies)))
    whole = World(energies, accuracies).search(budget, exhaustive=True)
    if energies[0] > budget:
        assert whole.chosen.accuracy == max(accuracies[i] for i in within)


@given(st.integers(2, 40), st.integers(0, 39), st.integers(0, 100))
def test_falling_energies_and_accuracies_give_the_first_within(n, cut, seed):
    steps = torch.rand(n, generator=torch.Generator().manual_seed(seed)) + 0.01
    energies = steps.flip(0).cumsum(0).flip(0).tolist()
    cut = min(cut, n - 1)
    assert World(energies).search(energies[cut]).chosen.setting == cut


def test_energy_that_rises_again_is_searched_through():
    world = World([9.0, 3.0, 8.0, 7.0, 8.5], [0.9, 0.8, 0.7, 0.6, 0.5])
    found = world.search(5.0)
    assert found.chosen.setting == 1 and not found.monotone and sorted(world.asked) == [0, 1, 2, 3, 4]
    later = World([9.0, 6.0, 4.9, 8.0, 3.0], [0.9, 0.8, 0.7, 0.95, 0.5]).search(5.0)
    assert later.chosen.energy <= 5.0


@pytest.mark.parametrize("where", range(4))
@pytest.mark.parametrize("fault", [(math.nan, 0.9), (1.0, math.nan), (-math.inf, 0.9), (1.0, math.inf)])
def test_what_could_not_be_measured_is_not_chosen(where, fault):
    energies, accuracies = [4.0, 3.0, 2.0, 1.0], [0.9, 0.8, 0.7, 0.6]
    energies[where], accuracies[where] = fault
    found = World(energies, accuracies).search(2.5)
    assert found.chosen.setting == (3 if where == 2 else 2) and found.chosen.measured
    if where == 0:
        assert not math.isfinite(found.lost_accuracy) or not math.isfinite(found.saved_energy)


def test_a_budget_that_cannot_be_met_says_the_least():
    with pytest.raises(BudgetError, match=r"budget of 500\.0 mJ.*least is 1\.000 J with 2") as caught:
        World([4.0, 2.0, 1.0]).search(0.5)
    assert isinstance(caught.value, SpikesimError) and isinstance(caught.value, ValueError)
    assert (caught.value.least.setting, caught.value.least.energy) == (2, 1.0)
    with pytest.raises(BudgetError, match="none of the 2 settings could be measured") as caught:
        World([math.nan, math.nan]).search(0.5)
    assert caught.value.least is None


@pytest.mark.parametrize("budget", [0, -1.0, math.nan, math.inf, "1 nJ", None])
def test_a_budget_is_a_positive_number(budget):
    with pytest.raises(ConfigError, match="the budget is"):
        World([1.0]).search(budget)


def test_bad_callables_are_named():
    with pytest.raises(ConfigError, match="no settings"):
        energy_budget(1.0, [], fit=id, measure=id)
    # (0.9, 1e-9) and (1e-9, 0.9) look alike: only names tell which is which
    for given_back in (1.0, (0.9, 1e-9), {"energy": 1e-9}, None):
        with pytest.raises(ConfigError, match=r"expected Measured\(energy=joules, accuracy="):
            energy_budget(1.0, [1], fit=id, measure=lambda _, back=given_back: back)
    with pytest.raises(ConfigError, match="must be numbers"):
        energy_budget(1.0, [1], fit=id, measure=lambda _: Measured(energy="a", accuracy=1.0))
    with pytest.raises(TypeError):
        Measured(1e-9, 0.9)


def test_thresholds_of_a_network():
    torch.manual_seed(0)
    layers = [nn.Linear(8, 20), nn.Linear(20, 3)]
    x, y = torch.rand(40, 8), torch.arange(40) % 3

    def fit(threshold):
        return Network(nn.Sequential(layers[0], IF(threshold), layers[1]), encoder=Constant(6), readout=Mean())

    def measure(network):
        right = (network(x).argmax(1) == y).double().mean().item()
        return Measured(energy=energy_report(network, x, input="analog").energy, accuracy=right)

    full, least = (measure(fit(threshold)).energy for threshold in (0.1, 3.0))
    found = energy_budget((full + least) / 2, [0.1, 0.2, 0.4, 0.8, 1.6, 3.0], fit=fit, measure=measure)
    assert least <= found.chosen.energy <= (full + least) / 2 and found.reference.energy == full
    assert measure(found.candidate) == Measured(energy=found.chosen.energy, accuracy=found.chosen.accuracy)
