"""Frames in, events out, a piece at a time: for movies that are longer than memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikesim.datasets.checks import check_sensor_size
from spikesim.datasets.convert import EVENT_DTYPE
from spikesim.datasets.counter import key_of
from spikesim.datasets.events import Events
from spikesim.datasets.simulator.camera import SHOT_STREAM, Camera, Standing, keys_of
from spikesim.datasets.simulator.light import Encoding, Light, as_light, check_frames
from spikesim.datasets.simulator.model import PixelModel, model_or_default
from spikesim.datasets.simulator.pixel import LARGEST_SPAN_US, TIME, fill
from spikesim.errors import ConfigError, EventError, StateError

LARGEST_TIME_US = 2**52
"""First time that is refused: a float64 tells microseconds apart below it."""

_PIECE = 2**22  # pixels of all frames that the kernels get at a time


class Simulated(NamedTuple):
    """A piece of a simulated recording.

    Attributes:
        events: in order of time; events of one microsecond by row, column and polarity.
        noise: which of them are shot noise or come from a hot pixel, bool ``[N]``.
    """

    events: Events
    noise: NDArray[np.bool_]


@dataclass
class Tally:
    """Events so far.

    Attributes:
        on: brighter.
        off: darker.
        noise: how many of them are shot noise or come from hot pixels.
    """

    on: int = 0
    off: int = 0
    noise: int = 0


class EventSimulator:
    """An event camera that is shown frames.

    :meth:`push` takes one frame or many and gives the events up to the last of them; :meth:`finish` gives those of
    that last microsecond. However a movie is cut into pieces, the events are the same, bit for bit. The first frame
    sets what each pixel remembers, and the size of the camera.

    Args:
        model: parameters of the pixels; ``PixelModel()`` by default.
        seed: fixes the differences between pixels, and the noise.
        encoding: what the numbers of the frames mean: ``"srgb"`` codes, ``"linear"`` light (white is 1.0, or the
            largest code), or ``"auto"``: sRGB if they are uint8 or uint16, else linear.
        threads: threads that share out the pixels; the events do not depend on it.

    Attributes:
        tally: events so far.

    Raises:
        ConfigError: the model has noise as a share of the signal, or ``threads`` is not 1 or more.

    References:
        ESIM: Rebecq et al. 2018, https://proceedings.mlr.press/v87/rebecq18a.html (interpolation); v2e: Hu, Liu and
        Delbruck 2021, https://doi.org/10.1109/CVPRW53098.2021.00144 (what real pixels do besides).

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets import EventSimulator, PixelModel
        >>> camera = EventSimulator(PixelModel.preset("noisy"), seed=1)
        >>> for k in range(3):                                         # a grey wall, one frame at a time
        ...     events, noise = camera.push(np.full((1, 20, 30), 128, np.uint8), [k * 100_000])
        ...     print(len(events), noise.sum())                        # the others are leakage
        0 0
        265 256
        266 261
    """

    def __init__(
        self, model: PixelModel | None = None, *, seed: int = 0, encoding: Encoding = "auto", threads: int = 1
    ) -> None:
        self.model = model_or_default(model)
        if self.model.noise:
            raise ConfigError(
                f"PixelModel noise is {self.model.noise}, a share of all signal events, which are known only at the "
                "end; expected 0: use shot_noise_hz, or simulate_events for a whole movie"
            )
        if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or threads < 1:
            raise ConfigError(f"threads is {threads!r}; expected 1 or more")
        self.seed, self.encoding, self.threads = seed, encoding, int(threads)
        self.tally = Tally()
        self._camera: Camera | None = None
        self._standing: Standing | None = None
        self._time = -1
        self._frames = 0
        self._held = np.empty(0, np.int64)  # events of the last frame's microsecond, as keys from it on
        self._finished = False

    def push(self, frames: ArrayLike, times_us: ArrayLike) -> Simulated:
        """Show the next frames.

        Args:
            frames: grey ``[F, H, W]`` or colour ``[F, H, W, 3]``; 0 or more. F may be 0.
            times_us: time of each frame ``[F]`` in microseconds: increasing integers from 0 on, below 2**52, less
                than 2**31 us (36 minutes) apart.

        Returns:
            The events before the last frame's microsecond.

        Raises:
            EventError: frames or times have another shape, size or dtype or bad values, which leaves the camera as it
                was; or there are hundreds of millions of events between some frames, which ends it.
            StateError: :meth:`finish` was called, or the camera has ended.
        """
        if self._finished:
            raise StateError("frames were pushed after finish(); expected a new EventSimulator for a new movie")
        movie = check_frames(frames, self.encoding)
        times = self._checked_times(times_us, len(movie))
        size = None if self._camera is None else self._camera.phases.shape
        if size is not None and movie.shape[1:3] != size:
            raise EventError(
                f"frame {self._frames} has {movie.shape[2]} x {movie.shape[1]} pixels, those before it "
                f"{size[1]} x {size[0]}; expected frames of one size"
            )
        if size is None:
            check_sensor_size((movie.shape[2], movie.shape[1], 2))
        if len(movie) == 0:
            return Simulated(Events.empty((movie.shape[2], movie.shape[1], 2)), np.empty(0, np.bool_))
        pieces = [self._step(movie[first:last], times[first:last]) for first, last in self._cuts(movie)]
        return pieces[0] if len(pieces) == 1 else joined(pieces)

    def finish(self) -> Simulated:
        """Return the events of the last frame's microsecond; then the camera is done.

        Raises:
            StateError: no frame was pushed, so that the sensor is unknown.
        """
        if self._standing is None:
            raise StateError("finish() was called before the first frame; expected a frame, which sets the sensor")
        self._finished = True
        held, self._held = self._held, np.empty(0, np.int64)
        return self._simulated(held, self._time)

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """Width, height and polarities, once there was a frame."""
        if self._camera is None:
            raise StateError("the sensor is known from the first frame on; push one")
        height, width = self._camera.phases.shape
        return width, height, 2

    def _checked_times(self, times_us: ArrayLike, count: int) -> NDArray[np.int64]:
        times: NDArray[Any] = np.asarray(times_us)
        if times.shape != (count,) or (count and times.dtype.kind not in "iu"):
            raise EventError(
                f"times_us has shape {times.shape} and dtype {times.dtype}; expected one integer in "
                f"microseconds for each of the {count} frames"
            )
        if count == 0:
            return np.empty(0, np.int64)
        if int(times.min()) < 0 or int(times.max()) >= LARGEST_TIME_US:
            raise EventError(f"times_us runs from {times[0]} to {times[-1]}; expected 0 to below 2**52 us")
        times = times.astype(np.int64)
        steps = np.diff(times, prepend=self._time)  # -1 before the first frame of all
        if (steps <= 0).any():
            first = int(np.argmax(steps <= 0))
            before = int(times[first - 1]) if first else self._time
            raise EventError(
                f"times_us of frame {self._frames + first} is {times[first]}, after {before}; expected a later time"
            )
        if self._frames == 0:
            steps = steps[1:]
        if steps.size and int(steps.max()) >= LARGEST_SPAN_US:
            first = self._frames + int(np.argmax(steps)) + (self._frames == 0)
            raise EventError(
                f"frame {first} comes {int(steps.max())} us after the one before it; expected less than 2**31 us "
                "(36 minutes): put frames in between"
            )
        return times

    def _cuts(self, movie: NDArray[Any]) -> Iterator[tuple[int, int]]:
        """Pieces of the frames that the kernels get at a time."""
        step = max(1, _PIECE // (movie.shape[1] * movie.shape[2]))
        first = 0
        while first < len(movie):
            yield first, min(first + step, len(movie))
            first += step

    def _step(self, movie: NDArray[Any], times: NDArray[np.int64]) -> Simulated:
        light = as_light(movie, self.encoding)
        self._frames += len(movie)
        if self._standing is None:
            height, width = light.frames.shape[1:]
            self._camera = Camera.drawn(self.model, self.seed, height, width)
            first = Light(light.frames[:1], light.table).linear()[0]
            self._standing = self._camera.begin(first, int(times[0]), key_of(self.seed, SHOT_STREAM))
            self._time = int(times[0])
            light, times = Light(light.frames[1:], light.table), times[1:]
        pieces = []
        while len(times):
            # Keys hold 2**31 us from their base on.
            count = max(1, int(np.searchsorted(times, self._time + LARGEST_SPAN_US)))
            every = np.concatenate([[self._time], times[:count]])
            keys = self._keys(Light(light.frames[:count], light.table), every)
            base, span = self._time, int(times[count - 1]) - self._time
            self._time += span
            cut = int(np.searchsorted(keys, span << TIME))
            self._held = keys[cut:] & ((1 << TIME) - 1)
            pieces.append(self._simulated(keys[:cut], base))
            light, times = Light(light.frames[count:], light.table), times[count:]
        return joined(pieces) if pieces else self._simulated(np.empty(0, np.int64), 0)

    def _keys(self, light: Light, every: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sorted keys of the events up to the last frame, with those held back, counted from the frame before."""
        camera, standing = cast(Camera, self._camera), cast(Standing, self._standing)  # set with the first frame
        try:
            keys = keys_of(camera, standing, light, every, self.threads)
        except EventError:
            self._finished = True  # some pixels are ahead of others now
            raise
        keys = np.concatenate([self._held, keys]) if len(self._held) else keys
        keys.sort()
        return keys

    def _simulated(self, keys: NDArray[np.int64], base: int) -> Simulated:
        data = np.empty(len(keys), EVENT_DTYPE)
        noise = np.empty(len(keys), np.bool_)
        on = int(fill(keys, base, data, noise))
        self.tally.on += on
        self.tally.off += len(keys) - on
        self.tally.noise += int(np.count_nonzero(noise))
        return Simulated(Events._trusted(data, self.sensor_size), noise)


