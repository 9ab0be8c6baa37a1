import pytest
from pytest import approx

from spikesim.errors import ConfigError
from spikesim.viz import accuracy_over_time, energy_bars, energy_tradeoff, png_bytes, training_curves


def _lines(axis):
    return {line.get_label(): list(line.get_ydata()) for line in axis.get_lines()}


def test_training_curves_show_losses_accuracies_and_the_kept_epoch():
    figure = training_curves([0, 1, 2], {"training": [2.0, 1.0, 0.5]}, {"validation": [0.5, 0.75, 0.7]}, best_epoch=1)
    left, right = figure.axes
    assert _lines(left)["training"] == [2.0, 1.0, 0.5]
    assert _lines(right)["validation"] == [50.0, 75.0, 70.0]
    assert "kept: epoch 1" in _lines(right)


def test_accuracy_over_time_draws_each_series_and_the_reference():
    figure = accuracy_over_time([1, 2, 4], {"SNN": [0.5, 0.8, 0.9]}, {"ANN": 0.95})
    (axis,) = figure.axes
    assert _lines(axis)["SNN"] == approx([50, 80, 90])
    assert _lines(axis)["ANN 95.0 %"] == approx([95, 95])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "2", "4"]


def test_energy_bars_are_in_nanojoules():
    figure = energy_bars(["a", "b"], {"SNN": [1e-9, 2e-9], "ANN": [3e-9, 4e-9]})
    heights = [[bar.get_height() for bar in group] for group in figure.axes[0].containers]
    assert heights == [approx([1, 2]), approx([3, 4])]


def test_energy_against_accuracy_names_every_step():
    figure = energy_tradeoff([1, 2], [1e-9, 3e-9], [0.5, 0.9], {"ANN": (2e-9, 0.95)})
    (axis,) = figure.axes
    line = axis.get_lines()[0]
    assert list(line.get_xdata()) == approx([1, 3]) and list(line.get_ydata()) == approx([50, 90])
    assert _lines(axis)["ANN"] == approx([95])
    for lists in (([], [], []), ([1], [1e-9, 2e-9], [0.5]), ([1], [1e-9], [])):
        with pytest.raises(ConfigError, match="one of each for every T"):
            energy_tradeoff(*lists)


def test_figures_can_share_axes():
    figure = training_curves([0], {"a": [1.0]}, {"b": [0.5]})
    assert energy_bars(["a"], {"SNN": [1e-9]}, axis=figure.axes[0]) is figure


def test_png_bytes_is_a_picture():
    assert png_bytes(training_curves([0], {"a": [1.0]}, {"b": [0.5]})).startswith(b"\x89PNG\r\n\x1a\n")
