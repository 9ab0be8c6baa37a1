"""Spikes over time: the raster of a layer, and the trace of a state with its spikes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikesim.errors import ConfigError, ShapeError
from spikesim.viz.canvas import COLORS, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray


def raster(spikes: ArrayLike, steps: ArrayLike | None = None, most: int = 200, axis: Axes | None = None) -> Figure:
    """Draw a mark for every spike: time to the right, neurons upwards.

    Of more than ``most`` neurons, that many are drawn at even distances, under their own numbers; the title says so.
    Any value but zero is one mark; negative spikes have a colour of their own.

    Args:
        spikes: ``[T]``, ``[T, K]`` or ``[T, N, ...]``; everything after time counts as neurons, in row-major order.
        steps: time step of every row ``[T]``; 0, 1, 2, ... by default.
        most: neurons drawn at most.
        axis: axes to draw on; by default a figure of its own.

    Raises:
        ShapeError: there is no time axis, or ``steps`` has another length.
        ConfigError: ``most`` is less than 1.

    Example:
        >>> import numpy as np
        >>> from spikesim.viz import raster
        >>> figure = raster(np.eye(5))
        >>> figure.axes[0].get_lines()[0].get_xydata()[:2].tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    if most < 1:
        raise ConfigError(f"raster: most is {most}, but it must be at least 1")
    values = _rows("spikes", spikes)
    times = time_steps(steps, len(values))
    neurons = values.shape[1]
    shown = np.arange(neurons) if neurons <= most else np.linspace(0, neurons - 1, most).round().astype(int)
    if axis is None:
        _, (axis,) = canvas()
    signs = [("spikes", values[:, shown] > 0), ("negative spikes", values[:, shown] < 0)]
    signed = bool(signs[1][1].any())
    for color, (label, fired) in zip(COLORS, signs[: 1 + signed]):
        row, column = np.nonzero(fired)
        # A mark is as high as a row of neurons, within what can still be seen and told apart.
        size = float(np.clip(200 / max(1, len(shown)), 1.5, 8.0))
        style: dict[str, Any] = {"linestyle": "none", "marker": "|", "markersize": size, "color": color}
        axis.plot(times[row], shown[column], label=label, rasterized=len(row) > 10_000, **style)
    if signed:
        axis.legend(frameon=False)
    if len(shown) < neurons:
        axis.set_title(f"{len(shown)} of {neurons} neurons, evenly spaced", fontsize="medium")
    axis.set_xlim(times[0] - 0.5, times[-1] + 0.5)
    axis.set_ylim(-0.5, max(1, neurons) - 0.5)
    axis.set_xlabel("time step t")
    axis.set_ylabel("neuron")
    return axis.get_figure()  # type: ignore[return-value]


def state_trace(
    values: ArrayLike,
    spikes: ArrayLike | None = None,
    threshold: ArrayLike | None = None,
    steps: ArrayLike | None = None,
    name: str = "membrane potential v",
    labels: Sequence[str] | None = None,
    axis: Axes | None = None,
) -> Figure:
    """Draw a state of a few neurons over time; spikes are ticks above it, the threshold is a dashed line.

    Args:
        values: state ``[T]`` or ``[T, K]`` of at most six neurons.
        spikes: emitted values of the same shape.
        threshold: one number, or its course ``[T]`` or ``[T, K]`` where it adapts.
        steps: time step of every row ``[T]``; 0, 1, 2, ... by default.
        name: what the state is, with its unit: the label of the y axis.
        labels: one name per neuron, for the legend.
        axis: axes to draw on; by default a figure of its own.

    Raises:
        ShapeError: more than six neurons, or shapes that do not fit together.

    Example:
        >>> from spikesim.viz import state_trace
        >>> figure = state_trace([0.5, 0.0, 0.5], spikes=[0, 1, 0], threshold=1.0)
        >>> figure.axes[0].get_ylabel()
        'membrane potential v'
    """
    traces = few("values", values)
    times = time_steps(steps, len(traces))
    names = list(labels) if labels is not None else [f"neuron {k}" for k in range(traces.shape[1])]
    if len(names) != traces.shape[1]:
        raise ShapeError(f"state_trace: {len(names)} labels for {traces.shape[1]} neurons; give one each")
    if axis is None:
        _, (axis,) = canvas()
    for color, label, trace in zip(COLORS, names, traces.T):
        axis.plot(times, trace, label=label, color=color, linewidth=1.2)
    levels = None if threshold is None else _levels(threshold, traces)
    if levels is not None:
        # One line if all neurons share it, else one in the colour of each.
        shared = levels[:, :1] if (levels == levels[:, :1]).all() else levels
        colors = ["#888888"] if shared.shape[1] == 1 else COLORS
        for color, level in zip(colors, shared.T):
            axis.plot(times, level, linestyle="--", linewidth=1.0, color=color, label="threshold")
    if spikes is not None:
        fired = like("spikes", few("spikes", spikes), traces) != 0
        _ticks(axis, times, fired, _highest(traces, levels))
    if traces.shape[1] > 1 or labels is not None or levels is not None:
        handles, texts = axis.get_legend_handles_labels()
        once = dict(zip(texts, handles))
        axis.legend(once.values(), once.keys(), frameon=False)
    axis.set_xlabel("time step t")
    axis.set_ylabel(name)
    return axis.get_figure()  # type: ignore[return-value]