def joined(pieces: list[Simulated]) -> Simulated:
    """Put pieces of a recording together.

    Args:
        pieces: one or more, in order.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets import EventSimulator
        >>> from spikesim.datasets.simulator.stream import joined
        >>> camera = EventSimulator()
        >>> len(joined([camera.push([[[1.0]], [[3.0]]], [0, 9000]), camera.finish()]).events)
        2
    """
    if len(pieces) == 1:
        return pieces[0]
    data = np.concatenate([piece.events.data for piece in pieces])
    return Simulated(
        Events._trusted(data, pieces[0].events.sensor_size), np.concatenate([piece.noise for piece in pieces])
    )


def simulate_stream(
    pieces: Iterable[tuple[ArrayLike, ArrayLike]],
    model: PixelModel | None = None,
    *,
    seed: int = 0,
    encoding: Encoding = "auto",
    threads: int = 1,
) -> Iterator[Events]:
    """Turn a movie that comes in pieces into events that come in pieces.

    Args:
        pieces: frames ``[F, H, W]`` and their times in microseconds ``[F]``, as :meth:`EventSimulator.push` takes them.
        model: parameters of the pixels; ``PixelModel()`` by default.
        seed: as :class:`EventSimulator`.
        encoding: as :class:`EventSimulator`.
        threads: as :class:`EventSimulator`.

    Yields:
        For each piece its events, and at the end those of the last microsecond; together the recording of the whole.

    Raises:
        ConfigError: as :class:`EventSimulator`.
        EventError: as :meth:`EventSimulator.push`; no piece at all.

    Example:
        >>> import numpy as np
        >>> from spikesim.datasets import simulate_stream
        >>> pieces = (([[[1.0 + k]]], [1000 * k]) for k in range(4))   # one pixel, one frame at a time
        >>> [events.t.tolist() for events in simulate_stream(pieces)]
        [[], [478], [], [2379], []]
    """
    simulator = EventSimulator(model, seed=seed, encoding=encoding, threads=threads)
    begun = False
    for frames, times in pieces:
        begun = True
        yield simulator.push(frames, times).events
    if not begun:
        raise EventError("there are no frames; expected at least one piece of a movie")
    yield simulator.finish().events
