from pytest import approx

from spikesim.viz import accuracy_over_time, energy_accuracy, energy_bars, png_bytes, training_curves


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


def test_figures_can_share_axes():
    figure = training_curves([0], {"a": [1.0]}, {"b": [0.5]})
    assert energy_bars(["a"], {"SNN": [1e-9]}, axis=figure.axes[0]) is figure


def test_png_bytes_is_a_picture():
    assert png_bytes(training_curves([0], {"a": [1.0]}, {"b": [0.5]})).startswith(b"\x89PNG\r\n\x1a\n")


def test_more_series_than_colours_are_all_drawn():
    figure = accuracy_over_time([1, 2], {f"method {k}": [0.1 * k, 0.5] for k in range(9)}, {"ANN": 0.95})
    lines = figure.axes[0].get_lines()
    assert len(lines) == 10
    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}) == 10


def test_energy_accuracy_draws_points_in_order_and_the_reference():
    figure = energy_accuracy({"SNN": [(1e-8, 0.5), (3e-8, 0.9)], "none": []}, {"ANN": (4e-8, 0.95)})
    axis = figure.axes[0]
    snn, _, ann = axis.get_lines()
    assert snn.get_xdata().round(9).tolist() == [10.0, 30.0] and snn.get_ydata().tolist() == [50.0, 90.0]
    assert ann.get_xdata().round(9).tolist() == [40.0] and axis.get_xscale() == "log"
    assert energy_accuracy({"free": [(0.0, 0.5)]}).axes[0].get_xscale() == "linear"
    assert png_bytes(figure)[1:4] == b"PNG"
