r"""Neurons as NIR says them: time constants in seconds, resistances, and back.

NIR's neurons are differential equations; with forward Euler steps of ``dt`` they are ours:

.. math::
    \tau \dot v = v_{leak} - v + R x \quad\to\quad
    v \leftarrow v + \tfrac{dt}{\tau} (v_{leak} - v + R x)

so that ``R = 1`` is ``scale_input=True`` and ``R = tau / dt`` is ``scale_input=False``. An integrator
(:math:`\dot v = R x`) has ``R = 1 / dt``. A current-based neuron decays by ``1 - dt / tau`` per step, with
``w_in = tau_syn / dt`` and ``R = tau_mem / dt``; the current that charges the potential is that of the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikesim.converters.running import RunningSum
from spikesim.dynamics import Neuron
from spikesim.errors import ConversionError
from spikesim.neurons import IF, LI, LIF, PLIF, CubaLI, CubaLIF

Array = NDArray[Any]
Values = dict[str, Array]


class Steps(NamedTuple):
    """What a NIR neuron is in time steps.

    Args:
        values: parameters of our neuron.
        gain: by which its input is multiplied first.
        offset: what is added to its input then.

    Example:
        >>> from spikesim.converters.nir_constants import Steps
        >>> Steps._fields
        ('values', 'gain', 'offset')
    """

    values: Values
    gain: Array
    offset: Array


class Family(NamedTuple):
    """A family of neurons in both languages.

    Args:
        neuron: Our class.
        node: Name of NIR's class.
        write: From our parameters, flags, dt, gain and offset to NIR's fields.
        read: From NIR's fields, flags and dt to :class:`Steps`.
        flags: What else of the neuron changes its equations.

    Example:
        >>> from spikesim.converters.nir_constants import FAMILIES
        >>> FAMILIES["PLIF"].node, FAMILIES["RunningSum"].node
        ('LIF', 'I')
    """

    neuron: type[Neuron]
    node: str
    write: Callable[[Values, Mapping[str, Any], float, Array, Array], Values]
    read: Callable[[Values, Mapping[str, Any], float], Steps]
    flags: tuple[str, ...] = ()


def _write_leaky(values: Values, flags: Mapping[str, Any], dt: float, gain: Array, offset: Array) -> Values:
    tau = values["tau"]
    scale = np.ones_like(tau) if flags["scale_input"] else tau
    return {"tau": tau * dt, "r": gain * scale, "v_leak": offset * scale}


def _read_leaky(fields: Values, flags: Mapping[str, Any], dt: float) -> Steps:
    tau = fields["tau"] / dt
    scale = np.ones_like(tau) if flags["scale_input"] else tau
    return Steps({"tau": tau}, fields["r"] / scale, fields["v_leak"] / scale)


def _write_plif(values: Values, flags: Mapping[str, Any], dt: float, gain: Array, offset: Array) -> Values:
    return _write_leaky({"tau": 1.0 + np.exp(-values["w"])}, flags, dt, gain, offset)


def _read_plif(fields: Values, flags: Mapping[str, Any], dt: float) -> Steps:
    steps = _read_leaky(fields, flags, dt)
    with np.errstate(divide="ignore", invalid="ignore"):
        return steps._replace(values={"w": -np.log(steps.values["tau"] - 1.0)})


def _write_integrator(values: Values, flags: Mapping[str, Any], dt: float, gain: Array, offset: Array) -> Values:
    if offset.any():
        raise ConversionError("NIR's integrators have no leak potential to say the offset of their input with")
    return {"r": gain / dt}


def _read_integrator(fields: Values, flags: Mapping[str, Any], dt: float) -> Steps:
    return Steps({}, fields["r"] * dt, np.zeros_like(fields["r"]))


def _write_current(values: Values, flags: Mapping[str, Any], dt: float, gain: Array, offset: Array) -> Values:
    lost = {name: 1.0 - values[name] for name in ("alpha", "beta")}
    for name, share in lost.items():
        if not share.all():
            raise ConversionError(f"{name} is 1, so that its time constant would be infinite: make {name} less than 1")
    if offset.any():
        raise ConversionError("the offset of its input is no leak potential: give it to the bias of the layer before")
    return {
        "tau_syn": dt / lost["alpha"],
        "tau_mem": dt / lost["beta"],
        "r": 1.0 / lost["beta"],
        "w_in": gain / lost["alpha"],
        "v_leak": np.zeros_like(gain),
    }


def _read_current(fields: Values, flags: Mapping[str, Any], dt: float) -> Steps:
    if fields["v_leak"].any():
        raise ConversionError("its v_leak is not 0, which a current-based neuron of spikesim cannot say")
    share = {name: dt / fields[name] for name in ("tau_syn", "tau_mem")}
    gain = (fields["w_in"] * share["tau_syn"]) * (fields["r"] * share["tau_mem"])
    return Steps({"alpha": 1.0 - share["tau_syn"], "beta": 1.0 - share["tau_mem"]}, gain, np.zeros_like(gain))


_ORDER = ("scale_input", "leak_after_reset", "delayed_reset")
FAMILIES = {
    "IF": Family(IF, "IF", _write_integrator, _read_integrator),
    "LIF": Family(LIF, "LIF", _write_leaky, _read_leaky, _ORDER),
    "PLIF": Family(PLIF, "LIF", _write_plif, _read_plif, ("scale_input",)),
    "LI": Family(LI, "LI", _write_leaky, _read_leaky, ("scale_input",)),
    "CubaLIF": Family(CubaLIF, "CubaLIF", _write_current, _read_current, ("delayed_reset",)),
    "CubaLI": Family(CubaLI, "CubaLI", _write_current, _read_current),
    "RunningSum": Family(RunningSum, "I", _write_integrator, _read_integrator),
}
"""By the name of our class; the first of each NIR class is what a graph of another writer becomes."""