def _ticks(axis: Axes, times: NDArray[Any], fired: NDArray[Any], top: float) -> None:
    low, high = axis.get_ylim()
    gap = 0.06 * (high - low)
    for k, column in enumerate(fired.T):
        at = times[column]
        height = np.full(len(at), top + gap * (k + 1))
        axis.plot(at, height, linestyle="none", marker="|", markersize=7.0, color=COLORS[k], label="_spikes")
    axis.set_ylim(low, max(high, top + gap * (fired.shape[1] + 1)))


def _highest(traces: NDArray[Any], levels: NDArray[Any] | None) -> float:
    values = np.concatenate([traces.ravel(), [] if levels is None else levels.ravel()])
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else 0.0


def _levels(threshold: ArrayLike, traces: NDArray[Any]) -> NDArray[Any]:
    level = np.asarray(threshold, dtype=float)
    if level.ndim == 0:
        return np.full((len(traces), 1), float(level))
    return like("threshold", few("threshold", level), traces)


def few(what: str, values: ArrayLike) -> NDArray[Any]:
    """``[T]`` or ``[T, K]`` of at most six neurons as float ``[T, K]``.

    Raises:
        ShapeError: it is neither.

    >>> few("values", [1.0, 2.0]).shape
    (2, 1)
    """
    rows = _rows(what, values)
    if np.ndim(values) > 2 or rows.shape[1] > len(COLORS):
        raise ShapeError(
            f"{what} has shape {np.shape(values)}, but at most {len(COLORS)} traces can be told apart: give [T] or "
            "[T, K], for example values[:, 0, :3] of a recording"
        )
    return rows.astype(float)


def like(what: str, values: NDArray[Any], traces: NDArray[Any]) -> NDArray[Any]:
    """``values`` if it is one per trace or one for all.

    Raises:
        ShapeError: it is neither.

    >>> like("spikes", np.zeros((3, 1)), np.zeros((3, 2))).shape
    (3, 1)
    """
    if values.shape[0] != traces.shape[0] or values.shape[1] not in (1, traces.shape[1]):
        raise ShapeError(f"{what} has shape {values.shape}, but the traces have {traces.shape}; they must fit together")
    return values


def time_steps(steps: ArrayLike | None, count: int) -> NDArray[Any]:
    """Time step of every row.

    Raises:
        ShapeError: there are no rows, or not as many steps as rows.

    >>> time_steps(None, 3)
    array([0, 1, 2])
    """
    if count == 0:
        raise ShapeError("there is no time step to draw; record at least one")
    times = np.arange(count) if steps is None else np.asarray(steps)
    if times.shape != (count,):
        raise ShapeError(f"steps has shape {times.shape}, but there are {count} rows; give one step per row")
    return times


def _rows(what: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim == 0:
        raise ShapeError(f"{what} is a single value; give an array whose first axis is time")
    return array.reshape(len(array), int(np.prod(array.shape[1:])))
