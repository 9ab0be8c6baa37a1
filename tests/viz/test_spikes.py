import subprocess
import sys

import numpy as np
import pytest
import torch

from spikesim.errors import ConfigError, ShapeError
from spikesim.viz import phase_plane, png_bytes, raster, state_trace


def _marks(line):
    return {tuple(point) for point in line.get_xydata().tolist()}


def test_a_raster_marks_every_spike_of_every_neuron():
    spikes = np.random.default_rng(0).random((30, 4, 5)) < 0.3
    (axis,) = raster(spikes).axes
    assert _marks(axis.get_lines()[0]) == {(float(t), float(k)) for t, k in np.argwhere(spikes.reshape(30, 20))}
    assert axis.get_title() == ""


def test_a_raster_of_many_neurons_shows_some_under_their_own_numbers():
    spikes = np.ones((3, 1000))
    (axis,) = raster(spikes, most=10).axes
    shown = sorted({y for _, y in _marks(axis.get_lines()[0])})
    assert shown == [0, 111, 222, 333, 444, 555, 666, 777, 888, 999]
    assert axis.get_title() == "10 of 1000 neurons, evenly spaced"
    assert axis.get_ylim() == (-0.5, 999.5)


def test_a_raster_tells_negative_spikes_apart():
    (axis,) = raster(np.array([[1, 0], [-1, 0], [0, 3]])).axes
    up, down = axis.get_lines()
    assert _marks(up) == {(0.0, 0.0), (2.0, 1.0)} and _marks(down) == {(1.0, 0.0)}
    assert up.get_color() != down.get_color()


def test_a_raster_at_recorded_steps_and_without_spikes():
    (axis,) = raster(torch.tensor([[0.0], [1.0]]), steps=[10, 20]).axes
    assert _marks(axis.get_lines()[0]) == {(20.0, 0.0)}
    assert axis.get_xlim() == (9.5, 20.5)
    assert png_bytes(raster(np.zeros((4, 3)))).startswith(b"\x89PNG")


def test_a_trace_marks_spikes_above_the_state_and_the_threshold():
    v, spikes = np.array([0.5, 0.0, 0.5, 0.0]), np.array([0, 1, 0, 1])
    (axis,) = state_trace(v, spikes, threshold=1.0, name="v (mV)").axes
    by_label = {line.get_label(): line for line in axis.get_lines()}
    assert by_label["neuron 0"].get_ydata().tolist() == v.tolist()
    assert by_label["threshold"].get_ydata().tolist() == [1.0] * 4
    ticks = by_label["_spikes"]
    assert ticks.get_xdata().tolist() == [1, 3] and min(ticks.get_ydata()) > 1.0
    assert axis.get_ylim()[1] > max(ticks.get_ydata())
    assert axis.get_ylabel() == "v (mV)"


def test_a_trace_of_several_neurons_with_adaptive_thresholds():
    v, theta = np.random.rand(6, 3), 1 + np.random.rand(6, 3)
    (axis,) = state_trace(v, v > 0.5, theta, labels=["a", "b", "c"]).axes
    levels = [line for line in axis.get_lines() if line.get_label() == "threshold"]
    assert np.allclose([line.get_ydata() for line in levels], theta.T)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b", "c", "threshold"]


def test_several_neurons_may_share_one_threshold():
    v = np.random.rand(6, 3)
    (axis,) = state_trace(v, v > 0.5, threshold=[2.0] * 6).axes
    by_label = {}
    for line in axis.get_lines():
        by_label.setdefault(line.get_label(), []).append(line)
    assert [line.get_ydata().tolist() for line in by_label["threshold"]] == [[2.0] * 6]
    assert [line.get_xdata().tolist() for line in by_label["_spikes"]] == [
        np.flatnonzero(c).tolist() for c in v.T > 0.5
    ]


def test_a_trace_that_went_to_nan_is_still_drawn():
    figure = state_trace([0.5, np.nan, np.nan], [0, 1, 0], threshold=1.0)
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_a_phase_plane_breaks_the_path_where_it_is_reset():
    v, w = np.array([0.0, 1.0, -1.0, 0.0]), np.array([0.0, 0.1, 0.3, 0.2])
    figure = phase_plane(v, w, [0, 0, 1, 0], ("v (mV)", "u"), {"dv/dt = 0": ([0, 9], [0, 9])})
    (axis,) = figure.axes
    by_label = {line.get_label(): line for line in axis.get_lines()}
    assert np.array_equal(by_label["_flow"].get_xdata(), [0, 1, np.nan, -1, 0, np.nan], equal_nan=True)
    assert np.array_equal(by_label["_reset"].get_ydata(), [0.1, 0.3, np.nan], equal_nan=True)
    assert _marks(by_label["_spikes"]) == {(-1.0, 0.3)}
    assert _marks(by_label["_start"]) == {(0.0, 0.0)}
    assert by_label["dv/dt = 0"].get_linestyle() == "--"
    assert (
        axis.get_xlim()[0] < -1 < 1 < axis.get_xlim()[1] < 2 and axis.get_ylim()[0] < 0 < 0.3 < axis.get_ylim()[1] < 1
    )
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("v (mV)", "u")


def test_drawings_can_share_axes():
    (axis,) = raster(np.eye(3)).axes
    figure = axis.get_figure()
    assert state_trace([0.0, 1.0], axis=axis) is figure and phase_plane([0, 1], [0, 1], axis=axis) is figure


@pytest.mark.parametrize("draw,error,message", [
    (lambda: raster(1.0), ShapeError, "first axis is time"),
    (lambda: raster(np.zeros((0, 3))), ShapeError, "no time step"),
    (lambda: raster(np.zeros((2, 3)), steps=[1]), ShapeError, "one step per row"),
    (lambda: raster(np.zeros((2, 3)), most=0), ConfigError, "most is 0"),
    (lambda: state_trace(np.zeros((2, 7))), ShapeError, "at most 6"),
    (lambda: state_trace(np.zeros((2, 1, 1))), ShapeError, r"\[T, K\]"),
    (lambda: state_trace(np.zeros(3), spikes=np.zeros(2)), ShapeError, "fit together"),
    (lambda: state_trace(np.zeros(3), threshold=np.ones(2)), ShapeError, "threshold has shape"),
    (lambda: state_trace(np.zeros((3, 2)), labels=["a"]), ShapeError, "1 labels for 2"),
    (lambda: phase_plane(np.zeros(3), np.zeros(2)), ShapeError, "both in one block"),
    (lambda: phase_plane([], []), ShapeError, "at least a step"),
])  # fmt: skip
def test_what_does_not_fit_is_named(draw, error, message):
    with pytest.raises(error, match=message):
        draw()


def test_matplotlib_is_imported_only_when_something_is_drawn():
    code = "import sys, spikesim.viz; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
