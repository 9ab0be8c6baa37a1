"""Phase plane: one state of a neuron against another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spikesim.errors import ShapeError
from spikesim.viz.canvas import COLORS, canvas
from spikesim.viz.spikes import few, like

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray


def phase_plane(
    v: ArrayLike,
    w: ArrayLike,
    spikes: ArrayLike | None = None,
    names: tuple[str, str] = ("v", "w"),
    nullclines: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    axis: Axes | None = None,
) -> Figure:
    """Draw the path of two states against each other; a circle marks its start.

    A step in which the neuron fired jumps from before the spike to after the reset. Such jumps are dotted, and a mark
    stands where they land.

    Args:
        v: first state ``[T]`` or ``[T, K]`` of at most six neurons, drawn to the right.
        w: second state of the same shape, drawn upwards.
        spikes: emitted values of the same shape.
        names: what the states are, with their units: the axis labels.
        nullclines: name to a curve ``(v, w)``, drawn dashed; for example where dv/dt = 0.
        axis: axes to draw on; by default a figure of its own.

    Raises:
        ShapeError: more than six neurons, or shapes that do not fit together.

    Example:
        >>> from spikesim.viz import phase_plane
        >>> figure = phase_plane([0.0, 0.6, -0.2], [0.0, 0.1, 0.3], spikes=[0, 0, 1])
        >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
        ('v', 'w')
    """
    first, second = few("v", v), few("w", w)
    if first.shape != second.shape or not len(first):
        raise ShapeError(
            f"v has shape {first.shape} and w {second.shape}; record both in one block, for at least a step"
        )
    fired = np.zeros(first.shape, dtype=bool)
    if spikes is not None:
        fired |= like("spikes", few("spikes", spikes), first) != 0
    if axis is None:
        _, (axis,) = canvas()
    for k, color in enumerate(COLORS[: first.shape[1]]):
        _path(axis, first[:, k], second[:, k], fired[:, k], color)
    # The path decides what is shown; a nullcline may run off to infinity.
    axis.set_xlim(axis.get_xlim())
    axis.set_ylim(axis.get_ylim())
    for color, (label, (a, b)) in zip(COLORS[::-1], (nullclines or {}).items()):
        axis.plot(np.asarray(a), np.asarray(b), linestyle="--", linewidth=1.0, color=color, label=label)
    if nullclines:
        axis.legend(frameon=False)
    axis.set_xlabel(names[0])
    axis.set_ylabel(names[1])
    return axis.get_figure()  # type: ignore[return-value]


def _path(axis: Axes, v: NDArray[Any], w: NDArray[Any], fired: NDArray[Any], color: str) -> None:
    # The piece from step t-1 to t belongs to the flow unless t fired.
    for chosen, style, label in ((~fired[1:], "-", "_flow"), (fired[1:], ":", "_reset")):
        axis.plot(_pieces(v, chosen), _pieces(w, chosen), color=color, linestyle=style, linewidth=1.2, label=label)
    axis.plot(v[fired], w[fired], color=color, linestyle="none", marker="x", markersize=5.0, label="_spikes")
    axis.plot(v[:1], w[:1], color=color, linestyle="none", marker="o", markersize=6.0, label="_start")


def _pieces(values: NDArray[Any], chosen: NDArray[Any]) -> NDArray[Any]:
    """Chosen pieces of a path, kept apart by NaN, which breaks a line."""
    gaps = np.full(len(values) - 1, np.nan)
    return np.stack([values[:-1], values[1:], gaps], axis=1)[chosen].ravel()
