"""What a trained network says of a recording while its events arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from spikesim.datasets import Events, iter_events, read_events, stated_sensor, to_frames
from spikesim.datasets.transforms.slices import event_bins, time_bins
from spikesim.errors import ConfigError, EventError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spikesim.training.restore import TrainedRun


@dataclass(frozen=True)
class Prediction:
    """What is said after one window of events.

    Attributes:
        step: windows so far, from 1.
        until_us: end of the window in microseconds, on the clock of the recording.
        events: events in the window.
        named: the class that is named, or None while the readout still waits (a delayed one).
        confidence: softmax of the scores read out so far, for that class; 0 where none is named.
        scores: that of every class, in the order of the run's classes.
    """

    step: int
    until_us: int
    events: int
    named: str | None
    confidence: float
    scores: tuple[float, ...]


class _Window(NamedTuple):
    frame: NDArray[np.uint8]  # [1, P, H, W]
    until_us: int
    events: int


def predict(
    run: TrainedRun,
    recording: str | Path | Events,
    *,
    window_us: int | None = None,
    window_events: int | None = None,
    device: str | torch.device = "cpu",
) -> Iterator[Prediction]:
    """Run a network over a recording window by window, with its state carried on, and say what it takes it for.

    By default the windows are those of the run: its T frames of equal duration or equal event count, so that the last
    prediction is that of ``evaluate``. Windows of a fixed length take recordings of any length and are read from the
    file as they come; each prediction then reads out the last T windows, as many as the network was trained on.

    Args:
        run: as :func:`load_run` gives it.
        recording: a file of any known format, or events.
        window_us: length of a window in microseconds, instead of the run's.
        window_events: events of a window, instead of the run's.
        device: where the network is.

    Yields:
        One prediction after each window.

    Raises:
        ConfigError: both kinds of window, or one below 1.
        EventError: the recording is empty, out of order, or of another sensor than the run's.
        EventFileError: it cannot be read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from spikesim.datasets import generate_ndigits
        >>> from spikesim.training import TrainConfig, load_run, predict, train
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     data = generate_ndigits(Path(folder) / "ndigits", samples=60)
        ...     settings = {"width": 2, "timesteps": 3, "epochs": 1, "val_fraction": 0.25, "device": "cpu"}
        ...     run = load_run(train(TrainConfig(data=data, out=f"{folder}/run", **settings)).folder)
        ...     said = list(predict(run, next((data / "Test" / "3").glob("*.bin"))))
        >>> [prediction.step for prediction in said], said[-1].named in run.classes
        ([1, 2, 3], True)
    """
    if window_us is not None and window_events is not None:
        raise ConfigError("give the length of a window in microseconds or in events, not both")
    for name, given in (("window_us", window_us), ("window_events", window_events)):
        if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 1):
            raise ConfigError(f"{name} is {given!r}; expected a whole number from 1 on")
    if window_us is None and window_events is None:
        windows = _shares(run, recording)
    else:
        windows = _fixed(run, recording, window_us, window_events)
    return _said(run, windows, torch.device(device))


@torch.no_grad()
def _said(run: TrainedRun, windows: Iterator[_Window], device: torch.device) -> Iterator[Prediction]:
    session = run.network.stream()
    waits = int(getattr(run.network.readout, "delay", 0))
    scores: deque[torch.Tensor] = deque(maxlen=run.config.timesteps)
    for step, window in enumerate(windows, 1):
        frame = torch.from_numpy(window.frame).unsqueeze(1).to(device)  # [1, 1, P, H, W]
        scores.append(session(frame.float()).float())
        named, shares = None, torch.zeros(len(run.classes))
        if len(scores) > waits:
            shares = run.network.read_out(torch.cat(tuple(scores)))[0].softmax(0).cpu()
            named = run.classes[int(shares.argmax())]
        yield Prediction(step, window.until_us, window.events, named, float(shares.max()), tuple(shares.tolist()))


def _shares(run: TrainedRun, recording: str | Path | Events) -> Iterator[_Window]:
    """The frames of the run's own rule, which needs the end of the recording to be known."""
    name, events = _whole(run, recording)
    events = events if events.sorted else events.in_time_order()
    if not len(events):
        raise _empty(name)
    timesteps, by = run.config.timesteps, run.config.frames
    frames = to_frames(events, timesteps, by).frames
    if by == "time":
        starts, ends = time_bins(events.t, timesteps, "spikingjelly", 0.0, None, None)
        first, last = int(events.t[0]), int(events.t[-1])
        length = max((last - first) // timesteps, 1)
        until = [min(first + length * step, last) for step in range(1, timesteps)] + [last]
    else:
        starts, ends = event_bins(len(events), timesteps, "spikingjelly", 0.0)
        until = [int(events.t[max(int(end) - 1, 0)]) for end in ends]
    for frame, end, begin, stop in zip(frames, until, starts, ends):
        yield _Window(frame[None], end, int(stop - begin))


def _fixed(run: TrainedRun, recording: str | Path | Events, length: int | None, count: int | None) -> Iterator[_Window]:
    name, parts = _parts(run, recording, length, count)
    begin: int | None = None
    for part in parts:
        if begin is None and not len(part):
            continue
        begin = int(part.t[0]) if begin is None else begin
        if length is None:
            until = int(part.t[-1])
        else:
            begin += length
            until = begin
        yield _Window(to_frames(part, 1).frames, until, len(part))
    if begin is None:
        raise _empty(name)


def _parts(
    run: TrainedRun, recording: str | Path | Events, length: int | None, count: int | None
) -> tuple[str, Iterator[Events]]:
    if not isinstance(recording, Events):
        _check_file(run, recording)
        return str(recording), iter_events(recording, length, count, sensor_size=_sensor(run))
    name, events = _whole(run, recording)
    events = events if events.sorted else events.in_time_order()
    return name, _cut(events, length, count)


def _cut(events: Events, length: int | None, count: int | None) -> Iterator[Events]:
    if not len(events):
        return
    if count is not None:
        for start in range(0, len(events), count):
            yield events.select(slice(start, start + count))
        return
    begin, last = int(events.t[0]), int(events.t[-1])
    while begin <= last:
        end = begin + (length or 1)
        first, stop = events.t.searchsorted([begin, end])
        yield events.select(slice(int(first), int(stop)))
        begin = end


def _whole(run: TrainedRun, recording: str | Path | Events) -> tuple[str, Events]:
    if isinstance(recording, Events):
        _check_sensor(run, "the recording", recording.sensor_size)
        return "the recording", recording
    _check_file(run, recording)
    return str(recording), read_events(recording, _sensor(run))


def _sensor(run: TrainedRun) -> tuple[int, int, int]:
    polarities, height, width = run.shape
    return width, height, polarities


def _check_file(run: TrainedRun, path: str | Path) -> None:
    if (stated := stated_sensor(path)) is not None:
        _check_sensor(run, str(path), stated)


def _check_sensor(run: TrainedRun, name: str, sensor: tuple[int, int, int]) -> None:
    width, height, _ = _sensor(run)
    if sensor[:2] != (width, height):
        raise EventError(
            f"{name} is of a {sensor[0]} x {sensor[1]} sensor, but {run.checkpoint} was trained on {width} x {height}; "
            "crop or scale the events with spikesim.datasets.transforms, as for training, and write them with "
            "write_events"
        )


def _empty(name: str) -> EventError:
    return EventError(f"{name} holds no event, so there is nothing to name; give a recording with events")
