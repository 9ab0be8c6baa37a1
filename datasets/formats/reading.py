"""From the chunks of a format to recordings: checks, sensor size, damage and windows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.checks import BadEventError, SensorSize, check_sensor_size
from spikesim.datasets.columns import PolarityRule, one_dimensional
from spikesim.datasets.convert import EVENT_DTYPE, canonical
from spikesim.datasets.events import Events
from spikesim.datasets.formats.base import CHUNK_BYTES, Chunk, DamageError, Decoded, Format, Loss, Source
from spikesim.datasets.formats.words import fit
from spikesim.datasets.records import stacked
from spikesim.errors import EventError

logger = logging.getLogger("spikesim.datasets.formats")

Errors = Literal["raise", "salvage"]
_MOST_EMPTY = 2**20  # windows without an event between two with some
_ANY_SENSOR: SensorSize = (2**15 - 1, 2**15 - 1, 2)


class Reader:
    """Reads one open file in checked parts.

    Args:
        source: the file, at its start.
        layout: its format.
        sensor_size: what the caller says about the sensor.
        errors: ``"salvage"`` ends at the damage and keeps it in :attr:`loss`.

    Attributes:
        loss: the damage, once it was met.
        ordered: whether the events so far are known to be in order of time.
    """

    def __init__(self, source: Source, layout: Format, sensor_size: SensorSize | None, errors: Errors) -> None:
        if errors not in ("raise", "salvage"):
            raise EventError(f"errors is {errors!r}; expected 'raise' or 'salvage'")
        self.source, self.layout, self.errors = source, layout, errors
        source.salvage = errors == "salvage"
        self.asked = None if sensor_size is None else check_sensor_size(sensor_size)
        self.loss: Loss | None = None
        self.ordered = False
        self._last = 0
        self._unsure: SensorSize | None = None

    def parts(self) -> Iterator[NDArray[Any]]:
        """Yield the events in order of the file, as arrays of :data:`EVENT_DTYPE`."""
        self.source.rewind()
        self.loss, first, rule = None, 0, PolarityRule()
        self.ordered, self._last = True, 0
        try:
            for chunk in self.layout.chunks(self.source):
                part, bad = self._checked(chunk, first, rule)
                first += len(part)
                if len(part):
                    yield part
                if bad is not None:
                    raise self._placed(bad, chunk.at(len(part)))
        except DamageError as error:
            if self.errors == "raise":
                raise
            self.loss = Loss(error.offset, max(0, self.source.size - error.offset), error.reason)
            logger.warning("%s: %s; %d events before it are kept", self.source.path, self.loss, first)
        if self.source.skipped:
            counts = ", ".join(f"{count} {kind}" for kind, count in self.source.skipped.items())
            logger.info("%s: skipped %s", self.source.path, counts)

    def _checked(
        self, chunk: Chunk | Decoded, first: int, rule: PolarityRule
    ) -> tuple[NDArray[Any], BadEventError | None]:
        """The events of a chunk up to the first that is bad, and what is wrong with that one."""
        if isinstance(chunk, Decoded):
            width, height, _ = self.asked or self.source.sensor or _ANY_SENSOR
            sound, ordered = fit(chunk.data, width, height, self._last)
            if sound:
                self.ordered &= ordered
                self._last = int(chunk.data["t"][-1]) if len(chunk.data) else self._last
                return chunk.data, None
            columns = {name: chunk.data[name] for name in "xytp"}
        else:
            columns = {name: one_dimensional(name, getattr(chunk, name)) for name in "xytp"}
        self.ordered = False  # not known
        options = self.source.options
        worst: BadEventError | None = None
        while True:
            try:
                size = self.asked or self.source.sensor or _ANY_SENSOR
                unit, rounding = options.time_unit or "us", options.rounding or "exact"
                return canonical(columns, size, unit, rounding, first, rule), worst
            except BadEventError as error:
                worst = error
                columns = {name: column[: error.event - first] for name, column in columns.items()}

    def _placed(self, bad: BadEventError, offset: int) -> Exception:
        """The error for a bad event: damage where the file is to be salvaged."""
        if self.errors == "salvage":
            return self.source.damage(offset, str(bad))
        error = BadEventError(f"{self.source.path}: {bad} (byte {offset})")
        error.event = bad.event
        return error

    def sensor(self, largest: Callable[[], tuple[int, int]]) -> SensorSize:
        """The sensor: as the file says, else as the caller says, else the smallest that holds the events.

        Args:
            largest: gives the largest x and y that occur, -1 where there is no event.
        """
        says = self.source.sensor
        if says is not None and self.asked is not None and says[:2] != self.asked[:2]:
            raise EventError(
                f"{self.source.path}: the file says that its sensor is {says[0]} x {says[1]}, sensor_size that it is "
                f"{self.asked[0]} x {self.asked[1]}; leave sensor_size out, or crop the events that are read"
            )
        if self.asked or says:
            return self.asked or says or _ANY_SENSOR
        width, height = (max(1, side + 1) for side in largest())
        if self._unsure != (width, height, 2):
            logger.warning(
                "%s does not say how large its sensor is; %d x %d just holds its events. Pass sensor_size=(W, H, 2)",
                self.source.path,
                width,
                height,
            )
        self._unsure = (width, height, 2)
        return width, height, 2

    def whole(self) -> Events:
        """Read all events."""
        events = self._at_once()
        if events is None:
            self.source.whole = True
            parts = list(self.parts())
            data = stacked(parts, EVENT_DTYPE)
            del parts
            events = Events._trusted(data, self.sensor(lambda: _largest(data)), in_order=self.ordered or None)
        if not events.sorted:
            logger.warning("%s: event %s is earlier than the one before it", self.source.path, events.first_unsorted)
        return events

    def _at_once(self) -> Events | None:
        """The events of a small file of a format that can be decoded in one pass, if there is nothing odd in it."""
        decode, source = self.layout.at_once, self.source
        if decode is None or self.asked is None or source.size > CHUNK_BYTES:
            return None
        source.rewind()
        decoded = decode(source.read(source.size), self.asked)
        return None if decoded is None else Events._trusted(decoded[0], self.asked, decoded[1])

    def _known_sensor(self) -> SensorSize:
        """The sensor, after a first pass over the file where nothing else tells it."""
        if self.asked is None:
            largest = (-1, -1)
            for part in self.parts():
                if self.source.sensor:
                    break
                x, y = _largest(part)
                largest = max(largest[0], x), max(largest[1], y)
            return self.sensor(lambda: largest)
        return self.asked

    def windows(self, window: int | None, count: int | None, start: int | None) -> Iterator[Events]:
        """Yield the events in windows of time or of a number of events; see :func:`iter_events`."""
        size = self._known_sensor()
        held: list[NDArray[Any]] = []
        holding = 0
        end: int | None = None
        for part in self._ordered():
            if self.source.sensor is not None:
                self.sensor(lambda: (-1, -1))  # a sensor_size that contradicts the file is refused
            rest = part
            if window is not None and end is None:
                begin = int(part["t"][0]) if start is None else start
                if begin > int(part["t"][0]):
                    raise EventError(
                        f"{self.source.path}: start is {begin} us, after the first event at {int(part['t'][0])} us; "
                        "expected a time before it"
                    )
                end = begin + window
            while len(rest):
                if window is not None and end is not None:
                    cut = int(np.searchsorted(rest["t"], end)) if end < 2**63 else len(rest)
                else:
                    cut = (count or 1) - holding
                if window is not None and end is not None and cut == 0 and not held:
                    self._refuse_gap(int(rest["t"][0]), end, window)
                if cut > len(rest) or (window is not None and cut == len(rest)):
                    held.append(rest)
                    holding += len(rest)
                    break
                yield _joined([*held, rest[:cut]], size)
                held, holding, rest = [], 0, rest[cut:]
                end = None if end is None or window is None else end + window
        if held:
            yield _joined(held, size)

    def _refuse_gap(self, t: int, end: int, window: int) -> None:
        """Refuse a time so far on that it is damage, or the window not meant: nobody wants to step through the gap."""
        if (t - end) // window >= _MOST_EMPTY:
            raise EventError(
                f"{self.source.path}: the next event after {end - window} us is at {t} us, {(t - end) // window} empty "
                f"windows of {window} us later; expected fewer than {_MOST_EMPTY}: take longer windows, a later start, "
                "or read by count= and look at the times"
            )

    def _ordered(self) -> Iterator[NDArray[Any]]:
        """The parts, refused where an event is earlier than the one before it."""
        first, last = 0, 0
        for part in self.parts():
            early = np.diff(part["t"], prepend=last) < 0
            if early.any():
                at = int(np.argmax(early))
                before = int(part["t"][at - 1]) if at else last
                raise EventError(
                    f"{self.source.path}: event {first + at} has t = {int(part['t'][at])}, before the {before} of the "
                    "event before it; windows need order of time: read it whole and use events.in_time_order()"
                )
            first, last = first + len(part), int(part["t"][-1])
            yield part


def _largest(data: NDArray[Any]) -> tuple[int, int]:
    return (int(data["x"].max()), int(data["y"].max())) if len(data) else (-1, -1)


def _joined(parts: list[NDArray[Any]], size: SensorSize) -> Events:
    return Events._trusted(stacked(parts, EVENT_DTYPE), size)
